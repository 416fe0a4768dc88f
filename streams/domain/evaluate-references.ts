import { addSalesOf, chunkSums, isUniform } from './chunk-sums.ts'
import type { AsOf } from './context.ts'
import { collectCorrections, corrections, originals } from './corrections.ts'
import { At, amountAt, earnedAt, entryWords, hasRefAt, kindAt, spentAt, timeAt } from './entry.ts'
import { addToWindows } from './evaluate-windows.ts'
import { chunkShift } from './id-index.ts'
import type { PackedEntries } from './packed-entries.ts'
import type { StoreSet } from './store-set.ts'
import { Kind } from './transaction.ts'
import { Flag, none, type Values } from './values.ts'

/** Bits of an entry's state during one evaluation. */
const voided = 1
const refundedAtAll = 2

let state = new Uint8Array(256)
let refundedOf = new Float64Array(256)
/** Regions with an original that is voided or refunded. */
let touched = new Uint8Array(8)

/**
 * Sums the entries of a ledger in which refunds or voids name originals. Three rounds, each over what the one before has
 * settled: voids, then refunds that still stand, then sales. All of it among entries whose day has come, so that a later
 * event changes nothing.
 */
export function scanWithReferences(entries: PackedEntries, asOf: AsOf, stores: StoreSet, out: Values): void {
  if (state.length < entries.count) {
    state = new Uint8Array(entries.count * 2)
    refundedOf = new Float64Array(entries.count * 2)
    touched = new Uint8Array((entries.count >>> chunkShift) * 2 + 2)
  }
  state.fill(0, 0, entries.count)
  refundedOf.fill(0, 0, entries.count)
  touched.fill(0, 0, entries.regions)
  const found = collectCorrections(entries)
  for (let i = 0; i < found; i++) applyVoid(entries, corrections[i]!, originals[i]!, asOf.endMs, out)
  for (let i = 0; i < found; i++) applyRefund(entries, corrections[i]!, originals[i]!, asOf.endMs, out)
  for (let region = 0; region < entries.regions; region++) addSales(entries, region, asOf, stores, out)
}

function applyVoid(entries: PackedEntries, number: number, named: number, endMs: number, out: Values): void {
  const words = entries.wordsOf(number)
  const at = entries.offsetOf(number)
  if (timeAt(words, at) >= endMs) return
  out.transactions++
  if (kindAt(words, at) !== Kind.void) return
  const original = known(entries, named, endMs)
  if (original < 0) out.waiting++
  else if (kindOf(entries, original) === Kind.void) out.flags |= Flag.originalOfWrongKind
  else touch(original, voided)
}

function applyRefund(entries: PackedEntries, number: number, named: number, endMs: number, out: Values): void {
  const words = entries.wordsOf(number)
  const at = entries.offsetOf(number)
  if (kindAt(words, at) !== Kind.refund || (state[number]! & voided) !== 0 || timeAt(words, at) >= endMs) return
  const amount = amountAt(words, at)
  if (hasRefAt(words, at)) {
    const original = known(entries, named, endMs)
    if (original < 0) {
      out.waiting++
      return
    }
    if (kindOf(entries, original) !== Kind.sale) {
      out.flags |= Flag.originalOfWrongKind
      return
    }
    if ((state[original]! & voided) !== 0) return
    touch(original, refundedAtAll)
    refundedOf[original]! += amount
  } else {
    out.refundedMinor += amount
  }
  out.bonusEarnedMinor -= earnedAt(words, at)
  out.bonusSpentMinor -= spentAt(words, at)
}

function touch(original: number, how: number): void {
  state[original]! |= how
  touched[original >>> chunkShift] = 1
}

/** Sales of a region: from the sums of a full chunk where no correction touches it. */
function addSales(entries: PackedEntries, region: number, asOf: AsOf, stores: StoreSet, out: Values): void {
  if (region < entries.regions - 1 && touched[region] === 0) {
    const chunk = entries.chunkAt(region)
    chunk.sums ??= chunkSums(chunk.words)
    if (isUniform(chunk.sums, asOf)) {
      addSalesOf(chunk.sums, asOf, stores, out)
      return
    }
  }
  scanSales(entries, region, asOf, stores, out)
}

function scanSales(entries: PackedEntries, region: number, asOf: AsOf, stores: StoreSet, out: Values): void {
  const { endMs, from365Ms } = asOf
  const words = entries.regionWords(region)
  const start = entries.regionAt(region)
  const end = start + entries.regionLength(region) * entryWords
  let number = region << chunkShift
  let { frequency, sales, transactions, monetaryGrossMinor: gross, refundedMinor: refunded } = out
  let { firstPurchaseAtMs: first, lastPurchaseAtMs: last, bonusEarnedMinor: earned, bonusSpentMinor: spent } = out
  for (let at = start; at < end; at += entryWords, number++) {
    const time = timeAt(words, at)
    if (kindAt(words, at) !== Kind.sale || time >= endMs) continue
    transactions++
    const standing = state[number]!
    if ((standing & voided) !== 0) continue
    const amount = amountAt(words, at)
    let counted = 1
    if (standing !== 0) {
      if (refundedOf[number]! >= amount) counted = 0
      if (refundedOf[number]! > amount) out.flags |= Flag.refundsAboveSale
      refunded += Math.min(refundedOf[number]!, amount)
    }
    sales++
    gross += amount
    earned += earnedAt(words, at)
    spent += spentAt(words, at)
    if (time >= from365Ms) addToWindows(time, counted, amount, asOf, out)
    if (counted === 0) continue
    frequency++
    if (time > last) last = time
    if (time < first || first === none) first = time
    const store = words[at + At.store]!
    if (store !== 0) stores.add(store)
  }
  out.frequency = frequency
  out.sales = sales
  out.transactions = transactions
  out.monetaryGrossMinor = gross
  out.refundedMinor = refunded
  out.firstPurchaseAtMs = first
  out.lastPurchaseAtMs = last
  out.bonusEarnedMinor = earned
  out.bonusSpentMinor = spent
}

/** The original, or -1 where it is not there or its day has not come. */
function known(entries: PackedEntries, original: number, endMs: number): number {
  if (original < 0 || timeAt(entries.wordsOf(original), entries.offsetOf(original)) >= endMs) return -1
  return original
}

function kindOf(entries: PackedEntries, number: number): number {
  return kindAt(entries.wordsOf(number), entries.offsetOf(number))
}
