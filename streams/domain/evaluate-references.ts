import type { AsOf } from './context.ts'
import type { Entries } from './entries.ts'
import { At, amountAt, earnedAt, hasRefAt, kindAt, spentAt, timeAt } from './entry.ts'
import { addToWindows } from './evaluate-windows.ts'
import type { StoreSet } from './store-set.ts'
import { Kind } from './transaction.ts'
import { Flag, none, type Values } from './values.ts'

/** Bits of an entry's state during one evaluation. */
const voided = 1
const refundedAtAll = 2

let state = new Uint8Array(256)
let refundedOf = new Float64Array(256)

/**
 * Sums the entries of a ledger in which refunds or voids name originals. Three passes, each over what the one before has
 * settled: voids, then refunds that still stand, then sales. All of it among entries whose day has come, so that a later
 * event changes nothing.
 */
export function scanWithReferences(entries: Entries, asOf: AsOf, stores: StoreSet, out: Values): void {
  if (state.length < entries.count) {
    state = new Uint8Array(entries.count * 2)
    refundedOf = new Float64Array(entries.count * 2)
  }
  state.fill(0, 0, entries.count)
  refundedOf.fill(0, 0, entries.count)
  applyVoids(entries, asOf.endMs, out)
  applyRefunds(entries, asOf.endMs, out)
  addSales(entries, asOf, stores, out)
}

function applyVoids(entries: Entries, endMs: number, out: Values): void {
  for (let region = 0; region < entries.regions; region++) {
    const words = entries.regionWords(region)
    const start = entries.regionAt(region)
    const end = start + entries.regionLength(region) * entries.stride
    for (let at = start; at < end; at += entries.stride) {
      if (timeAt(words, at) >= endMs) continue
      out.transactions++
      if (kindAt(words, at) !== Kind.void) continue
      const original = findBefore(entries, words, at, endMs)
      if (original < 0) out.waiting++
      else if (kindOf(entries, original) === Kind.void) out.flags |= Flag.originalOfWrongKind
      else state[original]! |= voided
    }
  }
}

function applyRefunds(entries: Entries, endMs: number, out: Values): void {
  for (let region = 0, number = 0; region < entries.regions; region++) {
    const words = entries.regionWords(region)
    const start = entries.regionAt(region)
    const end = start + entries.regionLength(region) * entries.stride
    for (let at = start; at < end; at += entries.stride, number++) {
      if (kindAt(words, at) !== Kind.refund || timeAt(words, at) >= endMs || (state[number]! & voided) !== 0) continue
      const amount = amountAt(words, at)
      if (hasRefAt(words, at)) {
        const original = findBefore(entries, words, at, endMs)
        if (original < 0) {
          out.waiting++
          continue
        }
        if (kindOf(entries, original) !== Kind.sale) {
          out.flags |= Flag.originalOfWrongKind
          continue
        }
        if ((state[original]! & voided) !== 0) continue
        state[original]! |= refundedAtAll
        refundedOf[original]! += amount
      } else {
        out.refundedMinor += amount
      }
      out.bonusEarnedMinor -= earnedAt(words, at)
      out.bonusSpentMinor -= spentAt(words, at)
    }
  }
}

function addSales(entries: Entries, asOf: AsOf, stores: StoreSet, out: Values): void {
  const { endMs, from30Ms, from90Ms, from365Ms } = asOf
  for (let region = 0, number = 0; region < entries.regions; region++) {
    const words = entries.regionWords(region)
    const start = entries.regionAt(region)
    const end = start + entries.regionLength(region) * entries.stride
    for (let at = start; at < end; at += entries.stride, number++) {
      const time = timeAt(words, at)
      if (kindAt(words, at) !== Kind.sale || time >= endMs || (state[number]! & voided) !== 0) continue
      const amount = amountAt(words, at)
      const refunded = refundedOf[number]!
      const counted = (state[number]! & refundedAtAll) === 0 || refunded < amount
      if (refunded > amount) out.flags |= Flag.refundsAboveSale
      out.sales++
      out.monetaryGrossMinor += amount
      out.refundedMinor += Math.min(refunded, amount)
      out.bonusEarnedMinor += earnedAt(words, at)
      out.bonusSpentMinor += spentAt(words, at)
      if (time >= from365Ms) addToWindows(time, amount, counted ? 1 : 0, from30Ms, from90Ms, out)
      if (!counted) continue
      out.frequency++
      if (time > out.lastPurchaseAtMs) out.lastPurchaseAtMs = time
      if (time < out.firstPurchaseAtMs || out.firstPurchaseAtMs === none) out.firstPurchaseAtMs = time
      const store = words[at + At.store]!
      if (store !== 0) stores.add(store)
    }
  }
}

/** Number of the original that the entry at `at` names, or -1 where it is not there or its day has not come. */
function findBefore(entries: Entries, words: Uint32Array, at: number, endMs: number): number {
  const original = entries.find(words[at + At.refHi]!, words[at + At.refLo]!)
  if (original < 0 || timeAt(entries.wordsOf(original), entries.offsetOf(original)) >= endMs) return -1
  return original
}

function kindOf(entries: Entries, number: number): number {
  return kindAt(entries.wordsOf(number), entries.offsetOf(number))
}
