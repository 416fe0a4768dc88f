import type { LogBatch, LogRecord } from '../log/log.ts'

/** Records of one partition that were read and not yet folded, in order, with a bound on their bytes. */
export class Inbox {
  #batches: { records: readonly LogRecord[]; from: number }[] = []
  #count = 0
  #bytes = 0
  #nextOffset = 0
  #endOffset = 0

  /** Records waiting. */
  get count(): number {
    return this.#count
  }

  get bytes(): number {
    return this.#bytes
  }

  /** Arrival of the first record waiting, or null. */
  get oldestMs(): number | null {
    const batch = this.#batches[0]
    return batch?.records[batch.from]?.timestampMs ?? null
  }

  /** Where reading goes on behind everything that was added. */
  get nextOffset(): number {
    return this.#nextOffset
  }

  /** End of the partition as of the newest batch. */
  get endOffset(): number {
    return this.#endOffset
  }

  /** Empties it and starts over at `offset`. */
  reset(offset: number): void {
    this.#batches = []
    this.#count = 0
    this.#bytes = 0
    this.#nextOffset = offset
    this.#endOffset = Math.max(this.#endOffset, offset)
  }

  /** Adds a batch; records below the next offset were seen before and are dropped. */
  add(batch: LogBatch): void {
    this.#endOffset = batch.endOffset
    if (batch.nextOffset <= this.#nextOffset) return
    const records = batch.records.filter((record) => record.offset >= this.#nextOffset)
    this.#nextOffset = batch.nextOffset
    if (records.length === 0) return
    let bytes = 0
    for (const record of records) bytes += sizeOf(record)
    this.#batches.push({ records, from: 0 })
    this.#count += records.length
    this.#bytes += bytes
  }

  /** Takes records from the front: at most `maxRecords`, at most `maxBytes` but at least one. */
  take(maxRecords: number, maxBytes: number): LogRecord[] {
    const taken: LogRecord[] = []
    let bytes = 0
    while (taken.length < maxRecords) {
      const batch = this.#batches[0]
      if (batch === undefined) break
      const record = batch.records[batch.from]!
      const size = sizeOf(record)
      if (taken.length > 0 && bytes + size > maxBytes) break
      taken.push(record)
      bytes += size
      batch.from += 1
      if (batch.from === batch.records.length) this.#batches.shift()
    }
    this.#count -= taken.length
    this.#bytes -= bytes
    return taken
  }

  /** Puts records that were taken back to the front, in order. */
  putBack(records: readonly LogRecord[]): void {
    if (records.length === 0) return
    let bytes = 0
    for (const record of records) bytes += sizeOf(record)
    this.#batches.unshift({ records, from: 0 })
    this.#count += records.length
    this.#bytes += bytes
  }
}

function sizeOf(record: LogRecord): number {
  return (record.value?.length ?? 0) + (record.key?.length ?? 0) + 64
}
