/** Exact decimal numbers: digits and a scale, never a binary fraction. */

/** mantissa / 10^scale; the mantissa is a safe integer. */
export interface Decimal {
  mantissa: number
  scale: number
}

export interface NumberFormat {
  readonly decimal: '.' | ','
  /** Characters that may stand between the digits of the integer part; '' for none. */
  readonly thousands: string
}

/** Marks that people take for one another: every kind of space, and the two apostrophes. */
const alike = [' \u00a0\u202f\u2009', "'\u2019"]

/** The format with every mark that looks like one of its marks. */
export function withAlikeMarks({ decimal, thousands }: NumberFormat): NumberFormat {
  const more = alike.filter((marks) => [...marks].some((mark) => thousands.includes(mark)))
  return { decimal, thousands: thousands + more.join('') }
}

const maxDigits = 15
const maxScale = 9

/**
 * Reads a decimal number into `into`; false where the text is none, or has more digits than are held exactly (15, at
 * most 9 of them decimals). A sign before the digits and spaces round them are allowed, an exponent is not.
 */
export function parseDecimal(text: string, format: NumberFormat, into: Decimal): boolean {
  let at = 0
  let end = text.length
  while (at < end && isSpace(text.charCodeAt(at))) at++
  while (end > at && isSpace(text.charCodeAt(end - 1))) end--
  let negative = false
  const sign = text.charCodeAt(at)
  if (sign === 0x2d || sign === 0x2b || sign === 0x2212) {
    negative = sign !== 0x2b
    at++
  }
  const mark = format.decimal.charCodeAt(0)
  let mantissa = 0
  let digits = 0
  let seen = 0
  let scale = -1
  /** Digits since the last thousands mark; -1 before the first. */
  let grouped = -1
  for (; at < end; at++) {
    const code = text.charCodeAt(at)
    if (code >= 0x30 && code <= 0x39) {
      mantissa = mantissa * 10 + (code - 0x30)
      seen++
      if (mantissa !== 0) digits++
      if (scale >= 0) scale++
      else if (grouped >= 0) grouped++
    } else if (code === mark && scale < 0) scale = 0
    else if (scale >= 0 || !format.thousands.includes(text[at]!)) return false
    else if (grouped < 0 ? seen === 0 || seen > 3 : grouped !== 3) return false
    else grouped = 0
  }
  // "1,23" with thousands commas is a decimal comma in the wrong file, not 123.
  if (grouped >= 0 && grouped !== 3) return false
  if (seen === 0 || digits > maxDigits || scale > maxScale) return false
  into.mantissa = negative && mantissa !== 0 ? -mantissa : mantissa
  into.scale = Math.max(0, scale)
  return true
}

function isSpace(code: number): boolean {
  return code === 0x20 || code === 0x09 || code === 0xa0 || code === 0x202f || code === 0x2009
}

const powers = Array.from({ length: 16 }, (_, n) => 10 ** n)

/** An amount in minor units as a decimal with a point: `-4.00`. */
export function minorText(minor: number, digits: number): string {
  const text = String(Math.abs(minor)).padStart(digits + 1, '0')
  const whole = `${minor < 0 ? '-' : ''}${text.slice(0, text.length - digits)}`
  return digits === 0 ? whole : `${whole}.${text.slice(-digits)}`
}

/** An exact sum of decimals and products of two. Stays in plain numbers until one would no longer be exact. */
export class ExactSum {
  #small = 0
  #large: bigint | null = null
  #scale = 0

  reset(): void {
    this.#small = 0
    this.#large = null
    this.#scale = 0
  }

  add(mantissa: number, scale: number): void {
    this.#addScaled(mantissa, scale)
  }

  addProduct(a: Decimal, b: Decimal): void {
    const product = a.mantissa * b.mantissa
    if (Number.isSafeInteger(product)) this.#addScaled(product, a.scale + b.scale)
    else this.#addLarge(BigInt(a.mantissa) * BigInt(b.mantissa), a.scale + b.scale)
  }

  #addScaled(mantissa: number, scale: number): void {
    const common = Math.max(scale, this.#scale)
    // Infinity, for more decimals than the table has, is no safe integer: such sums are kept large.
    const sum = this.#large === null ? this.#small * (powers[common - this.#scale] ?? Infinity) : Infinity
    const addend = mantissa * (powers[common - scale] ?? Infinity)
    const total = sum + addend
    if (Number.isSafeInteger(sum) && Number.isSafeInteger(addend) && Number.isSafeInteger(total)) {
      this.#small = total
      this.#scale = common
    } else this.#addLarge(BigInt(mantissa), scale)
  }

  #addLarge(mantissa: bigint, scale: number): void {
    const common = Math.max(scale, this.#scale)
    const sum = (this.#large ?? BigInt(this.#small)) * 10n ** BigInt(common - this.#scale)
    this.#large = sum + mantissa * 10n ** BigInt(common - scale)
    this.#scale = common
  }

  /**
   * The sum in units of 10^-digits, rounded half to even; null where it is beyond the integers that a number holds
   * exactly.
   */
  toMinor(digits: number): number | null {
    if (this.#large === null && this.#scale <= digits) {
      const minor = this.#small * powers[digits - this.#scale]!
      if (Number.isSafeInteger(minor)) return minor
    }
    if (this.#large === null && this.#scale > digits && this.#scale - digits < powers.length)
      return halfEven(this.#small, powers[this.#scale - digits]!)
    const minor = Number(halfEvenLarge(this.#large ?? BigInt(this.#small), this.#scale, digits))
    return Number.isSafeInteger(minor) ? minor : null
  }
}

function halfEven(value: number, divisor: number): number {
  const remainder = value % divisor
  const quotient = (value - remainder) / divisor
  const twice = Math.abs(remainder) * 2
  if (twice < divisor || (twice === divisor && quotient % 2 === 0)) return quotient + 0
  return quotient + (value < 0 ? -1 : 1)
}

function halfEvenLarge(value: bigint, scale: number, digits: number): bigint {
  if (scale <= digits) return value * 10n ** BigInt(digits - scale)
  const divisor = 10n ** BigInt(scale - digits)
  const quotient = value / divisor
  const remainder = value % divisor
  const twice = (remainder < 0n ? -remainder : remainder) * 2n
  if (twice < divisor || (twice === divisor && quotient % 2n === 0n)) return quotient
  return quotient + (value < 0n ? -1n : 1n)
}
