import { LoyaltyError } from '#streams/core/error.ts'
import type { Log, LogWriter, NewRecord } from '#streams/log/log.ts'

const batchRecords = 5_000
const batchBytes = 4 * 1024 * 1024

/**
 * Appends records to the partitions of a topic in the order in which they come, some thousands at once. What a partition
 * has already is passed over: of a fresh log offsets are counts.
 */
export class PartitionAppender {
  readonly #writer: LogWriter
  readonly #topic: string
  /** Records still to be passed over, per partition. */
  readonly #passed: number[]
  readonly #signal: AbortSignal
  readonly #onProgress: (records: number) => void
  #waiting = new Map<number, NewRecord[]>()
  #waitingRecords = 0
  #waitingBytes = 0
  #settled = 0

  constructor(
    log: Log,
    topic: string,
    ends: readonly number[],
    signal: AbortSignal,
    onProgress: (records: number) => void,
  ) {
    this.#writer = log.writer()
    this.#topic = topic
    this.#passed = [...ends]
    this.#signal = signal
    this.#onProgress = onProgress
  }

  /** Passes over so many records at once; false where the partition does not have them all. */
  skip(partition: number, records: number): boolean {
    const passed = this.#passed[partition] ?? 0
    if (records > passed) return false
    this.#passed[partition] = passed - records
    this.#settle(records)
    return true
  }

  /** Errors: those of `LogWriter.append`, `interrupted`. */
  async add(partition: number, record: NewRecord): Promise<void> {
    if (this.skip(partition, 1)) return
    const records = this.#waiting.get(partition)
    if (records === undefined) this.#waiting.set(partition, [record])
    else records.push(record)
    this.#waitingRecords++
    this.#waitingBytes += (record.key?.length ?? 0) + (record.value?.length ?? 0)
    if (this.#waitingRecords >= batchRecords || this.#waitingBytes >= batchBytes) await this.flush()
  }

  async flush(): Promise<void> {
    if (this.#signal.aborted)
      throw new LoyaltyError('interrupted', 'the import was interrupted; the same command goes on with it')
    const batches = [...this.#waiting].map(([partition, records]) => ({ topic: this.#topic, partition, records }))
    const records = this.#waitingRecords
    this.#waiting = new Map()
    this.#waitingRecords = 0
    this.#waitingBytes = 0
    if (records === 0) return
    await this.#writer.appendMany(batches)
    this.#settle(records)
  }

  async close(): Promise<void> {
    await this.#writer.close()
  }

  #settle(records: number): void {
    this.#settled += records
    this.#onProgress(this.#settled)
  }
}
