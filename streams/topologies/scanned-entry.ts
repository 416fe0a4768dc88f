import { newScannedLine, readLine, type ScannedTransaction } from '#schemas/transaction-scan.ts'
import type { Entry } from '../domain/entry.ts'
import { type Hash64, Hasher, hash64Bytes } from '../domain/hash.ts'
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

const hasher = new Hasher()
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

/** `contentHash`, its lower half. */
function contentOf(t: ScannedTransaction): number {
  const { bytes } = t
  hasher
    .reset()
    .encodedText(bytes, t.clientAt, t.clientEnd)
    .word(t.kind)
    .number(t.occurredAt)
    .number(t.amountMinor)
    .encodedText(bytes, t.currencyAt, t.currencyEnd)
    .encodedText(bytes, t.originalAt, t.originalEnd)
    .encodedText(bytes, t.storeAt, t.storeEnd)
    .number(t.discountMinor)
    .number(t.bonusEarnedMinor)
    .number(t.bonusSpentMinor)
    .word(t.lines)
  let at = t.linesAt
  for (let i = 0; i < t.lines; i++) {
    at = readLine(t, at, line)
    hasher
      .encodedText(bytes, line.skuAt, line.skuEnd)
      .encodedText(bytes, line.descriptionAt, line.descriptionEnd)
      .encodedText(bytes, line.categoryAt, line.categoryEnd)
      .number(line.quantity)
      .number(line.amountMinor)
  }
  hasher.finish(hash)
  return hash.lo
}

/** `hash32` of the store, 0 for none. */
function storeOf({ bytes, storeAt, storeEnd }: ScannedTransaction): number {
  if (storeAt < 0) return 0
  hash64Bytes(bytes, storeAt, storeEnd, hash)
  return hash.lo === 0 ? 1 : hash.lo
}
