import { createWriteStream } from 'node:fs'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { createGzip } from 'node:zlib'
import { decoderOf, reducedDecoder } from '#schemas/decoder.ts'
import type { Registry } from '#schemas/registry.ts'
import type { Topics } from '#schemas/topics.ts'
import { LoyaltyError } from '#streams/core/error.ts'
import { isoOfDay } from '#streams/domain/calendar.ts'
import { type Context, contextAt, evolve, initialContext } from '#streams/domain/context.ts'
import type { Effects } from '#streams/domain/effects.ts'
import { entryOf, newEntry } from '#streams/domain/entry.ts'
import { evaluate } from '#streams/domain/evaluate.ts'
import { featureIndices, featureNames, featuresInto } from '#streams/domain/features.ts'
import { type Horizon, horizonOf, labelOf, topFifth } from '#streams/domain/labels.ts'
import { Ledger, type LedgerSettings } from '#streams/domain/ledger.ts'
import type { Transaction } from '#streams/domain/transaction.ts'
import { newValues, type Values } from '#streams/domain/values.ts'
import type { Log } from '#streams/log/log.ts'
import { readRange } from '#streams/log/range.ts'
import { controlEventOf } from '#streams/topologies/context.ts'
import { takeIn } from '#streams/topologies/intake.ts'
import type { ControlEvents } from '#streams/topologies/wire.ts'
import { writing } from './writing.ts'

/** The ledgers of a programme, folded in memory, and how far its data reach. */
export interface FoldedLedgers {
  readonly ledgers: ReadonlyMap<string, Ledger>
  readonly transactions: number
  /** Newest day of an accepted transaction, or null where there is none. */
  readonly newestDay: number | null
}

export interface FeaturesReport {
  readonly rows: number
  readonly clients: number
  readonly transactions: number
}

/** Nothing is stored and nothing folded away, so that features of any date see every entry. */
const settings: LedgerSettings = {
  cap: Number.POSITIVE_INFINITY,
  chunks: { entryChunk: notStored, coldChunk: notStored },
}

function notStored(): never {
  throw new LoyaltyError('internal_error', 'a ledger in memory has no stored chunks')
}

/** Folds transactions in any order. Repetitions and conflicting duplicates change nothing, as in the stream. */
export async function foldLedgers(
  transactions: AsyncIterable<Transaction> | Iterable<Transaction>,
  context: Context,
): Promise<FoldedLedgers> {
  const ledgers = new Map<string, Ledger>()
  const entry = newEntry()
  const effects: Effects = { count: 0, grossMinor: 0, netMinor: 0, others: [] }
  let accepted = 0
  let newestMs = Number.NEGATIVE_INFINITY
  for await (const transaction of transactions) {
    let ledger = ledgers.get(transaction.clientId)
    if (ledger === undefined) {
      ledger = Ledger.empty(settings)
      ledgers.set(transaction.clientId, ledger)
    }
    if (ledger.apply(entryOf(transaction, entry), effects) !== 'accepted') continue
    accepted++
    newestMs = Math.max(newestMs, transaction.occurredAtMs)
  }
  return { ledgers, transactions: accepted, newestDay: accepted === 0 ? null : context.calendar.dayOf(newestMs) }
}

/**
 * Lines of the training file: a header, then for each of `days` every client with a counted sale by then: all features as
 * of the day, the segment it turned out to belong to, whether it bought in the `horizonDays` after, and its net spend
 * there. Errors: `export_options`, and
 * `horizon_beyond_data` where the data end before a horizon does.
 */
export function* featureLines(
  folded: FoldedLedgers,
  context: Context,
  days: readonly number[],
  horizonDays: number,
): Generator<string> {
  checkHorizon(folded, days, horizonDays)
  yield ['as_of', 'client_id', ...featureNames, 'segment', 'buys', 'horizon_net_minor'].join(',')
  const indices = featureIndices(featureNames)
  const row = new Float32Array(featureNames.length)
  // In the order of ids, so that the file does not depend on the order of arrival or on partitions.
  const clients = [...folded.ledgers].sort(([a], [b]) => (a < b ? -1 : 1))
  for (const day of days) {
    const at = contextAt(context, day)
    const buyers: { id: string; values: Values; horizon: Horizon }[] = []
    for (const [id, ledger] of clients) {
      const values = newValues()
      evaluate(ledger, at, values)
      if (values.frequency > 0) buyers.push({ id, values, horizon: horizonOf(ledger, at, values, horizonDays) })
    }
    const cut = topFifth(buyers.map(({ horizon }) => horizon))
    for (const { id, values, horizon } of buyers) {
      featuresInto(values, at, indices, row, 0)
      const label = labelOf(values, horizon, cut)
      const known = [label, horizon.purchases > 0 ? 1 : 0, horizon.netMinor]
      yield [isoOfDay(day), quoted(id), ...Array.from(row, shortest), ...known].join(',')
    }
  }
}

function checkHorizon({ newestDay }: FoldedLedgers, days: readonly number[], horizonDays: number): void {
  if (days.length === 0 || !days.every(Number.isInteger) || !Number.isInteger(horizonDays) || horizonDays < 1)
    throw new LoyaltyError('export_options', 'give --as-of as ISO dates (2011-09-10) and --horizon as a number of days')
  const needed = Math.max(...days) + horizonDays
  if (newestDay !== null && needed <= newestDay) return
  throw new LoyaltyError(
    'horizon_beyond_data',
    `labels need transactions up to ${isoOfDay(needed)}, the log ends ${
      newestDay === null ? 'empty' : `on ${isoOfDay(newestDay)}`
    }; choose an earlier --as-of or a shorter --horizon`,
    { details: { needed: isoOfDay(needed), newest: newestDay === null ? null : isoOfDay(newestDay) } },
  )
}

/** The shortest text that brings back a float32 exactly; nine digits always do. */
function shortest(value: number): string {
  if (Number.isInteger(value)) return String(value)
  for (let digits = 6; digits < 9; digits++) {
    const short = Number(value.toPrecision(digits))
    if (Math.fround(short) === value) return String(short)
  }
  return String(Number(value.toPrecision(9)))
}

function quoted(text: string): string {
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text
}

/** Writes the training file, compressed where `path` ends in .gz. Errors: those of `featureLines`; `file_unwritable`. */
export async function exportFeatures(
  path: string,
  folded: FoldedLedgers,
  context: Context,
  days: readonly number[],
  horizonDays: number,
): Promise<FeaturesReport> {
  checkHorizon(folded, days, horizonDays)
  let rows = -1
  const text = function* () {
    for (const line of featureLines(folded, context, days, horizonDays)) {
      rows++
      yield `${line}\n`
    }
  }
  const source = Readable.from(text())
  await writing(path, () => {
    const file = createWriteStream(path)
    return path.endsWith('.gz') ? pipeline(source, createGzip(), file) : pipeline(source, file)
  })
  return { rows, clients: folded.ledgers.size, transactions: folded.transactions }
}

/** The context of a programme: the fold of all of its control records. Errors: `programme_missing`. */
export async function contextOfLog(log: Log, topics: Topics, registry: Registry): Promise<Context> {
  const decoder = decoderOf(registry, 'ProgrammeConfigured', 'DayStarted', 'CutPointsPublished', 'ModelActivated')
  let context = initialContext()
  for await (const record of recordsOf(log, topics.control, 0)) {
    const decoded = await decoder.read(record.value)
    if (decoded.kind === 'ok') context = evolve(context, controlEventOf(decoded as ControlRecord))
  }
  if (context.programme !== null) return context
  throw new LoyaltyError('programme_missing', `${topics.control} configures no programme; run \`loyalty start\` once`)
}

type ControlRecord = Parameters<typeof controlEventOf>[0] & { readonly event: ControlEvents[keyof ControlEvents] }

/** Every transaction of the log that a task would not refuse at its door. Tells its progress in records. */
export async function* transactionsOfLog(
  log: Log,
  topics: Topics,
  registry: Registry,
  programme: { readonly currency: string; readonly partitions: number },
  onProgress: (records: number, total: number) => void = () => {},
): AsyncGenerator<Transaction> {
  const decoder = reducedDecoder(registry, 'TransactionRecorded', ['attributes'])
  const ends = await log.admin.endOffsets(topics.transactions)
  const total = ends.reduce((sum, end) => sum + end, 0)
  let records = 0
  for (let partition = 0; partition < ends.length; partition++)
    for await (const record of recordsOf(log, topics.transactions, partition)) {
      await decoder.read(record.value)
      const intake = takeIn(record, decoder, programme, partition)
      if (intake.kind === 'transaction') yield intake.transaction
      if (++records % 10_000 === 0) onProgress(records, total)
    }
  onProgress(total, total)
}

async function* recordsOf(log: Log, topic: string, partition: number) {
  const start = (await log.admin.startOffsets(topic))[partition] ?? 0
  const end = (await log.admin.endOffsets(topic))[partition] ?? 0
  for await (const batch of readRange(log, topic, partition, start, end)) yield* batch.records
}
