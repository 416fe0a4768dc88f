import type { Entries } from './entries.ts'
import { At, hasRefAt, timeAt } from './entry.ts'
import type { Ledger } from './ledger.ts'
import { noPast, type Past } from './past.ts'
import type { StoreSet } from './store-set.ts'
import { none, type Values } from './values.ts'

/** Number of entries at which a ledger of this cap folds its oldest receipts away, down to the cap. */
export function foldingAt(cap: number): number {
  return cap + Math.ceil(cap / 4)
}

/**
 * Parts a ledger into the entries to keep and those to fold, both in order of arrival. Receipts go as a whole – everything
 * that references connect – those first whose newest business time is oldest. What still waits for an original goes last.
 * Depends on the entries alone.
 */
export function splitByAge(entries: Entries, cap: number): { kept: number[]; folded: number[] } {
  const receipts = receiptsOf(entries)
  receipts.sort(olderFirst)
  let left = entries.count
  const goes = new Uint8Array(entries.count)
  for (const { members } of receipts) {
    if (left <= cap) break
    left -= members.length
    for (const number of members) goes[number] = 1
  }
  const kept: number[] = []
  const folded: number[] = []
  for (let number = 0; number < entries.count; number++) (goes[number] === 1 ? folded : kept).push(number)
  return { kept, folded }
}

interface Receipt {
  readonly members: number[]
  newestMs: number
  waiting: boolean
  /** Smallest id, which settles ties. */
  idHi: number
  idLo: number
}

function olderFirst(a: Receipt, b: Receipt): number {
  return Number(a.waiting) - Number(b.waiting) || a.newestMs - b.newestMs || a.idHi - b.idHi || a.idLo - b.idLo
}

function receiptsOf(entries: Entries): Receipt[] {
  const parent = Int32Array.from({ length: entries.count }, (_, number) => number)
  const rootOf = (number: number): number => {
    let root = number
    while (parent[root] !== root) {
      parent[root] = parent[parent[root]!]!
      root = parent[root]!
    }
    return root
  }
  const waiting = new Uint8Array(entries.count)
  for (let number = 0; number < entries.count; number++) {
    const words = entries.wordsOf(number)
    const at = entries.offsetOf(number)
    if (!hasRefAt(words, at)) continue
    const original = entries.find(words[at + At.refHi]!, words[at + At.refLo]!)
    if (original < 0) waiting[number] = 1
    else parent[rootOf(number)] = rootOf(original)
  }
  const receipts = new Map<number, Receipt>()
  for (let number = 0; number < entries.count; number++) {
    const words = entries.wordsOf(number)
    const at = entries.offsetOf(number)
    const root = rootOf(number)
    const idHi = words[at]!
    const idLo = words[at + At.idLo]!
    let receipt = receipts.get(root)
    if (receipt === undefined) {
      receipt = { members: [], newestMs: 0, waiting: false, idHi, idLo }
      receipts.set(root, receipt)
    }
    receipt.members.push(number)
    receipt.newestMs = Math.max(receipt.newestMs, timeAt(words, at))
    receipt.waiting ||= waiting[number] === 1
    if (idHi < receipt.idHi || (idHi === receipt.idHi && idLo < receipt.idLo)) {
      receipt.idHi = idHi
      receipt.idLo = idLo
    }
  }
  return [...receipts.values()]
}

/** The past of a ledger after `folded` was taken out of it, whose sums and stores are given. */
export function extendPast(past: Past | null, folded: Ledger, sums: Values, stores: StoreSet) {
  const before = past ?? noPast
  const ids = []
  let horizonMs = before.horizonMs
  for (let number = 0; number < folded.count; number++) {
    const words = folded.wordsOf(number)
    const at = folded.offsetOf(number)
    ids.push({ hi: words[at]!, lo: words[at + At.idLo]!, content: words[at + At.content]! })
    horizonMs = Math.max(horizonMs, timeAt(words, at))
  }
  stores.addAll(before.stores)
  const { cold, changedFrom } = before.cold.added(ids)
  const firsts = [before.firstPurchaseAtMs, sums.firstPurchaseAtMs].filter((time) => time !== none)
  const next: Past = {
    horizonMs,
    transactions: before.transactions + sums.transactions,
    sales: before.sales + sums.sales,
    frequency: before.frequency + sums.frequency,
    grossMinor: before.grossMinor + sums.monetaryGrossMinor,
    refundedMinor: before.refundedMinor + sums.refundedMinor,
    bonusEarnedMinor: before.bonusEarnedMinor + sums.bonusEarnedMinor,
    bonusSpentMinor: before.bonusSpentMinor + sums.bonusSpentMinor,
    waiting: before.waiting + sums.waiting,
    flags: before.flags | sums.flags,
    firstPurchaseAtMs: firsts.length === 0 ? none : Math.min(...firsts),
    lastPurchaseAtMs: Math.max(before.lastPurchaseAtMs, sums.lastPurchaseAtMs),
    stores: stores.list(),
    cold,
  }
  return { past: next, coldChangedFrom: changedFrom }
}
