import type { AsOf } from './context.ts'
import { entryWords } from './entry.ts'
import { addToWindows } from './evaluate-windows.ts'
import type { StoreSet } from './store-set.ts'
import { Kind } from './transaction.ts'
import { none, type Values } from './values.ts'

const two32 = 4_294_967_296

/**
 * Adds `length` packed entries from word `start` on to the sums, where none refers to another: every sale counts and every
 * refund is without an original. The layout of an entry is spelled out here because this loop is the hot one.
 */
export function scan(
  words: Uint32Array,
  start: number,
  length: number,
  asOf: AsOf,
  stores: StoreSet,
  out: Values,
): void {
  const { endMs, from365Ms } = asOf
  let { frequency, refundedMinor: refunded, monetaryGrossMinor: gross, transactions } = out
  let { firstPurchaseAtMs: first, lastPurchaseAtMs: last, bonusEarnedMinor: earned, bonusSpentMinor: spent } = out
  let sales = out.sales
  for (let at = start, end = start + length * entryWords; at < end; at += entryWords) {
    const highs = words[at + 7]!
    const time = (highs >>> 21) * two32 + words[at + 6]!
    if (time >= endMs) continue
    const amount = (highs & 0x1fffff) * two32 + words[at + 8]!
    const kindAndBonus = words[at + 9]!
    const bonusEarned = ((kindAndBonus >>> 15) & 0x7fff) * two32 + words[at + 10]!
    const bonusSpent = (kindAndBonus & 0x7fff) * two32 + words[at + 11]!
    transactions++
    if (kindAndBonus >>> 30 !== Kind.sale) {
      refunded += amount
      earned -= bonusEarned
      spent -= bonusSpent
      continue
    }
    frequency++
    sales++
    gross += amount
    earned += bonusEarned
    spent += bonusSpent
    if (time > last) last = time
    if (time < first || first === none) first = time
    const store = words[at + 5]!
    if (store !== 0) stores.add(store)
    if (time >= from365Ms) addToWindows(time, 1, amount, asOf, out)
  }
  out.frequency = frequency
  out.sales = sales
  out.refundedMinor = refunded
  out.monetaryGrossMinor = gross
  out.transactions = transactions
  out.firstPurchaseAtMs = first
  out.lastPurchaseAtMs = last
  out.bonusEarnedMinor = earned
  out.bonusSpentMinor = spent
}
