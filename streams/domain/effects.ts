import { collectReferring, corrections } from './corrections.ts'
import { At, amountAt, hasRefAt, kindAt, timeAt } from './entry.ts'
import type { PackedEntries } from './packed-entries.ts'
import { Kind } from './transaction.ts'

/** By how much an arrival changed what one transaction counts for. */
export interface Effect {
  /** Key of the transaction: the 64-bit hash of its id. */
  readonly keyHi: number
  readonly keyLo: number
  /** That transaction's own business time. */
  readonly occurredAtMs: number
  readonly count: number
  readonly grossMinor: number
  readonly netMinor: number
}

/** What one arrival changed: its own effect, and effects on transactions that were there before. Reused. */
export interface Effects {
  count: number
  grossMinor: number
  netMinor: number
  readonly others: Effect[]
}

export function newEffects(): Effects {
  return { count: 0, grossMinor: 0, netMinor: 0, others: [] }
}

/**
 * Effects of the newest entry where references play a part: the difference of what its group counted for without it and
 * counts for with it. A group is a sale, the refunds that name it and the voids of either; entries only ever get appended,
 * so "without" is a matter of the number. `isNamed`: whether an entry before the newest names it.
 */
export function referencedEffects(entries: PackedEntries, isNamed: boolean, out: Effects): void {
  const newest = entries.count - 1
  const group = groupOf(entries, newest, isNamed ? none : newest)
  if (group === null) return
  const before = standings(entries, group, newest)
  const after = standings(entries, group, newest + 1)
  group.members.forEach((number, i) => {
    const count = after[i]!.count - before[i]!.count
    const grossMinor = after[i]!.grossMinor - before[i]!.grossMinor
    const netMinor = after[i]!.netMinor - before[i]!.netMinor
    if (count === 0 && grossMinor === 0 && netMinor === 0) return
    if (number === newest) {
      out.count = count
      out.grossMinor = grossMinor
      out.netMinor = netMinor
      return
    }
    const words = entries.wordsOf(number)
    const at = entries.offsetOf(number)
    const key = { keyHi: words[at]!, keyLo: words[at + At.idLo]! }
    out.others.push({ ...key, occurredAtMs: timeAt(words, at), count, grossMinor, netMinor })
  })
}

/** No entry has this number. */
const none = -1

/** Entry numbers of a sale (first) and its refunds in canonical order; or of a lone refund. */
interface Group {
  readonly hasSale: boolean
  readonly members: number[]
  /** Number of the first void of each member; Infinity where there is none. */
  readonly voidedBy: number[]
}

/** The group that `number` belongs to, or null where it has no effect on anything. No entry names `unnamed`. */
function groupOf(entries: PackedEntries, number: number, unnamed: number): Group | null {
  const words = entries.wordsOf(number)
  const at = entries.offsetOf(number)
  const kind = kindAt(words, at)
  if (kind === Kind.void) {
    const original = entries.find(words[at + At.refHi]!, words[at + At.refLo]!)
    if (original < 0 || kindOf(entries, original) === Kind.void) return null
    return groupOf(entries, original, unnamed)
  }
  if (kind === Kind.refund) {
    if (!hasRefAt(words, at))
      return { hasSale: false, members: [number], voidedBy: [firstVoidOf(entries, number, unnamed)] }
    const sale = entries.find(words[at + At.refHi]!, words[at + At.refLo]!)
    return sale >= 0 && kindOf(entries, sale) === Kind.sale ? groupOf(entries, sale, unnamed) : null
  }
  const refunds: number[] = []
  let voidedBy = Number.POSITIVE_INFINITY
  const count = collectReferring(entries, words[at]!, words[at + At.idLo]!)
  for (let i = 0; i < count; i++) {
    const other = corrections[i]!
    const otherKind = kindOf(entries, other)
    if (otherKind === Kind.refund) refunds.push(other)
    else if (otherKind === Kind.void && other < voidedBy) voidedBy = other
  }
  // By time, then id: whatever the order of arrival, the same.
  refunds.sort((a, b) => canonicalOrder(entries, a, b))
  const voids = refunds.map((refund) => firstVoidOf(entries, refund, unnamed))
  return { hasSale: true, members: [number, ...refunds], voidedBy: [voidedBy, ...voids] }
}

function kindOf(entries: PackedEntries, number: number): number {
  return kindAt(entries.wordsOf(number), entries.offsetOf(number))
}

function canonicalOrder(entries: PackedEntries, a: number, b: number): number {
  const wordsA = entries.wordsOf(a)
  const wordsB = entries.wordsOf(b)
  const atA = entries.offsetOf(a)
  const atB = entries.offsetOf(b)
  return (
    timeAt(wordsA, atA) - timeAt(wordsB, atB) ||
    wordsA[atA]! - wordsB[atB]! ||
    wordsA[atA + At.idLo]! - wordsB[atB + At.idLo]!
  )
}

/** Number of the first void that names an entry; Infinity where there is none. */
function firstVoidOf(entries: PackedEntries, number: number, unnamed: number): number {
  if (number === unnamed) return Number.POSITIVE_INFINITY
  const words = entries.wordsOf(number)
  const at = entries.offsetOf(number)
  const count = collectReferring(entries, words[at]!, words[at + At.idLo]!)
  for (let i = 0; i < count; i++) if (kindOf(entries, corrections[i]!) === Kind.void) return corrections[i]!
  return Number.POSITIVE_INFINITY
}

interface Standing {
  readonly count: number
  readonly grossMinor: number
  readonly netMinor: number
}

const nothing: Standing = { count: 0, grossMinor: 0, netMinor: 0 }

/** What each member counts for among the first `limit` entries. */
function standings(entries: PackedEntries, { hasSale, members, voidedBy }: Group, limit: number): Standing[] {
  const stands = (i: number) => members[i]! < limit && voidedBy[i]! >= limit
  if (!hasSale) return [stands(0) ? { count: 0, grossMinor: 0, netMinor: -amountOf(entries, members[0]!) } : nothing]
  if (!stands(0)) return members.map(() => nothing)
  const amount = amountOf(entries, members[0]!)
  let left = amount
  let refunds = 0
  const result = members.map((number, i) => {
    if (i === 0 || !stands(i)) return nothing
    const refunded = Math.min(left, amountOf(entries, number))
    left -= refunded
    refunds++
    return { count: 0, grossMinor: 0, netMinor: 0 - refunded }
  })
  result[0] = { count: refunds > 0 && left === 0 ? 0 : 1, grossMinor: amount, netMinor: amount }
  return result
}

function amountOf(entries: PackedEntries, number: number): number {
  return amountAt(entries.wordsOf(number), entries.offsetOf(number))
}
