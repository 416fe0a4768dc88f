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
/** Numbers of the entries that are no sales. */
let corrections = new Int32Array(256)

/**
 * Sums the entries of a ledger in which refunds or voids name originals. Three rounds, each over what the one before has
 * settled: voids, then refunds that still stand, then sales. All of it among entries whose day has come, so that a later
 * event changes nothing.
 */
export function scanWithReferences(entries: Entries, asOf: AsOf, stores: StoreSet, out: Values): void {
  if (state.length < entries.count) {
    state = new Uint8Array(entries.count * 2)
    refundedOf = new Float64Array(entries.count * 2)
    corrections = new Int32Array(entries.count * 2)
  }
  state.fill(0, 0, entries.count)
  refundedOf.fill(0, 0, entries.count)
  const found = findCorrections(entries, asOf.endMs)
  out.transactions += found
  for (let i = 0; i < found; i++) applyVoid(entries, corrections[i]!, asOf.endMs, out)
  for (let i = 0; i < found; i++) applyRefund(entries, corrections[i]!, asOf.endMs, out)
  addSales(entries, asOf, stores, out)
}

/** Collects the refunds and voids whose day has come, and answers how many there are. */
function findCorrections(entries: Entries, endMs: number): number {
  const { stride } = entries
  let found = 0
  for (let region = 0, number = 0; region < entries.regions; region++) {
    const words = entries.regionWords(region)
    const start = entries.regionAt(region)
    const end = start + entries.regionLength(region) * stride
    for (let at = start; at < end; at += stride, number++)
      if (kindAt(words, at) !== Kind.sale && timeAt(words, at) < endMs) corrections[found++] = number
  }
  return found
}

function applyVoid(entries: Entries, number: number, endMs: number, out: Values): void {
  const words = entries.wordsOf(number)
  const at = entries.offsetOf(number)
  if (kindAt(words, at) !== Kind.void) return
  const original = findKnown(entries, words, at, endMs)
  if (original < 0) out.waiting++
  else if (kindOf(entries, original) === Kind.void) out.flags |= Flag.originalOfWrongKind
  else state[original]! |= voided
}

function applyRefund(entries: Entries, number: number, endMs: number, out: Values): void {
  const words = entries.wordsOf(number)
  const at = entries.offsetOf(number)
  if (kindAt(words, at) !== Kind.refund || (state[number]! & voided) !== 0) return
  const amount = amountAt(words, at)
  if (hasRefAt(words, at)) {
    const original = findKnown(entries, words, at, endMs)
    if (original < 0) {
      out.waiting++
      return
    }
    if (kindOf(entries, original) !== Kind.sale) {
      out.flags |= Flag.originalOfWrongKind
      return
    }
    if ((state[original]! & voided) !== 0) return
    state[original]! |= refundedAtAll
    refundedOf[original]! += amount
  } else {
    out.refundedMinor += amount
  }
  out.bonusEarnedMinor -= earnedAt(words, at)
  out.bonusSpentMinor -= spentAt(words, at)
}

function addSales(entries: Entries, asOf: AsOf, stores: StoreSet, out: Values): void {
  const { endMs, from365Ms } = asOf
  const { stride } = entries
  for (let region = 0, number = 0; region < entries.regions; region++) {
    const words = entries.regionWords(region)
    const start = entries.regionAt(region)
    const end = start + entries.regionLength(region) * stride
    for (let at = start; at < end; at += stride, number++) {
      const time = timeAt(words, at)
      if (kindAt(words, at) !== Kind.sale || time >= endMs) continue
      out.transactions++
      const standing = state[number]!
      if ((standing & voided) !== 0) continue
      const amount = amountAt(words, at)
      let counted = 1
      if (standing !== 0) {
        const refunded = refundedOf[number]!
        if (refunded >= amount) counted = 0
        if (refunded > amount) out.flags |= Flag.refundsAboveSale
        out.refundedMinor += Math.min(refunded, amount)
      }
      out.sales++
      out.monetaryGrossMinor += amount
      out.bonusEarnedMinor += earnedAt(words, at)
      out.bonusSpentMinor += spentAt(words, at)
      if (time >= from365Ms) addToWindows(time, counted, amount, asOf, out)
      if (counted === 0) continue
      out.frequency++
      if (time > out.lastPurchaseAtMs) out.lastPurchaseAtMs = time
      if (time < out.firstPurchaseAtMs || out.firstPurchaseAtMs === none) out.firstPurchaseAtMs = time
      const store = words[at + At.store]!
      if (store !== 0) stores.add(store)
    }
  }
}

/** Number of the original that the entry at `at` names, or -1 where it is not there or its day has not come. */
function findKnown(entries: Entries, words: Uint32Array, at: number, endMs: number): number {
  const original = entries.find(words[at + At.refHi]!, words[at + At.refLo]!)
  if (original < 0 || timeAt(entries.wordsOf(original), entries.offsetOf(original)) >= endMs) return -1
  return original
}

function kindOf(entries: Entries, number: number): number {
  return kindAt(entries.wordsOf(number), entries.offsetOf(number))
}
