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
 * Uploads that overlap and contradict each other, tills, replacements and undos, in any order, against the plainest model:
 * the clients are as if only the batches that stand, and what came from tills, had ever come.
 */

const topics = topicsOf('loyalty')
const partitions = 2
const programme = { currency: 'GBP', partitions } as ProgrammeConfigured

/** Sales, refunds of them, and voids of either, of two clients; at the end some of them with other content. */
const pool: readonly TransactionRecorded[] = ['ann', 'bob'].flatMap((client) => [
  made(client, 's1', 'SALE', 1_000),
  made(client, 's2', 'SALE', 2_000),
  made(client, 's3', 'SALE', 4_000),
  made(client, 'f1', 'REFUND', 300, 's1'),
  made(client, 'f2', 'REFUND', 2_000, 's2'),
  made(client, 'v1', 'VOID', 0, 's1'),
  made(client, 'v2', 'VOID', 0, 'f1'),
  made(client, 'v3', 'VOID', 0, 's3'),
  made(client, 's1', 'SALE', 1_001),
  made(client, 's2', 'SALE', 2_001),
  made(client, 'f1', 'REFUND', 301, 's2'),
  made(client, 'v1', 'VOID', 0, 's2'),
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
  | { readonly what: 'replace'; readonly which: number }
  | { readonly what: 'upload'; readonly file: readonly number[] }
  | { readonly what: 'till'; readonly item: number }
  /** `meanwhile`: a sale that a till sends under its old id while the undo is being prepared; below 0 for nothing. */
  | { readonly what: 'undo'; readonly which: number; readonly meanwhile: number }

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({ what: fc.constant('upload' as const), file: fc.subarray(pool.map((_, i) => i)) }),
  },
  { weight: 1, arbitrary: fc.record({ what: fc.constant('replace' as const), which: fc.nat(9) }) },
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
  readonly batches: string[] = []
  readonly undone: string[] = []
  readonly receipts = new Receipts()
  #tasks = 0
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
      this.receipts.take([pool[what.item]!], null)
      return this.deliver([pool[what.item]!], null)
    }
    if (what.what === 'upload') {
      const file = [...new Map(what.file.map((item) => [nameOf(pool[item]!), pool[item]!])).values()]
      const batchId = `b${this.batches.length}`
      this.batches.push(batchId)
      this.receipts.take(file, batchId)
      return this.deliver(file, batchId)
    }
    const standing = this.batches.filter((batch) => !this.undone.includes(batch))
    const batchId = standing[what.which % Math.max(1, standing.length)]
    if (batchId === undefined) return
    if (what.what === 'replace') return this.replace(batchId)
    await this.undo(batchId, what.meanwhile)
  }

  async replace(batchId: string): Promise<void> {
    this.receipts.replace(batchId)
    await this.publish('replace', batchId, async () => {})
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
    this.receipts.undo(batchId)
    await this.publish('undo', batchId, async () => {
      if (meanwhile >= 0) await this.take({ what: 'till', item: meanwhile })
    })
    this.undone.push(batchId)
  }

  async publish(purpose: 'undo' | 'replace', batchId: string, meanwhile: () => Promise<void>): Promise<void> {
    const taskId = `task-${this.#tasks++}`
    const directory = join(this.dataDir, 'spill', taskId)
    const ends = await this.log.admin.endOffsets(topics.transactions)
    const { buckets } = await prepareUndo({
      ...{ purpose, taskId, batchId, undone: this.undone, log: this.log, topic: topics.transactions },
      ...{ ends, batchFrom: [0, 0], putAside: [], registry: this.registry },
      ...{ programme, encoder: this.encoder, generations: this.generations, directory, key: taskId },
    })
    await meanwhile()
    const keys = await readFile(join(directory, keysFile))
    await this.generations.install(taskId, new BigUint64Array(new Uint8Array(keys).buffer))
    const writer = this.log.writer()
    for (let bucket = 0; bucket < buckets; bucket++)
      for (const { partition, key, value } of await readEvents(directory, bucket))
        await writer.append(topics.transactions, partition, [{ key, value }])
    await publishLate({
      ...{
        taskId,
        batchId,
        purpose,
        undone: new Set(this.undone),
        log: this.log,
        topic: topics.transactions,
        registry: this.registry,
        programme,
      },
      ...{ generations: this.generations, encoder: this.encoder, from: ends },
    })
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
}

type Deliverer = string | null

interface Reign {
  readonly content: TransactionRecorded
  readonly deliverers: Deliverer[]
}

/** What is in force of one receipt, and what was. */
class Receipt {
  readonly deliveries: { readonly content: TransactionRecorded; readonly by: Deliverer }[] = []
  /** The last one is of now, unless the receipt is gone. */
  readonly reigns: Reign[] = []
  gone = true

  take(content: TransactionRecorded, by: Deliverer): void {
    this.deliveries.push({ content, by })
    const reign = this.reigns.at(-1)
    if (this.gone) this.#begin(content, by)
    else if (reign!.content === content) reign!.deliverers.push(by)
  }

  replace(batchId: string): void {
    const brought = this.deliveries.findLast(({ by }) => by === batchId)
    if (brought !== undefined && !this.gone && this.reigns.at(-1)!.content !== brought.content)
      this.#begin(brought.content, batchId)
  }

  undo(undone: ReadonlySet<Deliverer>): void {
    const stands = (by: Deliverer) => !undone.has(by)
    if (this.gone || this.reigns.at(-1)!.deliverers.some(stands)) return
    const before = this.reigns.findLast(({ deliverers }) => deliverers.some(stands))
    const next = this.deliveries.find(({ by }) => stands(by))
    this.gone = true
    if (before !== undefined) this.#begin(before.content, before.deliverers.find(stands)!)
    else if (next !== undefined) this.#begin(next.content, next.by)
  }

  #begin(content: TransactionRecorded, by: Deliverer): void {
    this.gone = false
    this.reigns.push({ content, deliverers: [by] })
  }
}

class Receipts {
  readonly #receipts = new Map<string, Receipt>()
  readonly #undone = new Set<Deliverer>()

  take(transactions: readonly TransactionRecorded[], by: Deliverer): void {
    for (const content of transactions) {
      const name = nameOf(content)
      if (!this.#receipts.has(name)) this.#receipts.set(name, new Receipt())
      this.#receipts.get(name)!.take(content, by)
    }
  }

  replace(batchId: string): void {
    for (const receipt of this.#receipts.values()) receipt.replace(batchId)
  }

  undo(batchId: string): void {
    this.#undone.add(batchId)
    for (const receipt of this.#receipts.values()) receipt.undo(this.#undone)
  }

  inForce(): TransactionRecorded[] {
    return [...this.#receipts.values()].flatMap(({ gone, reigns }) => (gone ? [] : [reigns.at(-1)!.content]))
  }
}

function nameOf({ client_id, transaction_id }: TransactionRecorded): string {
  return `${client_id} ${transaction_id}`
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
    expect(['accepted', 'duplicate', 'conflicting_duplicate']).toContain(outcome)
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
    fc.asyncProperty(fc.array(step, { maxLength: 10 }), async (steps) => {
      const world = await new World().open()
      for (const each of steps) await world.take(each)
      expect(statesOf(await world.logged())).toEqual(statesOf(world.receipts.inForce()))
    }),
    { numRuns: 120 },
  )
})
