import { type ColdIds, noColdIds } from './cold-ids.ts'

/**
 * What lies beyond a ledger's horizon: sums of the receipts folded away, and their ids in cold chunks. Immutable, so that
 * forks share it.
 */
export interface Past {
  /** Newest business time among the folded entries. */
  readonly horizonMs: number
  readonly transactions: number
  readonly sales: number
  readonly frequency: number
  readonly grossMinor: number
  readonly refundedMinor: number
  readonly bonusEarnedMinor: number
  readonly bonusSpentMinor: number
  readonly waiting: number
  readonly flags: number
  /** `none` where no folded sale counts. */
  readonly firstPurchaseAtMs: number
  readonly lastPurchaseAtMs: number
  /** Hashes of the stores of folded counted sales, ascending. */
  readonly stores: Uint32Array
  readonly cold: ColdIds
}

export const noPast: Past = {
  horizonMs: 0,
  transactions: 0,
  sales: 0,
  frequency: 0,
  grossMinor: 0,
  refundedMinor: 0,
  bonusEarnedMinor: 0,
  bonusSpentMinor: 0,
  waiting: 0,
  flags: 0,
  firstPurchaseAtMs: -1,
  lastPurchaseAtMs: -1,
  stores: new Uint32Array(0),
  cold: noColdIds,
}

const numbers = [
  'horizonMs',
  'transactions',
  'sales',
  'frequency',
  'grossMinor',
  'refundedMinor',
  'bonusEarnedMinor',
  'bonusSpentMinor',
  'waiting',
  'flags',
  'firstPurchaseAtMs',
  'lastPurchaseAtMs',
] as const satisfies (keyof Past)[]

/** 32-bit words: the numbers as doubles, then counts and contents of stores and cold chunk lengths. */
export function encodePast(past: Past): Uint32Array {
  const { stores, cold } = past
  const lengths = cold.lengths
  const doubles = Float64Array.from(numbers, (name) => past[name])
  const words = new Uint32Array(doubles.length * 2 + 2 + stores.length + lengths.length)
  words.set(new Uint32Array(doubles.buffer))
  let at = doubles.length * 2
  words[at++] = stores.length
  words[at++] = lengths.length
  words.set(stores, at)
  words.set(lengths, at + stores.length)
  return words
}

/** `words` begins with an encoded past. `loadCold` is asked when an old id is looked up. */
export function decodePast(words: Uint32Array, loadCold: (index: number) => Uint8Array): Past {
  const doubles = new Float64Array(words.slice(0, numbers.length * 2).buffer)
  const sums = Object.fromEntries(numbers.map((name, i) => [name, doubles[i]!])) as Pick<Past, (typeof numbers)[number]>
  let at = numbers.length * 2
  const storeCount = words[at++]!
  const chunkCount = words[at++]!
  const stores = words.slice(at, at + storeCount)
  at += storeCount
  const lengths = words.slice(at, at + chunkCount)
  return { ...sums, stores, cold: noColdIds.stored(lengths, loadCold) }
}
