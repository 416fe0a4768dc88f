import { setFlagsFromString } from 'node:v8'
import { eventType } from '#schemas/codec.ts'
import { reducedDecoder } from '#schemas/decoder.ts'
import type { Registry } from '#schemas/registry.ts'
import { encodedTransactions } from '#services/cli/generator/encoded.ts'
import { TransactionGenerator } from '#services/cli/generator/transactions.ts'
import { KeyTable } from '#streams/core/key-table.ts'
import { murmur2 } from '#streams/core/partitioner.ts'
import { newEffects } from '#streams/domain/effects.ts'
import { entryOf, newEntry } from '#streams/domain/entry.ts'
import { Ledger, type LedgerSettings } from '#streams/domain/ledger.ts'
import type { Transaction } from '#streams/domain/transaction.ts'
import type { LogRecord } from '#streams/log/log.ts'
import { Door } from '#streams/topologies/door.ts'
import { type TransactionDecoder, takeIn } from '#streams/topologies/intake.ts'
import { type Bench, coreMs, type Figures, perSecond, type Workload, workloads } from './bench.ts'

const schemaId = 1
const programme = { currency: 'RUB', partitions: 1 }
/** In memory nothing is stored, so no chunk is ever asked for. */
const notStored = () => {
  throw new Error('no chunk is stored')
}
const settings: LedgerSettings = { cap: 4_096, chunks: { entryChunk: notStored, coldChunk: notStored } }

/** The domain alone, without log and store: transactions into ledgers, and wire bytes into ledgers. */
export const foldBench: Bench = {
  name: 'fold',
  about: 'events/s into ledgers on one core, from transactions (fold) and from wire bytes (replay); bytes per ledger',
  async run({ say, events }) {
    // As large as that of the processor.
    setFlagsFromString('--max-semi-space-size=32')
    const figures: Record<string, Figures[string]> = {}
    const decoder = await openDecoder()
    for (const workload of ['zipf', 'uniform'] as const) {
      const count = Math.min(events, 1_000_000)
      const stored = storedEvents(workload, count)
      const pure = await median(() => fold(stored, decoder, 'transactions'))
      const wire = await median(() => fold(stored, decoder, 'bytes'))
      figures[`${workload}_fold_events_per_second`] = perSecond(count, pure.ms)
      figures[`${workload}_replay_events_per_second`] = perSecond(count, wire.ms)
      figures[`${workload}_ledger_bytes_per_client`] = Math.round(ledgerBytes(pure.ledgers))
      say(`${workload}: ${perSecond(count, pure.ms)} folds/s, ${perSecond(count, wire.ms)} replayed/s`)
    }
    return figures
  },
}

/** Of three rounds that by its time in the middle. */
async function median(round: () => Folded): Promise<Folded> {
  const rounds: Folded[] = []
  for (let i = 0; i < 3; i++) {
    rounds.push(round())
    // Lets the collector's own turns come.
    await new Promise((resolve) => setImmediate(resolve))
  }
  return rounds.sort((a, b) => a.ms - b.ms)[1]!
}

async function openDecoder(): Promise<TransactionDecoder> {
  const registry: Registry = {
    register: async () => schemaId,
    schemaById: async () => eventType('TransactionRecorded'),
  }
  const decoder = reducedDecoder(registry, 'TransactionRecorded', ['attributes'])
  await decoder.ensure(schemaId)
  return decoder
}

function transactionOf(record: LogRecord, decoder: TransactionDecoder): Transaction {
  const intake = takeIn(record, decoder, programme, 0)
  if (intake.kind === 'refused') throw new Error(`the generator made a bad event: ${JSON.stringify(intake.outcome)}`)
  return intake.transaction
}

/** Keys and values of a batch as a log hands them over, one behind the other. */
interface StoredBatch {
  readonly bytes: Buffer
  /** Where each key and each value ends, in turns. */
  readonly ends: Int32Array
}

/**
 * The events of a workload, generated before any clock runs: a generator between the batches leaves caches full of its own
 * things, and an object for each record would keep the collector busy.
 */
function storedEvents(workload: Workload, events: number): readonly StoredBatch[] {
  const generator = new TransactionGenerator({ ...workloads[workload], events, seed: 1, detailed: false })
  const batches: StoredBatch[] = []
  for (const [records] of encodedTransactions(generator, { schemaId, partitions: 1 })) {
    const parts = records!.flatMap(({ key, value }) => [key!, value!])
    const ends = new Int32Array(parts.length)
    let end = 0
    for (const [i, part] of parts.entries()) ends[i] = end += part.length
    batches.push({ bytes: Buffer.concat(parts), ends })
  }
  return batches
}

function recordsOf({ bytes, ends }: StoredBatch): LogRecord[] {
  const records: LogRecord[] = []
  for (let i = 0, from = 0; i < ends.length; i += 2) {
    const keyEnd = ends[i]!
    const valueEnd = ends[i + 1]!
    const key = bytes.subarray(from, keyEnd)
    const value = bytes.subarray(keyEnd, valueEnd)
    records.push({ offset: i >>> 1, timestampMs: 0, key, value, headers: {} })
    from = valueEnd
  }
  return records
}

interface Folded {
  readonly ms: number
  readonly ledgers: readonly Ledger[]
}

/**
 * Folds a workload, beginning with decoded transactions or with bytes. The clock stands still while a batch is laid out,
 * so that only the ledgers grow, as in a task.
 */
function fold(stored: readonly StoredBatch[], decoder: TransactionDecoder, from: 'transactions' | 'bytes'): Folded {
  const ledgers = new KeyTable<Ledger>()
  const entry = newEntry()
  const effects = newEffects()
  const door = new Door(decoder, 0)
  const ledgerOf = (hash: number, bytes: Uint8Array, from: number, to: number) => {
    let found = ledgers.find(hash, bytes, from, to)
    if (found === undefined) {
      found = Ledger.empty(settings)
      ledgers.add(hash, bytes, from, to, found)
    }
    return found
  }
  const apply = (transaction: Transaction, { key }: LogRecord) =>
    ledgerOf(murmur2(key!), key!, 0, key!.length).apply(entryOf(transaction, entry), effects)
  const take = (record: LogRecord) => {
    door.take(record, programme)
    const { bytes, clientAt, clientEnd } = door.transaction
    ledgerOf(door.clientHash, bytes, clientAt, clientEnd).apply(door.entry, effects)
  }
  let ms = 0
  for (const batch of stored) {
    const records = recordsOf(batch)
    const transactions = from === 'bytes' ? [] : records.map((record) => transactionOf(record, decoder))
    const start = coreMs()
    if (from === 'bytes') for (const record of records) take(record)
    else for (const [i, transaction] of transactions.entries()) apply(transaction, records[i]!)
    ms += coreMs() - start
  }
  return { ms, ledgers: ledgers.items }
}

/** Mean bytes of head and chunks, as they would be stored. */
function ledgerBytes(ledgers: readonly Ledger[]): number {
  let bytes = 0
  for (const ledger of ledgers) {
    bytes += ledger.encodeHead().length
    for (const chunk of [...ledger.changedChunks(), ...ledger.changedColdChunks()]) bytes += chunk.bytes?.length ?? 0
  }
  return bytes / ledgers.length
}
