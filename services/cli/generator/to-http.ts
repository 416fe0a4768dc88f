import { hasCode } from '#streams/core/error.ts'
import { TillClient } from '../till-client.ts'
import { Pace } from './pace.ts'
import { type GenerateReport, never, type Run, reportOf } from './report.ts'
import { tillItemOf } from './till-item.ts'
import { type GeneratorOptions, generatorSystem, TransactionGenerator } from './transactions.ts'

export interface HttpTarget {
  /** Base address of the API or of ingestion. */
  readonly url: string
  /** Transactions of a request; default 500. */
  readonly batch?: number | undefined
  /** Requests under way at once; default 4. */
  readonly connections?: number | undefined
  /** How long nobody may answer; default a minute. */
  readonly patienceMs?: number | undefined
}

export interface HttpReport extends GenerateReport {
  /** Transactions that were answered as accepted. */
  readonly accepted: number
  readonly rejected: number
  /** How many were rejected, by code. */
  readonly codes: Readonly<Record<string, number>>
  /** Requests that were sent again: without an answer, or told to wait. */
  readonly retries: number
}

/**
 * Sends generated transactions as tills do. Errors: `generator_options`, those of `TillClient.send` but `interrupted`, which
 * the report tells.
 */
export async function generateToHttp(
  { url, batch = 500, connections = 4, patienceMs }: HttpTarget,
  options: GeneratorOptions,
  { ratePerSecond, onProgress = () => {}, signal = never }: Run = {},
): Promise<HttpReport> {
  const generator = new TransactionGenerator({ ...options, detailed: true })
  const failed = new AbortController()
  const ended = AbortSignal.any([signal, failed.signal])
  const client = new TillClient({ url, system: generatorSystem, patienceMs, signal: ended })
  const pace = new Pace(ratePerSecond ?? null)
  const codes: Record<string, number> = {}
  let [taken, accepted, rejected] = [0, 0, 0]
  const next = () => {
    const items: unknown[] = []
    const most = pace.take(taken, batch)
    for (let event = generator.next(); event !== null; event = generator.next())
      if (items.push(tillItemOf(event)) === most) break
    const first = taken
    taken += items.length
    return { items, first }
  }
  const connection = async () => {
    while (!ended.aborted) {
      const { items, first } = next()
      if (items.length === 0) return
      await pace.due(first, ended)
      const delivery = await client.send(items)
      accepted += delivery.accepted
      rejected += delivery.rejected
      for (const [code, count] of Object.entries(delivery.codes)) codes[code] = (codes[code] ?? 0) + count
      onProgress(accepted + rejected)
    }
  }
  const outcomes = await Promise.allSettled(
    Array.from({ length: connections }, () =>
      connection().catch((error) => {
        failed.abort()
        throw error
      }),
    ),
  )
  // A connection that failed called the others off.
  const faults = outcomes.flatMap((outcome) => (outcome.status === 'rejected' ? [outcome.reason as unknown] : []))
  const cause = faults.find((error) => !hasCode(error, 'interrupted'))
  if (cause !== undefined) throw cause
  const report = reportOf(generator, { events: accepted + rejected, pace, wanted: options.events })
  return { ...report, accepted, rejected, codes, retries: client.retries }
}
