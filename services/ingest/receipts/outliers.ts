import { createReadStream } from 'node:fs'
import { join } from 'node:path'
import { Buckets, bucketPath } from '../files/buckets.ts'
import { minorDigits } from '../parse/currency.ts'
import type { FileProfile } from '../profile.ts'

/** How far above the median an amount is unusual where the profile does not say: one in a thousand receipts of a shop. */
const usualMads = 100
/** Of fewer receipts nothing can be told. */
const leastReceipts = 100

/** The rule by which receipts of a file were flagged, and what came of it. Amounts are in minor units. */
export interface OutlierFindings {
  /** Amounts above it are flagged; null where the rule says nothing of such a file. */
  readonly above_minor: number | null
  readonly max_minor: number | null
  readonly mads: number | null
  /** Of sales and refunds together, to within a hundredth; null where `mads` is, or of too few receipts. */
  readonly median_minor: number | null
  readonly mad_minor: number | null
  readonly flagged: number
}

/** What waits: amount (8, double), how many rows (4), their numbers (4 each). */
const headBytes = 12

/** Bins to each doubling: their middles are less than 0.3 % from what is in them. */
const binsPerDoubling = 128

/**
 * Flags receipts whose amount is far above the others of their file: above a bound that the profile names, or above the
 * median by so many median absolute deviations, which no outlier can move. The median is known only at the end, so what
 * may be beyond it waits on disk: all of them, or, where receipts come in buckets that are each a sample of the whole file,
 * what is not below half of the bound that the first buckets show. The final bound is never below what was let go.
 */
export class Outliers {
  readonly #directory: string
  readonly #waiting: Buckets
  readonly #maxMinor: number | null
  readonly #mads: number | null
  #record = Buffer.alloc(1_024)
  readonly #counts = new Float64Array(53 * binsPerDoubling + 1)
  #receipts = 0
  #receiptsAtLook = 0
  /** Amounts up to here wait no longer. */
  #floor = 0
  #highestFloor = 0

  private constructor(directory: string, waiting: Buckets, profile: FileProfile) {
    this.#directory = directory
    this.#waiting = waiting
    const rule = profile.outliers ?? { mads: usualMads }
    const max = rule === 'off' ? undefined : rule.max_amount
    this.#maxMinor = max === undefined ? null : Math.round(max * 10 ** minorDigits(profile.currency))
    this.#mads = rule === 'off' ? null : (rule.mads ?? null)
    if (this.#mads === null) this.#floor = this.#maxMinor ?? Number.POSITIVE_INFINITY
  }

  static async create(directory: string, profile: FileProfile): Promise<Outliers> {
    const path = join(directory, 'outliers')
    return new Outliers(path, await Buckets.create(path, 1), profile)
  }

  /** A sale or a refund with the numbers of its rows. */
  add(amountMinor: number, rows: readonly { readonly number: number }[]): void {
    this.#receipts++
    if (this.#mads !== null) this.#counts[Math.floor(Math.log2(amountMinor) * binsPerDoubling)]!++
    if (amountMinor <= this.#floor) return
    this.#wait(amountMinor, rows)
  }

  /** Call it between batches of receipts. */
  async drain(): Promise<void> {
    await this.#waiting.drain()
  }

  /** To be called after each bucket, where every bucket is a sample of the whole file. */
  endBucket(): void {
    // Looked at anew when there are twice as many, which is often enough for what hardly moves.
    if (this.#mads === null || this.#receipts < Math.max(leastReceipts, 2 * this.#receiptsAtLook)) return
    this.#receiptsAtLook = this.#receipts
    this.#floor = Math.floor(this.#bound().bound / 2)
    this.#highestFloor = Math.max(this.#highestFloor, this.#floor)
  }

  /** Tells of each receipt that is flagged: its amount and the numbers of its rows. */
  async finish(flag: (amountMinor: number, rows: readonly number[]) => Promise<void>): Promise<OutlierFindings> {
    await this.#waiting.finish()
    const { bound, median, mad } = this.#bound()
    const above = Math.max(bound, this.#highestFloor)
    let flagged = 0
    if (Number.isFinite(above))
      for await (const { amountMinor, rows } of this.#waitingAbove(above)) {
        await flag(amountMinor, rows)
        flagged++
      }
    return {
      above_minor: Number.isFinite(above) ? above : null,
      max_minor: this.#maxMinor,
      mads: this.#mads,
      median_minor: median,
      mad_minor: mad,
      flagged,
    }
  }

  async close(): Promise<void> {
    await this.#waiting.close()
  }

  #wait(amountMinor: number, rows: readonly { readonly number: number }[]): void {
    const length = headBytes + 4 * rows.length
    if (this.#record.length < length) this.#record = Buffer.alloc(2 * length)
    const record = this.#record
    record.writeDoubleLE(amountMinor, 0)
    record.writeUInt32LE(rows.length, 8)
    for (let i = 0; i < rows.length; i++) record.writeUInt32LE(rows[i]!.number, headBytes + 4 * i)
    this.#waiting.append(0, record, length)
  }

  async *#waitingAbove(above: number): AsyncGenerator<{ readonly amountMinor: number; readonly rows: number[] }> {
    let bytes: Buffer = Buffer.alloc(0)
    for await (const chunk of createReadStream(bucketPath(this.#directory, 0)) as AsyncIterable<Buffer>) {
      bytes = bytes.length === 0 ? chunk : Buffer.concat([bytes, chunk])
      let at = 0
      while (at + headBytes <= bytes.length) {
        const count = bytes.readUInt32LE(at + 8)
        const from = at + headBytes
        if (from + 4 * count > bytes.length) break
        const amountMinor = bytes.readDoubleLE(at)
        at = from + 4 * count
        if (amountMinor <= above) continue
        yield { amountMinor, rows: Array.from({ length: count }, (_, i) => bytes.readUInt32LE(from + 4 * i)) }
      }
      bytes = bytes.subarray(at)
    }
  }

  #bound(): { bound: number; median: number | null; mad: number | null } {
    const max = this.#maxMinor ?? Number.POSITIVE_INFINITY
    const none = { bound: max, median: null, mad: null }
    if (this.#mads === null || this.#receipts < leastReceipts) return none
    const bins = [...this.#counts].flatMap((count, bin) => (count === 0 ? [] : [{ value: middleOf(bin), count }]))
    const median = medianOf(bins)
    const deviations = bins.map(({ value, count }) => ({ value: Math.abs(value - median), count }))
    const mad = medianOf(deviations.sort((a, b) => a.value - b.value))
    // More than half of the receipts have one amount: whatever differs from it would be an outlier.
    if (mad === 0) return none
    return { bound: Math.min(max, Math.round(median + this.#mads * mad)), median, mad }
  }
}

function middleOf(bin: number): number {
  return Math.round(2 ** ((bin + 0.5) / binsPerDoubling))
}

/** Of values in ascending order. */
function medianOf(bins: readonly { readonly value: number; readonly count: number }[]): number {
  const half = bins.reduce((sum, { count }) => sum + count, 0) / 2
  let passed = 0
  return bins.find(({ count }) => {
    passed += count
    return passed >= half
  })!.value
}
