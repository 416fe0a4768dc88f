import { once } from 'node:events'
import { createWriteStream } from 'node:fs'
import { finished } from 'node:stream/promises'
import type { TransactionRecorded } from '#schemas/events.ts'
import { type Registry, registerAll } from '#schemas/registry.ts'
import type { Topics } from '#schemas/topics.ts'
import { LoyaltyError } from '#streams/core/error.ts'
import type { Log } from '#streams/log/log.ts'
import { encodedTransactions } from './generator/encoded.ts'
import { type GeneratorCounts, type GeneratorOptions, TransactionGenerator } from './generator/transactions.ts'

export interface GenerateReport extends GeneratorCounts {
  readonly events: number
  readonly seconds: number
}

export interface LogTarget {
  readonly log: Log
  readonly registry: Registry
  readonly topics: Topics
  /** Events per second; absent: as fast as the log takes them. */
  readonly ratePerSecond?: number
}

export type OnProgress = (events: number) => void

/**
 * Publishes generated transactions, keyed by client. Errors: `generator_options`, `log_topic_missing` (start the platform
 * once, or run `loyalty topics`), those of `LogWriter.append` and of the registry.
 */
export async function generateToLog(
  target: LogTarget,
  options: GeneratorOptions,
  onProgress: OnProgress = () => {},
): Promise<GenerateReport> {
  const { log, registry, topics, ratePerSecond } = target
  const topic = topics.transactions
  const partitions = await log.admin.partitions(topic)
  if (partitions === null)
    throw new LoyaltyError('log_topic_missing', `topic ${topic} does not exist; create it with \`loyalty topics\``)
  const ids = await registerAll(registry, topics, ['TransactionRecorded'])
  const generator = new TransactionGenerator(options)
  const startMs = performance.now()
  const writer = log.writer()
  let events = 0
  try {
    // At a given rate, slices of 10 ms: often enough to look like single tills, seldom enough to cost little.
    const batchEvents = ratePerSecond === undefined ? 20_000 : Math.max(1, Math.round(ratePerSecond / 100))
    const encoding = { schemaId: ids.TransactionRecorded, partitions, batchEvents }
    for (const batch of encodedTransactions(generator, encoding)) {
      const filled = batch.flatMap((records, partition) => (records.length > 0 ? [{ topic, partition, records }] : []))
      if (ratePerSecond !== undefined) await until(startMs + (events / ratePerSecond) * 1_000)
      await writer.appendMany(filled)
      events += filled.reduce((sum, { records }) => sum + records.length, 0)
      onProgress(events)
    }
  } finally {
    await writer.close()
  }
  return reportOf(generator, events, startMs)
}

/** Columns of a generated file: one receipt a row. */
export const generatedColumns = [
  'receipt_number',
  'client_id',
  'kind',
  'occurred_at',
  'amount',
  'currency',
  'store_id',
  'terminal_id',
  'payment_method',
  'items_count',
  'original_receipt_number',
] as const

/** Writes generated transactions as CSV, repetitions too. Errors: `generator_options`, those of the file system. */
export async function generateToFile(
  path: string,
  options: GeneratorOptions,
  onProgress: OnProgress = () => {},
): Promise<GenerateReport> {
  const generator = new TransactionGenerator({ ...options, detailed: true })
  const startMs = performance.now()
  const file = createWriteStream(path)
  let events = 0
  let lines = [generatedColumns.join(',')]
  const flush = async () => {
    const text = `${lines.join('\n')}\n`
    lines = []
    if (!file.write(text)) await Promise.race([once(file, 'drain'), finished(file)])
  }
  try {
    for (let event = generator.next(); event !== null; event = generator.next()) {
      lines.push(csvRow(event))
      events++
      if (lines.length < 5_000) continue
      await flush()
      onProgress(events)
    }
    await flush()
    file.end()
    await finished(file)
  } finally {
    file.destroy()
  }
  onProgress(events)
  return reportOf(generator, events, startMs)
}

/** No value of the generator needs quotes. */
function csvRow(event: TransactionRecorded): string {
  const original = event.original_transaction_id
  return [
    event.receipt_number,
    event.client_id,
    event.kind,
    new Date(event.occurred_at).toISOString(),
    `${Math.floor(event.amount_minor / 100)}.${String(event.amount_minor % 100).padStart(2, '0')}`,
    event.currency,
    event.store_id,
    event.terminal_id,
    event.payment_method,
    event.items_count,
    original === null ? '' : original.slice(original.indexOf('-') + 1),
  ].join(',')
}

function reportOf(generator: TransactionGenerator, events: number, startMs: number): GenerateReport {
  const seconds = Math.round(performance.now() - startMs) / 1_000
  return { events, ...generator.counts, seconds }
}

async function until(atMs: number): Promise<void> {
  const waitMs = atMs - performance.now()
  if (waitMs > 0) await new Promise((resolve) => setTimeout(resolve, waitMs))
}
