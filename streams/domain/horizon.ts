import { coldIdWords } from './cold-ids.ts'
import { At, timeAt } from './entry.ts'
import type { Ledger } from './ledger.ts'
import { notThere } from './packed-entries.ts'
import { noPast, type Past } from './past.ts'
import type { StoreSet } from './store-set.ts'
import { none, type Values } from './values.ts'

/**
 * Number of entries at which a ledger of this cap folds its oldest receipts away, down to the cap: folding sorts and stores
 * everything that is kept anew, so it is worth waiting for.
 */
export function foldingAt(cap: number): number {
  return cap * 2
}

/**
 * Parts a ledger into the entries to keep and those to fold, both in order of arrival. Receipts go as a whole – everything
 * that references connect – those first whose newest business time is oldest. What still waits for an original goes last.
 * Depends on the entries alone.
 */
export function splitByAge(entries: Ledger, cap: number): { kept: number[]; folded: number[] } {
  const { count } = entries
  const { rootOf, ageOf, sizeOf, compare } = receiptsOf(entries)
  // Numbers are sorted by the engine, in a tenth of the time that sorting receipts would take.
  const ages = new Float64Array(count)
  for (let number = 0; number < count; number++) ages[number] = ageOf(rootOf(number))
  const oldestFirst = ages.slice().sort()
  const limit = oldestFirst[Math.max(0, count - cap - 1)]!
  let left = count
  const goes = new Uint8Array(count)
  // Receipts of the very age at which enough are gone, one as a rule: they differ by what `compare` says.
  const atLimit: number[] = []
  for (let number = 0; number < count; number++) {
    if (ages[number]! > limit || rootOf(number) !== number) continue
    if (ages[number] === limit) atLimit.push(number)
    else {
      left -= sizeOf(number)
      goes[number] = 1
    }
  }
  for (const root of atLimit.sort(compare)) {
    if (left <= cap) break
    left -= sizeOf(root)
    goes[root] = 1
  }
  const kept: number[] = []
  const folded: number[] = []
  for (let number = 0; number < count; number++) (goes[rootOf(number)] === 1 ? folded : kept).push(number)
  return { kept, folded }
}

/**
 * Receipts as sets of entries, each known by one of them, its root. `ageOf` is the time by which receipts go, `compare`
 * orders roots of one age.
 */
function receiptsOf(entries: Ledger) {
  const { count } = entries
  const parent = new Int32Array(count)
  const size = new Int32Array(count).fill(1)
  const newestMs = new Float64Array(count)
  const waiting = new Uint8Array(count)
  for (let number = 0; number < count; number++) {
    parent[number] = number
    newestMs[number] = timeAt(entries.wordsOf(number), entries.offsetOf(number))
  }
  const rootOf = (number: number): number => {
    let root = number
    while (parent[root] !== root) {
      parent[root] = parent[parent[root]!]!
      root = parent[root]!
    }
    return root
  }
  const join = (a: number, b: number) => {
    if (a === b) return
    // The smaller id is the root, and settles ties, so that the order of arrival does not.
    const [root, other] = compareIds(entries, a, b) < 0 ? [a, b] : [b, a]
    parent[other] = root
    size[root]! += size[other]!
    newestMs[root] = Math.max(newestMs[root]!, newestMs[other]!)
    waiting[root]! |= waiting[other]!
  }
  for (let number = 0; entries.hasReferences && number < count; number++) {
    const original = entries.originalOf(number)
    if (original === notThere) waiting[rootOf(number)] = 1
    else if (original >= 0) join(rootOf(number), rootOf(original))
  }
  return {
    rootOf,
    ageOf: (root: number) => (waiting[root] === 1 ? Number.POSITIVE_INFINITY : newestMs[root]!),
    sizeOf: (root: number) => size[root]!,
    compare: (a: number, b: number) => newestMs[a]! - newestMs[b]! || compareIds(entries, a, b),
  }
}

function compareIds(entries: Ledger, a: number, b: number): number {
  const wordsA = entries.wordsOf(a)
  const wordsB = entries.wordsOf(b)
  const atA = entries.offsetOf(a)
  const atB = entries.offsetOf(b)
  return wordsA[atA]! - wordsB[atB]! || wordsA[atA + At.idLo]! - wordsB[atB + At.idLo]!
}

/** The past of a ledger after `folded` was taken out of it, whose sums and stores are given. */
export function extendPast(past: Past | null, folded: Ledger, sums: Values, stores: StoreSet) {
  const before = past ?? noPast
  const ids = new Uint32Array(folded.count * coldIdWords)
  let horizonMs = before.horizonMs
  for (let number = 0, to = 0; number < folded.count; number++, to += coldIdWords) {
    const words = folded.wordsOf(number)
    const at = folded.offsetOf(number)
    ids[to] = words[at]!
    ids[to + 1] = words[at + At.idLo]!
    ids[to + 2] = words[at + At.content]!
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
