import { LoyaltyError } from '#streams/core/error.ts'
import type { LogWriter, NewRecord } from '#streams/log/log.ts'

export interface PartitionedRecord {
  readonly partition: number
  readonly record: NewRecord & { readonly key: Uint8Array; readonly value: Uint8Array }
}

export interface GroupCommitOptions {
  readonly writer: LogWriter
  readonly topic: string
  /** How long the first of a group waits for others; default 2 ms. */
  readonly lingerMs?: number
  /** What is to be found out once a group is durable, before anybody is told; its errors are those of the group. */
  readonly confirm?: (() => Promise<void>) | undefined
  /** Hears of each durable group. */
  readonly onCommitted?: (records: number, ms: number) => void
}

const groupRecords = 10_000
const groupBytes = 4 * 1024 * 1024

interface Group {
  readonly partitions: Map<number, NewRecord[]>
  records: number
  bytes: number
  readonly settled: Promise<void>
  readonly done: () => void
  readonly failed: (error: unknown) => void
}

/**
 * Appends of concurrent requests in common round trips: what comes while a group is on its way makes up the next one. One
 * group is under way at a time, so that a busy log makes groups larger, not more.
 */
export class GroupCommit {
  readonly #options: GroupCommitOptions
  readonly #waiting: Group[] = []
  #working: Promise<void> | null = null
  #closed = false

  constructor(options: GroupCommitOptions) {
    this.#options = options
  }

  /** Resolves once the log has all of them durably. Errors: those of `LogWriter.appendMany`; `stopping`. */
  append(records: readonly PartitionedRecord[]): Promise<void> {
    if (records.length === 0) return Promise.resolve()
    if (this.#closed)
      return Promise.reject(new LoyaltyError('stopping', 'the program is stopping; send it again', { retriable: true }))
    const group = this.#groupWithRoom()
    for (const { partition, record } of records) {
      const others = group.partitions.get(partition)
      if (others === undefined) group.partitions.set(partition, [record])
      else others.push(record)
      group.bytes += record.key.length + record.value.length
    }
    group.records += records.length
    this.#working ??= this.#work()
    return group.settled
  }

  /** Ends when everything taken so far is settled. */
  async close(): Promise<void> {
    this.#closed = true
    await this.#working
  }

  #groupWithRoom(): Group {
    const last = this.#waiting.at(-1)
    if (last !== undefined && last.records < groupRecords && last.bytes < groupBytes) return last
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    const group = { partitions: new Map(), records: 0, bytes: 0, settled: promise, done: resolve, failed: reject }
    this.#waiting.push(group)
    return group
  }

  async #work(): Promise<void> {
    await new Promise((resolve) => setTimeout(resolve, this.#options.lingerMs ?? 2))
    for (let group = this.#waiting.shift(); group !== undefined; group = this.#waiting.shift())
      await this.#commit(group)
    this.#working = null
  }

  async #commit(group: Group): Promise<void> {
    const { writer, topic, confirm, onCommitted } = this.#options
    const startedMs = performance.now()
    try {
      await writer.appendMany([...group.partitions].map(([partition, records]) => ({ topic, partition, records })))
      await confirm?.()
    } catch (error) {
      group.failed(error)
      return
    }
    onCommitted?.(group.records, performance.now() - startedMs)
    group.done()
  }
}
