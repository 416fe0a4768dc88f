import { newScannedLine, readLine, type ScannedTransaction } from '#schemas/transaction-scan.ts'
import type { Entry } from '../domain/entry.ts'
import { type Hash64, hash64Bytes, hash64Laid, layNumber, layText } from '../domain/hash.ts'
import {
  earliestMs,
  Kind,
  latestMs,
  maxAmountMinor,
  maxBonusMinor,
  maxClientIdBytes,
  maxTransactionIdBytes,
} from '../domain/transaction.ts'

/**
 * True where `validate` refuses nothing, as far as that can be said quickly; a transaction that is valid in words is valid
 * here once our encoder has written it.
 */
export function isPlainlyValid(t: ScannedTransaction, currency: string): boolean {
  const { kind } = t
  return (
    isLength(t.idEnd - t.idAt, maxTransactionIdBytes) &&
    isLength(t.clientEnd - t.clientAt, maxClientIdBytes) &&
    (kind === Kind.sale || kind === Kind.refund || (kind === Kind.void && t.originalAt >= 0 && t.amountMinor === 0)) &&
    (t.originalAt < 0 || t.originalEnd > t.originalAt) &&
    t.occurredAt >= earliestMs &&
    t.occurredAt < latestMs &&
    isWithin(t.amountMinor, maxAmountMinor) &&
    isWithin(t.discountMinor, maxAmountMinor) &&
    isWithin(t.bonusEarnedMinor, maxBonusMinor) &&
    isWithin(t.bonusSpentMinor, maxBonusMinor) &&
    isText(t.bytes, t.currencyAt, t.currencyEnd, currency)
  )
}

function isLength(length: number, most: number): boolean {
  return length > 0 && length <= most
}

function isWithin(value: number, most: number): boolean {
  return value >= 0 && value <= most
}

/** True where the bytes are the text; for ASCII, which codes of currencies are. */
function isText(bytes: Uint8Array, from: number, to: number, text: string): boolean {
  if (to - from !== text.length) return false
  let i = 0
  while (i < text.length && bytes[from + i] === text.charCodeAt(i)) i++
  return i === text.length
}

const hash: Hash64 = { hi: 0, lo: 0 }
const line = newScannedLine()

/** `entryOf` for a valid transaction in its bytes. */
export function entryFrom(t: ScannedTransaction, out: Entry): void {
  const { bytes, kind } = t
  hash64Bytes(bytes, t.idAt, t.idEnd, hash)
  out.idHi = hash.hi
  out.idLo = hash.lo
  out.content = contentOf(t)
  if (t.originalAt < 0 || kind === Kind.sale) {
    out.refHi = 0
    out.refLo = 0
  } else {
    hash64Bytes(bytes, t.originalAt, t.originalEnd, hash)
    out.refHi = hash.hi
    out.refLo = hash.lo
  }
  out.store = storeOf(t)
  out.kind = kind as Kind
  out.occurredAtMs = t.occurredAt
  out.amountMinor = t.amountMinor
  out.bonusEarnedMinor = t.bonusEarnedMinor
  out.bonusSpentMinor = t.bonusSpentMinor
}

/** Where contents are laid out. */
let words = new Uint32Array(1_024)
/** Words that the fixed fields take beside what their bytes do. */
const fixedWords = 64

/** `contentHash`, its lower half. */
function contentOf(t: ScannedTransaction): number {
  const { bytes } = t
  // A byte becomes three words at most: a negative number does.
  const most = fixedWords + bytes.length * 3
  if (words.length < most) words = new Uint32Array(most * 2)
  const w = words
  let at = layText(w, 0, bytes, t.clientAt, t.clientEnd)
  w[at++] = t.kind
  at = layNumber(w, at, t.occurredAt)
  at = layNumber(w, at, t.amountMinor)
  at = layText(w, at, bytes, t.currencyAt, t.currencyEnd)
  at = layText(w, at, bytes, t.originalAt, t.originalEnd)
  at = layText(w, at, bytes, t.storeAt, t.storeEnd)
  at = layNumber(w, at, t.discountMinor)
  at = layNumber(w, at, t.bonusEarnedMinor)
  at = layNumber(w, at, t.bonusSpentMinor)
  w[at++] = t.lines
  if (t.lines > 0) at = layLines(w, at, t)
  hash64Laid(w, at, hash)
  return hash.lo
}

function layLines(w: Uint32Array, from: number, t: ScannedTransaction): number {
  const { bytes } = t
  let at = from
  let next = t.linesAt
  for (let i = 0; i < t.lines; i++) {
    next = readLine(t, next, line)
    at = layText(w, at, bytes, line.skuAt, line.skuEnd)
    at = layText(w, at, bytes, line.descriptionAt, line.descriptionEnd)
    at = layText(w, at, bytes, line.categoryAt, line.categoryEnd)
    at = layNumber(w, at, line.quantity)
    at = layNumber(w, at, line.amountMinor)
  }
  return at
}

/** `hash32` of the store, 0 for none. */
function storeOf({ bytes, storeAt, storeEnd }: ScannedTransaction): number {
  if (storeAt < 0) return 0
  hash64Bytes(bytes, storeAt, storeEnd, hash)
  return hash.lo === 0 ? 1 : hash.lo
}
