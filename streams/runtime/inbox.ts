import type { LogBatch } from '../log/log.ts'
import { partOf } from '../log/range.ts'

/** Batches of one partition that were read and not yet folded, in order, with a bound on their bytes. */
export class Inbox {
  #batches: LogBatch[] = []
  #count = 0
  #bytes = 0
  #nextOffset = 0
  #endOffset = 0
  /** Arrival of the first record of a batch, found out when it was asked for. */
  #oldest: { readonly batch: LogBatch; readonly timestampMs: number | null } | null = null

  /** Records waiting, at most. */
  get count(): number {
    return this.#count
  }

  get bytes(): number {
    return this.#bytes
  }

  /** Arrival of the first record waiting, or null. */
  get oldestMs(): number | null {
    const batch = this.#batches[0]
    if (batch === undefined) return null
    if (this.#oldest?.batch !== batch) this.#oldest = { batch, timestampMs: batch.records[0]?.timestampMs ?? null }
    return this.#oldest.timestampMs
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
    this.#oldest = null
    this.#nextOffset = offset
    this.#endOffset = Math.max(this.#endOffset, offset)
  }

  /** Adds the batch that follows. What was seen before is dropped, as is what an earlier position left behind. */
  add(batch: LogBatch): void {
    this.#endOffset = batch.endOffset
    const { fromOffset, nextOffset } = batch
    if (nextOffset <= this.#nextOffset || fromOffset > this.#nextOffset) return
    const overlaps = fromOffset < this.#nextOffset
    const fresh = overlaps
      ? partOf(
          batch,
          batch.records.filter(({ offset }) => offset >= this.#nextOffset),
        )
      : batch
    this.#nextOffset = nextOffset
    if (fresh.count === 0) return
    this.#batches.push(fresh)
    this.#count += fresh.count
    this.#bytes += fresh.bytes
  }

  /**
   * Takes batches from the front: at most `maxRecords` and about `maxBytes`, but at least one record where there is one.
   * Whole batches where possible; one is cut where what could be taken without it would be less than half of the bound.
   */
  take(maxRecords: number, maxBytes: number): LogBatch[] {
    const taken: LogBatch[] = []
    let count = 0
    let bytes = 0
    while (this.#batches.length > 0 && count < maxRecords && bytes < maxBytes) {
      const batch = this.#batches[0]!
      const fits = count + batch.count <= maxRecords && bytes + batch.bytes <= maxBytes
      if (!fits && count > maxRecords / 2) break
      const next = fits ? batch : this.#cut(batch, maxRecords - count, maxBytes - bytes)
      if (fits) this.#batches.shift()
      taken.push(next)
      count += next.count
      bytes += next.bytes
    }
    this.#count -= count
    this.#bytes -= bytes
    return taken
  }

  /** Puts batches that were taken back to the front, in order. */
  putBack(batches: readonly LogBatch[]): void {
    for (const { count, bytes } of batches) {
      this.#count += count
      this.#bytes += bytes
    }
    this.#batches.unshift(...batches)
  }

  /** Takes a part off the first batch: some of its records, at least one. */
  #cut(batch: LogBatch, maxRecords: number, maxBytes: number): LogBatch {
    const { records } = batch
    let to = 0
    for (let bytes = 0; to < Math.min(records.length, maxRecords) && (to === 0 || bytes < maxBytes); to++)
      bytes += (records[to]!.key?.length ?? 0) + (records[to]!.value?.length ?? 0)
    const cutAt = records[to]?.offset ?? batch.nextOffset
    const front = { ...partOf(batch, records.slice(0, to)), nextOffset: cutAt }
    const rest = { ...partOf(batch, records.slice(to)), fromOffset: cutAt }
    this.#count += front.count + rest.count - batch.count
    this.#bytes += front.bytes + rest.bytes - batch.bytes
    if (rest.count === 0) this.#batches.shift()
    else this.#batches[0] = rest
    return front
  }
}
