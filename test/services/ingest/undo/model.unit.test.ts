import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { decoderOf } from '#schemas/decoder.ts'
import { EventEncoder } from '#schemas/encoder.ts'
import type { ProgrammeConfigured, TransactionRecorded } from '#schemas/events.ts'
import { topicSpecs, topicsOf } from '#schemas/topics.ts'
import { readEvents } from '#services/ingest/receipts/prepared-events.ts'
import { Generations } from '#services/ingest/undo/generations.ts'
import { publishLate } from '#services/ingest/undo/late.ts'
import { keysFile, prepareUndo } from '#services/ingest/undo/prepare.ts'
import { partitionOf } from '#streams/core/partitioner.ts'
import { beforeTheFirstDate } from '#streams/domain/context.ts'
import { newEffects } from '#streams/domain/effects.ts'
import { entryOf, newEntry } from '#streams/domain/entry.ts'
import { sumUp } from '#streams/domain/evaluate.ts'
import { Ledger } from '#streams/domain/ledger.ts'
import { newValues } from '#streams/domain/values.ts'
import { readRange } from '#streams/log/range.ts'
import { transactionOf } from '#streams/topologies/intake.ts'
import { MemoryLog } from '../../../support/memory-log.ts'
import { MemoryRegistry } from '../../../support/memory-registry.ts'
import { type TempDir, tempDir } from '../../../support/temp-dir.ts'

/**
 * Uploads that overlap, tills, and undos, in any order, against the plainest model: the clients are as if only the batches
 * that stand, and what came from tills, had ever come.
 */

const topics = topicsOf('loyalty')
const partitions = 2
const programme = { currency: 'GBP', partitions } as ProgrammeConfigured

/** Sales, refunds of them, and voids of either, of two clients. */
const pool: readonly TransactionRecorded[] = ['ann', 'bob'].flatMap((client) => [
  made(client, 's1', 'SALE', 1_000),
  made(client, 's2', 'SALE', 2_000),
  made(client, 's3', 'SALE', 4_000),
  made(client, 'f1', 'REFUND', 300, 's1'),
  made(client, 'f2', 'REFUND', 2_000, 's2'),
  made(client, 'v1', 'VOID', 0, 's1'),
  made(client, 'v2', 'VOID', 0, 'f1'),
  made(client, 'v3', 'VOID', 0, 's3'),
])

function made(client: string, name: string, kind: 'SALE' | 'REFUND' | 'VOID', amount: number, original?: string) {
  return {
    transaction_id: `till:r=${name}`,
    client_id: client,
    kind,
    occurred_at: Date.UTC(2024, 0, name.charCodeAt(1)),
    amount_minor: amount,
    currency: 'GBP',
    source: 'test',
    store_id: null,
    terminal_id: null,
    receipt_number: name,
    original_transaction_id: original === undefined ? null : `till:r=${original}`,
    payment_method: null,
    batch_id: null,
    items_count: 0,
    categories: [],
    lines: [],
    discount_minor: 0,
    bonus_earned_minor: 0,
    bonus_spent_minor: 0,
    attributes: {},
  } satisfies TransactionRecorded
}

const sales = pool.flatMap(({ kind }, i) => (kind === 'SALE' ? [i] : []))

/** Files are sets of the pool: two of them overlap as they please. */
type Step =
  | { readonly what: 'upload'; readonly file: readonly number[] }
  | { readonly what: 'till'; readonly item: number }
  /** `meanwhile`: a sale that a till sends under its old id while the undo is being prepared; below 0 for nothing. */
  | { readonly what: 'undo'; readonly which: number; readonly meanwhile: number }

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({ what: fc.constant('upload' as const), file: fc.subarray(pool.map((_, i) => i)) }),
  },
  { weight: 1, arbitrary: fc.record({ what: fc.constant('till' as const), item: fc.nat(pool.length - 1) }) },
  {
    weight: 3,
    arbitrary: fc.record({
      what: fc.constant('undo' as const),
      which: fc.nat(9),
      meanwhile: fc.constantFrom(-1, -1, ...sales),
    }),
  },
)

let dir: TempDir
let runs = 0
beforeAll(async () => {
  dir = await tempDir('loyalty-undo-model-')
})
afterAll(() => dir.remove())

class World {
  readonly log = new MemoryLog()
  readonly registry = new MemoryRegistry()
  readonly dataDir = join(dir.path, String(runs++))
  /** What each batch brought, and which ones stand. */
  readonly batches = new Map<string, readonly TransactionRecorded[]>()
  readonly undone: string[] = []
  readonly tills: TransactionRecorded[] = []
  generations!: Generations
  encoder!: EventEncoder<'TransactionRecorded'>

  async open(): Promise<this> {
    await this.log.admin.ensureTopics(topicSpecs(topics, partitions))
    this.encoder = new EventEncoder('TransactionRecorded', await this.registry.idOf('TransactionRecorded'))
    this.generations = await Generations.open(this.dataDir)
    return this
  }

  async take(what: Step): Promise<void> {
    if (what.what === 'till') {
      this.tills.push(pool[what.item]!)
      return this.deliver([pool[what.item]!], null)
    }
    if (what.what === 'upload') {
      const file = what.file.map((item) => pool[item]!)
      const batchId = `b${this.batches.size}`
      this.batches.set(batchId, file)
      return this.deliver(file, batchId)
    }
    const standing = [...this.batches.keys()].filter((batch) => !this.undone.includes(batch))
    const batchId = standing[what.which % Math.max(1, standing.length)]
    if (batchId !== undefined) await this.undo(batchId, what.meanwhile)
  }

  /** As both doors do it. */
  async deliver(transactions: readonly TransactionRecorded[], batchId: string | null): Promise<void> {
    await this.append(
      transactions.map((event) => ({
        ...event,
        batch_id: batchId,
        transaction_id: this.generations.idOf(event.client_id, event.transaction_id),
        original_transaction_id:
          event.original_transaction_id && this.generations.renewed(event.client_id, event.original_transaction_id),
      })),
    )
  }

  async undo(batchId: string, meanwhile: number): Promise<void> {
    const taskId = `undo-of-${batchId}`
    const directory = join(this.dataDir, 'spill', taskId)
    const ends = await this.log.admin.endOffsets(topics.transactions)
    const { buckets } = await prepareUndo({
      ...{ purpose: 'undo', taskId, batchId, undone: this.undone, log: this.log, topic: topics.transactions },
      ...{ ends, batchFrom: [0, 0], registry: this.registry },
      ...{ programme, encoder: this.encoder, generations: this.generations, directory, key: taskId },
    })
    if (meanwhile >= 0) await this.take({ what: 'till', item: meanwhile })
    const keys = await readFile(join(directory, keysFile))
    await this.generations.install(taskId, new BigUint64Array(new Uint8Array(keys).buffer))
    const writer = this.log.writer()
    for (let bucket = 0; bucket < buckets; bucket++)
      for (const { partition, key, value } of await readEvents(directory, bucket))
        await writer.append(topics.transactions, partition, [{ key, value }])
    await publishLate({
      ...{ taskId, batchId, log: this.log, topic: topics.transactions, registry: this.registry, programme },
      ...{ generations: this.generations, encoder: this.encoder, from: ends },
    })
    this.undone.push(batchId)
  }

  async append(events: readonly TransactionRecorded[]): Promise<void> {
    const writer = this.log.writer()
    for (const event of events) {
      const key = Buffer.from(event.client_id)
      const value = this.encoder.encode(event)
      await writer.append(topics.transactions, partitionOf(key, partitions), [{ key, value }])
    }
  }

  async logged(): Promise<TransactionRecorded[]> {
    const decoder = decoderOf(this.registry, 'TransactionRecorded')
    const events: TransactionRecorded[] = []
    for (const [partition, end] of (await this.log.admin.endOffsets(topics.transactions)).entries())
      for await (const { records } of readRange(this.log, topics.transactions, partition, 0, end))
        for (const { value } of records) {
          const decoded = await decoder.read(value)
          if (decoded.kind === 'ok') events.push(decoded.event)
        }
    return events
  }

  expected(): TransactionRecorded[] {
    const standing = [...this.batches].filter(([batchId]) => !this.undone.includes(batchId))
    return [...standing.flatMap(([, file]) => file), ...this.tills]
  }
}

/** What a ledger says of each client, but for what counts events. */
function statesOf(events: readonly TransactionRecorded[]) {
  const chunk = () => {
    throw new Error('these ledgers are never stored')
  }
  const settings = { cap: 4096, chunks: { entryChunk: chunk, coldChunk: chunk } }
  const ledgers = new Map(['ann', 'bob'].map((client) => [client, Ledger.empty(settings)]))
  for (const event of events) {
    const outcome = ledgers.get(event.client_id)!.apply(entryOf(transactionOf(event), newEntry()), newEffects())
    expect(['accepted', 'duplicate']).toContain(outcome)
  }
  return [...ledgers].map(([client, ledger]) => {
    const values = newValues()
    sumUp(ledger, beforeTheFirstDate, values)
    const { transactions: _, waiting: __, ...rest } = values
    return { client, ...rest }
  })
}

test('the clients are as if only what stands had ever come, whatever was uploaded, sent and taken back', {
  timeout: 60_000,
}, async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 9 }), async (steps) => {
      const world = await new World().open()
      for (const each of steps) await world.take(each)
      expect(statesOf(await world.logged())).toEqual(statesOf(world.expected()))
    }),
    { numRuns: 60 },
  )
})
