import { type Hash64, hash32, hash64 } from './hash.ts'
import { contentHash, Kind, type Transaction } from './transaction.ts'

/** What the ledger keeps of a transaction. Hashes stand for ids; `ref` 0/0 and `store` 0 mean none. */
export interface Entry {
  idHi: number
  idLo: number
  refHi: number
  refLo: number
  /** 32 bits of the content hash: enough to tell a repetition from a conflict. */
  content: number
  store: number
  kind: Kind
  occurredAtMs: number
  amountMinor: number
  bonusEarnedMinor: number
  bonusSpentMinor: number
}

/** An entry to be filled again and again by `entryOf`. */
export function newEntry(): Entry {
  return {
    idHi: 0,
    idLo: 0,
    refHi: 0,
    refLo: 0,
    content: 0,
    store: 0,
    kind: Kind.unknown,
    occurredAtMs: 0,
    amountMinor: 0,
    bonusEarnedMinor: 0,
    bonusSpentMinor: 0,
  }
}

const hash: Hash64 = { hi: 0, lo: 0 }
let lastStore: string | null = null
let lastStoreHash = 0

/** Fills `out` from a valid transaction and returns it. */
export function entryOf(transaction: Transaction, out: Entry): Entry {
  hash64(transaction.transactionId, hash)
  out.idHi = hash.hi
  out.idLo = hash.lo
  contentHash(transaction, hash)
  out.content = hash.lo
  const original = transaction.originalTransactionId
  // A sale corrects nothing: what some tills write there is content, no reference.
  if (original === null || transaction.kind === Kind.sale) {
    out.refHi = 0
    out.refLo = 0
  } else {
    hash64(original, hash)
    out.refHi = hash.hi
    out.refLo = hash.lo
  }
  out.store = storeOf(transaction.storeId)
  out.kind = transaction.kind
  out.occurredAtMs = transaction.occurredAtMs
  out.amountMinor = transaction.amountMinor
  out.bonusEarnedMinor = transaction.bonusEarnedMinor
  out.bonusSpentMinor = transaction.bonusSpentMinor
  return out
}

function storeOf(storeId: string | null): number {
  if (storeId === null) return 0
  if (storeId !== lastStore) {
    lastStoreHash = hash32(storeId)
    lastStore = storeId
  }
  return lastStoreHash
}

/**
 * Layout of a packed entry: twelve 32-bit words, 48 bytes. Times have 43 bits, amounts 53, bonuses 47:
 *
 * 0 id high · 1 id low · 2 ref high · 3 ref low · 4 content · 5 store · 6 time low · 7 time high (11 bits) and amount
 * high (21) · 8 amount low · 9 kind (2), bonus earned high (15), bonus spent high (15) · 10 bonus earned low · 11 bonus
 * spent low
 */
export const entryWords = 12
export const At = {
  idHi: 0,
  idLo: 1,
  refHi: 2,
  refLo: 3,
  content: 4,
  store: 5,
  timeLo: 6,
  highs: 7,
  amountLo: 8,
  kindAndBonus: 9,
  earnedLo: 10,
  spentLo: 11,
} as const

const two32 = 4_294_967_296

/** Writes an entry at word `at`. */
export function packEntry(words: Uint32Array, at: number, entry: Entry): void {
  const { occurredAtMs, amountMinor, bonusEarnedMinor: earned, bonusSpentMinor: spent } = entry
  words[at] = entry.idHi
  words[at + At.idLo] = entry.idLo
  words[at + At.refHi] = entry.refHi
  words[at + At.refLo] = entry.refLo
  words[at + At.content] = entry.content
  words[at + At.store] = entry.store
  words[at + At.timeLo] = occurredAtMs
  words[at + At.highs] = ((occurredAtMs / two32) << 21) | (amountMinor / two32)
  words[at + At.amountLo] = amountMinor
  words[at + At.kindAndBonus] = (entry.kind << 30) | ((earned / two32) << 15) | (spent / two32)
  words[at + At.earnedLo] = earned
  words[at + At.spentLo] = spent
}

export function kindAt(words: Uint32Array, at: number): number {
  return words[at + At.kindAndBonus]! >>> 30
}

export function timeAt(words: Uint32Array, at: number): number {
  return (words[at + At.highs]! >>> 21) * two32 + words[at + At.timeLo]!
}

export function amountAt(words: Uint32Array, at: number): number {
  return (words[at + At.highs]! & 0x1fffff) * two32 + words[at + At.amountLo]!
}

export function earnedAt(words: Uint32Array, at: number): number {
  return ((words[at + At.kindAndBonus]! >>> 15) & 0x7fff) * two32 + words[at + At.earnedLo]!
}

export function spentAt(words: Uint32Array, at: number): number {
  return (words[at + At.kindAndBonus]! & 0x7fff) * two32 + words[at + At.spentLo]!
}

export function hasRefAt(words: Uint32Array, at: number): boolean {
  return (words[at + At.refHi]! | words[at + At.refLo]!) !== 0
}

/**
 * True where entry `at` has this id. Its halves may be signed or not, since only bits are compared: a number beyond 2^31
 * has to be allocated to be handed over, the same bits as a signed one have not.
 */
export function isIdAt(words: Uint32Array, at: number, hi: number, lo: number): boolean {
  return ((words[at + At.idLo]! ^ lo) | (words[at]! ^ hi)) === 0
}

/** True where entry `at` refers to this id, as `isIdAt`. */
export function isRefAt(words: Uint32Array, at: number, hi: number, lo: number): boolean {
  return ((words[at + At.refLo]! ^ lo) | (words[at + At.refHi]! ^ hi)) === 0
}
