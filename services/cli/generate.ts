import { type Registry, registerAll } from '#schemas/registry.ts'
import type { Topics } from '#schemas/topics.ts'
import { hasCode, LoyaltyError } from '#streams/core/error.ts'
import type { Log } from '#streams/log/log.ts'
import { contextOfLog } from './features-export.ts'
import { encodedTransactions } from './generator/encoded.ts'
import { Pace } from './generator/pace.ts'
import { type GenerateReport, never, type Run, reportOf } from './generator/report.ts'
import { type GeneratorOptions, TransactionGenerator } from './generator/transactions.ts'

export interface LogTarget {
  readonly log: Log
  readonly registry: Registry
  readonly topics: Topics
}

/**
 * The currency of transactions for a log: that which was wished for, else that of its programme. A log without a programme
 * takes any. Errors: `wrong_currency` (all of them would be dead letters), `programme_missing` (and none was wished for).
 */
export async function currencyFor({ log, registry, topics }: LogTarget, wished: string | undefined): Promise<string> {
  const context = await contextOfLog(log, topics, registry).catch((error: unknown) => {
    if (wished !== undefined && hasCode(error, 'programme_missing')) return null
    throw error
  })
  const currency = context?.programme?.currency ?? wished
  if (wished === undefined || wished === currency) return currency!
  throw new LoyaltyError(
    'wrong_currency',
    `--currency says ${wished}, the programme counts in ${currency}: every transaction would be a dead letter; ` +
      'nothing was published',
    { details: { given: wished, programme: currency } },
  )
}

const batchEvents = 20_000

/**
 * Publishes generated transactions, keyed by client. Errors: `generator_options`, `log_topic_missing` (start the platform
 * once, or run `loyalty topics`), those of `LogWriter.append` and of the registry.
 */
export async function generateToLog(
  { log, registry, topics }: LogTarget,
  options: GeneratorOptions,
  { ratePerSecond, onProgress = () => {}, signal = never }: Run = {},
): Promise<GenerateReport> {
  const topic = topics.transactions
  const partitions = await log.admin.partitions(topic)
  if (partitions === null)
    throw new LoyaltyError('log_topic_missing', `topic ${topic} does not exist; create it with \`loyalty topics\``)
  const ids = await registerAll(registry, topics, ['TransactionRecorded'])
  const generator = new TransactionGenerator(options)
  const pace = new Pace(ratePerSecond ?? null)
  const writer = log.writer()
  let events = 0
  try {
    const encoding = { schemaId: ids.TransactionRecorded, partitions, batchEvents: pace.turn(batchEvents) }
    for (const batch of encodedTransactions(generator, encoding)) {
      const filled = batch.flatMap((records, partition) => (records.length > 0 ? [{ topic, partition, records }] : []))
      await pace.due(events, signal)
      await writer.appendMany(filled)
      events += filled.reduce((sum, { records }) => sum + records.length, 0)
      onProgress(events)
      if (signal.aborted) break
    }
  } finally {
    await writer.close()
  }
  return reportOf(generator, { events, pace, wanted: options.events })
}
