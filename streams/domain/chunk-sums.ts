import { type AsOf, beforeTheFirstDate } from './context.ts'
import { entryWords, timeAt } from './entry.ts'
import { addToWindows } from './evaluate-windows.ts'
import { scan } from './scan.ts'
import { StoreSet } from './store-set.ts'
import { clearSums, newValues, none, type Values } from './values.ts'

/** Sums of a full chunk in which no entry refers to another; made once, since chunks never change. */
export interface ChunkSums {
  /** Oldest and newest time of an entry. */
  readonly oldestMs: number
  readonly newestMs: number
  readonly transactions: number
  readonly sales: number
  readonly grossMinor: number
  readonly refundedMinor: number
  readonly bonusEarnedMinor: number
  readonly bonusSpentMinor: number
  readonly firstPurchaseAtMs: number
  readonly lastPurchaseAtMs: number
  readonly stores: Uint32Array
}

const sums = newValues()
const storesOf = new StoreSet()

export function chunkSums(words: Uint32Array): ChunkSums {
  clearSums(sums)
  storesOf.clear()
  scan(words, 0, words.length / entryWords, beforeTheFirstDate, storesOf, sums)
  let oldestMs = Number.POSITIVE_INFINITY
  let newestMs = 0
  for (let at = 0; at < words.length; at += entryWords) {
    const time = timeAt(words, at)
    oldestMs = Math.min(oldestMs, time)
    newestMs = Math.max(newestMs, time)
  }
  return {
    oldestMs,
    newestMs,
    transactions: sums.transactions,
    sales: sums.sales,
    grossMinor: sums.monetaryGrossMinor,
    refundedMinor: sums.refundedMinor,
    bonusEarnedMinor: sums.bonusEarnedMinor,
    bonusSpentMinor: sums.bonusSpentMinor,
    firstPurchaseAtMs: sums.firstPurchaseAtMs,
    lastPurchaseAtMs: sums.lastPurchaseAtMs,
    stores: storesOf.list(),
  }
}

/** True where a chunk lies on one side of the date and of every window's beginning, so that its sums do for its entries. */
export function isUniform({ oldestMs, newestMs }: ChunkSums, { endMs, from30Ms, from90Ms, from365Ms }: AsOf): boolean {
  return (
    newestMs < endMs &&
    oldestMs >= from30Ms === newestMs >= from30Ms &&
    oldestMs >= from90Ms === newestMs >= from90Ms &&
    oldestMs >= from365Ms === newestMs >= from365Ms
  )
}

/** Adds the sums of a uniform chunk. */
export function addChunk(chunk: ChunkSums, asOf: AsOf, stores: StoreSet, out: Values): void {
  out.transactions += chunk.transactions
  out.frequency += chunk.sales
  out.sales += chunk.sales
  out.monetaryGrossMinor += chunk.grossMinor
  out.refundedMinor += chunk.refundedMinor
  out.bonusEarnedMinor += chunk.bonusEarnedMinor
  out.bonusSpentMinor += chunk.bonusSpentMinor
  if (chunk.sales === 0) return
  out.lastPurchaseAtMs = Math.max(out.lastPurchaseAtMs, chunk.lastPurchaseAtMs)
  if (out.firstPurchaseAtMs === none || chunk.firstPurchaseAtMs < out.firstPurchaseAtMs)
    out.firstPurchaseAtMs = chunk.firstPurchaseAtMs
  if (chunk.newestMs >= asOf.from365Ms) addToWindows(chunk.newestMs, chunk.sales, chunk.grossMinor, asOf, out)
  stores.addAll(chunk.stores)
}
