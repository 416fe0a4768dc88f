import { isUtf8 } from 'node:buffer'
import { frameLength } from './codec.ts'
import type { ScannedTransaction } from './scanned-transaction.ts'

export { ScannedTransaction } from './scanned-transaction.ts'

const nothing = new Uint8Array(0)

let b: Uint8Array = nothing
/** Where reading is. Reading beyond the end gives nothing that could loop or allocate, and is found out at the end. */
let p = 0
let e = 0
let plain = true

/**
 * Scans a framed value written with the newest schema of TransactionRecorded. False where it is not plainly that: damaged,
 * or well-formed in a way that our encoder does not write (an array in several blocks, a long beyond 2^53). What it is
 * then, a decoder has to say.
 */
export function scan(value: Uint8Array, out: ScannedTransaction): boolean {
  b = value
  e = value.length
  plain = true
  out.bytes = value
  if (!scanShort(value, out)) scanAny(out)
  out.categoriesEnd = p = b[p] === 0 ? p + 1 : passTexts(1)
  out.linesAt = p + 1
  if (b[p] === 0) {
    out.lines = 0
    p++
  } else out.lines = scanLines(out)
  out.discountFrom = p
  out.discountMinor = long()
  out.bonusEarnedMinor = long()
  out.bonusSpentMinor = long()
  out.bonusEnd = p
  if (b[p] === 0) p++
  else passTexts(2)
  b = nothing
  return plain && p === e
}

/** The lengths of the texts that `scanShort` has passed, and what it was not made for: a bit of `notShort` is set then. */
let seen = 0
const notShort = 0x81
/** Where the text passed last begins, -1 where it is absent. */
let begin = 0

/**
 * The fields before the arrays, where no text has more than 63 bytes: nearly always. Then everything in a run of texts but
 * the texts themselves are bytes below 128, so that one look at the whole run tells that all of them are UTF-8. What is
 * called here is small, so that it becomes one piece of machine code without calls: it takes a third of the time of `scanAny`.
 */
function scanShort(b: Uint8Array, out: ScannedTransaction): boolean {
  seen = 0
  let at = shortText(b, frameLength)
  out.idFrom = frameLength
  out.idAt = begin
  out.idEnd = at
  at = shortText(b, at)
  out.clientAt = begin
  out.clientEnd = at
  seen |= b[at]!
  out.kind = b[at]! >>> 1
  out.occurredFrom = ++at
  at = longEnd(b, at)
  out.occurredAt = longAt(b, out.occurredFrom, at)
  out.amountFrom = at
  at = longEnd(b, at)
  out.amountMinor = longAt(b, out.amountFrom, at)
  out.amountEnd = at
  at = shortText(b, at)
  out.currencyAt = begin
  out.currencyEnd = at
  at = shortText(b, at)
  out.sourceEnd = at
  at = shortNullable(b, at)
  out.storeAt = begin
  out.storeEnd = at
  at = shortNullable(b, at)
  at = shortNullable(b, at)
  at = shortNullable(b, at)
  out.originalAt = begin
  out.originalEnd = at
  at = shortNullable(b, at)
  out.paymentEnd = at
  at = shortNullable(b, at)
  out.batchAt = begin
  out.batchEnd = at
  // The number of items.
  p = longEnd(b, at)
  return (
    (seen & notShort) === 0 &&
    p - at <= 4 &&
    p <= e &&
    isText(b, frameLength, out.clientEnd) &&
    isText(b, out.amountEnd, out.batchEnd)
  )
}

function shortText(b: Uint8Array, at: number): number {
  const length = b[at]!
  seen |= length
  begin = at + 1
  return begin + (length >>> 1)
}

function shortNullable(b: Uint8Array, at: number): number {
  if (b[at] === 2) return shortText(b, at + 1)
  if (b[at] !== 0) seen = notShort
  begin = -1
  return at + 1
}

function longEnd(b: Uint8Array, from: number): number {
  let at = from
  while (b[at]! > 127) at++
  return at + 1
}

function isText(b: Uint8Array, from: number, to: number): boolean {
  let bits = 0
  for (let i = from; i < to; i++) bits |= b[i]!
  return bits < 128 || isUtf8(b.subarray(from, to))
}

/** The zigzag varint from `from` to `end`; makes no short transaction of one that is no safe integer. */
function longAt(b: Uint8Array, from: number, end: number): number {
  let low = 0
  let high = 0
  let at = from
  for (let shift = 0; shift < 28 && at < end; shift += 7) low |= (b[at++]! & 127) << shift
  if (at === end) return (low >>> 1) ^ -(low & 1)
  // Below 2^49, which is what amounts and times are but for the rarest.
  for (let shift = 0; shift < 21 && at < end; shift += 7) high |= (b[at++]! & 127) << shift
  if (at < end) seen = notShort
  const half = (low >>> 1) + high * 0x8000000
  return (low & 1) === 0 ? half : -half - 1
}

/** The fields before the arrays, whatever they are. */
function scanAny(out: ScannedTransaction): void {
  p = frameLength
  out.idFrom = p
  out.idAt = text()
  out.idEnd = p
  out.clientAt = text()
  out.clientEnd = p
  out.kind = long()
  out.occurredFrom = p
  out.occurredAt = long()
  out.amountFrom = p
  out.amountMinor = long()
  out.amountEnd = p
  out.currencyAt = text()
  out.currencyEnd = p
  text()
  out.sourceEnd = p
  out.storeAt = nullableText()
  out.storeEnd = p
  nullableText()
  nullableText()
  out.originalAt = nullableText()
  out.originalEnd = p
  nullableText()
  out.paymentEnd = p
  out.batchAt = nullableText()
  out.batchEnd = p
  int()
}

/** Passes over an array or map, `each` texts an item, and answers where it ends. */
function passTexts(each: number): number {
  for (let n = items(); n > 0; n = rest(n)) for (let i = 0; i < each; i++) text()
  return p
}

function scanLines(out: ScannedTransaction): number {
  const lines = items()
  out.linesAt = p
  for (let n = lines; n > 0; n = rest(n)) {
    text()
    nullableText()
    nullableText()
    // A double whose exponent is all ones is infinite or no number.
    if ((b[p + 7]! & 0x7f) === 0x7f && (b[p + 6]! & 0xf0) === 0xf0) plain = false
    p += 8
    long()
  }
  return lines
}

/** A text of a scanned transaction. */
export function textAt(bytes: Uint8Array, from: number, to: number): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset + from, to - from).toString()
}

/** A line of a scanned transaction, as `ScannedTransaction` has its fields. */
export interface ScannedLine {
  skuAt: number
  skuEnd: number
  descriptionAt: number
  descriptionEnd: number
  categoryAt: number
  categoryEnd: number
  quantity: number
  amountMinor: number
}

export function newScannedLine(): ScannedLine {
  return {
    skuAt: 0,
    skuEnd: 0,
    descriptionAt: 0,
    descriptionEnd: 0,
    categoryAt: 0,
    categoryEnd: 0,
    quantity: 0.5,
    amountMinor: 0.5,
  }
}

const double = new DataView(new ArrayBuffer(8))

/** Reads the line at `at` of a transaction that was scanned and answers where the next one begins. */
export function readLine(transaction: ScannedTransaction, at: number, out: ScannedLine): number {
  b = transaction.bytes
  p = at
  e = b.length
  out.skuAt = text()
  out.skuEnd = p
  out.descriptionAt = nullableText()
  out.descriptionEnd = p
  out.categoryAt = nullableText()
  out.categoryEnd = p
  for (let i = 0; i < 8; i++) double.setUint8(i, b[p++]!)
  out.quantity = double.getFloat64(0, true)
  out.amountMinor = long()
  return p
}

/** Passes over a text and answers where it begins. */
function text(): number {
  const length = long()
  const start = p
  const end = start + length
  if (!(length >= 0 && end <= e)) {
    plain = false
    return start
  }
  let bits = 0
  for (let i = start; i < end; i++) bits |= b[i]!
  if (bits > 0x7f && !isUtf8(b.subarray(start, end))) plain = false
  p = end
  return start
}

function nullableText(): number {
  const branch = b[p++]
  if (branch === 0) return -1
  if (branch !== 2) plain = false
  return text()
}

/** Number of items of an array or map. Every item takes a byte at least: a count above what is left is a lie. */
function items(): number {
  const count = long()
  if (count >= 0 && count <= e - p) return count
  plain = false
  return 0
}

/** Items left after one was read; behind the last one there must be the end of the array, none behind what is damaged. */
function rest(count: number): number {
  if (!plain) return 0
  if (count === 1 && b[p++] !== 0) plain = false
  return count - 1
}

function int(): void {
  const start = p
  const value = long()
  if (value !== (value | 0) || p - start > 5) plain = false
}

/** A zigzag varint; NaN, and not plain, where it is no safe integer. */
function long(): number {
  const byte = b[p++]!
  if (byte < 128) return (byte >>> 1) ^ -(byte & 1)
  return longer(byte & 127)
}

/** Read as two halves below 2^28, so that the zigzag is undone without rounding. */
function longer(first: number): number {
  let low = first
  let byte = 128
  for (let shift = 7; shift < 28 && byte > 127; shift += 7) {
    byte = b[p++]!
    low |= (byte & 127) << shift
  }
  if (!(byte > 127)) return (low >>> 1) ^ -(low & 1)
  let high = 0
  let factor = 1
  for (let i = 0; byte > 127; i++) {
    if (i === 6) return tooLong()
    byte = b[p++]!
    high += (byte & 127) * factor
    factor *= 128
  }
  const half = (low >>> 1) + high * 0x8000000
  const negative = (low & 1) === 1
  if (!(half <= Number.MAX_SAFE_INTEGER) || (negative && half === Number.MAX_SAFE_INTEGER)) return tooLong()
  return negative ? -half - 1 : half
}

function tooLong(): number {
  plain = false
  return Number.NaN
}
