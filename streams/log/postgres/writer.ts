import { LoyaltyError } from '../../core/error.ts'
import type { LogWriter, NewRecord, TopicPartition } from '../log.ts'
import { appendTransaction, checkSizes, PendingAppends } from './append.ts'
import type { Catalogue, TopicInfo } from './catalogue.ts'
import type { Connections } from './connections.ts'

/** Calls waiting for one transaction are taken together up to this size. */
const transactionBytes = 16 * 1024 * 1024

interface Call {
  readonly batches: readonly { info: TopicInfo; partition: number; records: readonly NewRecord[] }[]
  readonly done: (bases: number[]) => void
  readonly failed: (error: unknown) => void
}

/**
 * Appends in the order of the calls. Calls that arrive while a transaction is under way share the next one, so many small
 * appends cost few commits.
 */
export class PostgresWriter implements LogWriter {
  private readonly connections: Connections
  private readonly catalogue: Catalogue
  private queue: Call[] = []
  private entering: Promise<unknown> = Promise.resolve()
  private working: Promise<void> | undefined
  private closed = false

  constructor(connections: Connections, catalogue: Catalogue) {
    this.connections = connections
    this.catalogue = catalogue
  }

  async append(topic: string, partition: number, records: readonly NewRecord[]): Promise<number> {
    const [base] = await this.enqueue([{ topic, partition, records }])
    return base!
  }

  async appendMany(batches: readonly (TopicPartition & { readonly records: readonly NewRecord[] })[]): Promise<void> {
    await this.enqueue(batches)
  }

  async close(): Promise<void> {
    this.closed = true
    await this.entering.catch(() => {})
    await this.working
  }

  private enqueue(
    batches: readonly (TopicPartition & { readonly records: readonly NewRecord[] })[],
  ): Promise<number[]> {
    if (this.closed) return Promise.reject(new LoyaltyError('log_closed', 'the writer was closed'))
    // Looking a topic up may take a round trip; calls keep their order all the same.
    const entered = this.entering.then(() => this.resolved(batches))
    this.entering = entered.catch(() => {})
    return entered.then(
      (found) =>
        new Promise((done, failed) => {
          this.queue.push({ batches: found, done, failed })
          this.working ??= this.work()
        }),
    )
  }

  private async resolved(batches: readonly (TopicPartition & { readonly records: readonly NewRecord[] })[]) {
    const found: { info: TopicInfo; partition: number; records: readonly NewRecord[] }[] = []
    for (const { topic, partition, records } of batches) {
      const info = await this.catalogue.topic(topic, partition)
      checkSizes(info, partition, records)
      found.push({ info, partition, records })
    }
    return found
  }

  private async work(): Promise<void> {
    // One turn later, calls made together are there together.
    await new Promise((resolve) => setImmediate(resolve))
    while (this.queue.length > 0) await this.commitSome()
    this.working = undefined
  }

  private async commitSome(): Promise<void> {
    const appends = new PendingAppends()
    const calls: { call: Call; places: { key: string; at: number }[] }[] = []
    while (this.queue.length > 0 && appends.bytes < transactionBytes) {
      const call = this.queue.shift()!
      const places = call.batches.map(({ info, partition, records }) => {
        const at = appends.count(info, partition)
        appends.add(info, partition, records)
        return { key: `${info.id}/${partition}`, at }
      })
      calls.push({ call, places })
    }
    try {
      const bases = await appendTransaction(this.connections, this.catalogue, appends)
      for (const { call, places } of calls) call.done(places.map(({ key, at }) => (bases.get(key) ?? 0) + at))
    } catch (error) {
      for (const { call } of calls) call.failed(asWriterError(error))
    }
  }
}

/** Without a transaction of its own the caller can only be told that the records may have been written. */
function asWriterError(error: unknown): unknown {
  if (error instanceof LoyaltyError && error.code === 'log_commit_unknown')
    return new LoyaltyError('log_unavailable', 'the connection was lost; the records may have been written', {
      retriable: true,
      cause: error,
    })
  return error
}
