import type { AsOf } from './context.ts'
import { At, amountAt, earnedAt, entryWords, kindAt, spentAt, timeAt } from './entry.ts'
import { addToWindows } from './evaluate-windows.ts'
import { StoreSet } from './store-set.ts'
import { Kind } from './transaction.ts'
import { none, type Values } from './values.ts'

/** Sums of a full chunk as if no reference touched it; made once, since chunks never change. */
export interface ChunkSums {
  /** Oldest and newest time of an entry. */
  oldestMs: number
  newestMs: number
  sales: number
  grossMinor: number
  salesEarnedMinor: number
  salesSpentMinor: number
  firstPurchaseAtMs: number
  lastPurchaseAtMs: number
  stores: Uint32Array
  /** Entries that are no sales. */
  corrections: number
  refundedMinor: number
  refundsEarnedMinor: number
  refundsSpentMinor: number
}

const storesSeen = new StoreSet()

export function chunkSums(words: Uint32Array): ChunkSums {
  const sums = {
    oldestMs: Number.POSITIVE_INFINITY,
    newestMs: 0,
    sales: 0,
    grossMinor: 0,
    salesEarnedMinor: 0,
    salesSpentMinor: 0,
    firstPurchaseAtMs: Number.POSITIVE_INFINITY,
    lastPurchaseAtMs: none,
    corrections: 0,
    refundedMinor: 0,
    refundsEarnedMinor: 0,
    refundsSpentMinor: 0,
  }
  storesSeen.clear()
  for (let at = 0; at < words.length; at += entryWords) {
    const time = timeAt(words, at)
    sums.oldestMs = Math.min(sums.oldestMs, time)
    sums.newestMs = Math.max(sums.newestMs, time)
    if (kindAt(words, at) === Kind.sale) {
      sums.sales++
      sums.grossMinor += amountAt(words, at)
      sums.salesEarnedMinor += earnedAt(words, at)
      sums.salesSpentMinor += spentAt(words, at)
      sums.firstPurchaseAtMs = Math.min(sums.firstPurchaseAtMs, time)
      sums.lastPurchaseAtMs = Math.max(sums.lastPurchaseAtMs, time)
      const store = words[at + At.store]!
      if (store !== 0) storesSeen.add(store)
    } else {
      sums.corrections++
      sums.refundedMinor += amountAt(words, at)
      sums.refundsEarnedMinor += earnedAt(words, at)
      sums.refundsSpentMinor += spentAt(words, at)
    }
  }
  return { ...sums, stores: storesSeen.list() }
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

/** Adds the sales of a uniform chunk, all of which count. */
export function addSalesOf(chunk: ChunkSums, asOf: AsOf, stores: StoreSet, out: Values): void {
  if (chunk.sales === 0) return
  out.transactions += chunk.sales
  out.frequency += chunk.sales
  out.sales += chunk.sales
  out.monetaryGrossMinor += chunk.grossMinor
  out.bonusEarnedMinor += chunk.salesEarnedMinor
  out.bonusSpentMinor += chunk.salesSpentMinor
  if (chunk.lastPurchaseAtMs > out.lastPurchaseAtMs) out.lastPurchaseAtMs = chunk.lastPurchaseAtMs
  if (out.firstPurchaseAtMs === none || chunk.firstPurchaseAtMs < out.firstPurchaseAtMs)
    out.firstPurchaseAtMs = chunk.firstPurchaseAtMs
  if (chunk.newestMs >= asOf.from365Ms) addToWindows(chunk.newestMs, chunk.sales, chunk.grossMinor, asOf, out)
  stores.addAll(chunk.stores)
}

/** Adds the refunds of a uniform chunk, none of which names an original. */
export function addRefundsOf(chunk: ChunkSums, out: Values): void {
  out.transactions += chunk.corrections
  out.refundedMinor += chunk.refundedMinor
  out.bonusEarnedMinor -= chunk.refundsEarnedMinor
  out.bonusSpentMinor -= chunk.refundsSpentMinor
}
