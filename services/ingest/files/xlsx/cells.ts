import { dayMs } from '#streams/domain/calendar.ts'
import { compileDateWriter, type DateWriter, writeDuration, writeTimeOfDay } from '../../parse/date-writer.ts'
import type { CellFormat } from './number-format.ts'

/**
 * Values that a workbook knows the type of, written in the notation of the profile, so that its mark for decimals and its
 * dates can never misread them. Cells of text are not touched.
 */

/** The part of a file profile that says how numbers and dates are written. */
export interface Notation {
  readonly numbers: { readonly decimal: '.' | ',' }
  readonly dates: { readonly formats: readonly string[] }
  /** The column of sums, by name or place, and their currency. Numbers that it shows in another one are written with that. */
  readonly sums?: { readonly column: string | number; readonly currency: string }
}

/** Where no profile is known yet. */
export const plainNotation: Notation = { numbers: { decimal: '.' }, dates: { formats: ['iso'] } }

/** Decimals that are kept: as many as a profile reads. Excel computes with 15 digits. */
const maxDecimals = 9
const maxDigits = 15

export class CellWriter {
  readonly #decimal: '.' | ','
  readonly #writeDate: DateWriter
  readonly #is1904: boolean
  /** Rows of a receipt stand together and repeat their date. */
  #lastSerial = ''
  #lastFormat: CellFormat | null = null
  #lastText = ''

  constructor({ numbers, dates }: Notation, is1904: boolean) {
    this.#decimal = numbers.decimal
    this.#writeDate = compileDateWriter(dates.formats)
    this.#is1904 = is1904
  }

  /** A number as its XML has it, in its format; null where it is none. */
  number(text: string, format: CellFormat): string | null {
    if (format.kind === 'number') return this.#plain(text)
    if (text === this.#lastSerial && format === this.#lastFormat) return this.#lastText
    const written = this.#formatted(text, format)
    if (written === null) return null
    this.#lastSerial = text
    this.#lastFormat = format
    this.#lastText = written
    return written
  }

  /** A date in ISO 8601, as a few programs write them; as it stands where it has a zone, or no date. */
  isoDate(text: string): string {
    const match = /^(\d{4}-\d\d-\d\d)(?:T(\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?))?$/.exec(text)
    const wallMs = match === null ? Number.NaN : Date.parse(`${match[1]}T${match[2] ?? '00:00'}Z`)
    return Number.isNaN(wallMs) ? text : this.#writeDate(wallMs)
  }

  #plain(text: string): string | null {
    const decimals = decimalsOf(text)
    if (decimals === 0) return text
    const plain = decimals > 0 ? text : cleaned(text)
    return plain === null || this.#decimal === '.' ? plain : plain.replace('.', this.#decimal)
  }

  #formatted(text: string, format: CellFormat): string | null {
    const plain = this.#plain(text)
    if (plain === null || format.kind === 'number') return plain
    if (format.kind === 'padded') return /^\d+$/.test(plain) ? plain.padStart(format.digits, '0') : plain
    const serial = Number(text)
    // Spreadsheets show such a number as #######.
    if (!(serial >= 0 && serial < 2_958_466)) return plain
    const unit = format.kind === 'date' && format.millis ? 1 : 1_000
    const ms = Math.round((serial * dayMs) / unit) * unit
    if (format.kind === 'elapsed') return writeDuration(ms)
    if (serial < 1 && (!format.date || !this.#is1904)) return writeTimeOfDay(ms)
    return this.#date(ms) ?? plain
  }

  /** Null for the 29 February 1900, which Excel has and the calendar has not. */
  #date(ms: number): string | null {
    if (this.#is1904) return this.#writeDate(Date.UTC(1904, 0, 1) + ms)
    if (ms >= 61 * dayMs) return this.#writeDate(Date.UTC(1899, 11, 30) + ms)
    return ms < 60 * dayMs ? this.#writeDate(Date.UTC(1899, 11, 31) + ms) : null
  }
}

/** Decimals of a number that is written plainly, and short enough to be exact; -1 for any other text. */
function decimalsOf(text: string): number {
  let at = text.charCodeAt(0) === 0x2d ? 1 : 0
  const start = at
  let mark = -1
  for (; at < text.length; at++) {
    const code = text.charCodeAt(at)
    if (code >= 0x30 && code <= 0x39) continue
    if (code !== 0x2e || mark >= 0 || at === start) return -1
    mark = at
  }
  if (mark < 0) return at > start ? 0 : -1
  const decimals = at - mark - 1
  return decimals > 0 && decimals <= maxDecimals && at - start - 1 <= maxDigits ? decimals : -1
}

/** The decimal number that a binary one stands for: of 15 digits, at most 9 of them decimals. */
function cleaned(text: string): string | null {
  if (!/^[+-]?(\d+\.?\d*|\.\d+)(E[+-]?\d+)?$/i.test(text)) return null
  const value = Number(text)
  if (!Number.isFinite(value)) return null
  const [mantissa = '', power = '0'] = Math.abs(value)
    .toExponential(maxDigits - 1)
    .split('e')
  const whole = Number(power) + 1
  const digits = mantissa.replace('.', '')
  const exact =
    whole + maxDecimals < maxDigits
      ? Math.abs(value).toFixed(maxDecimals)
      : `${digits.slice(0, whole).padEnd(whole, '0')}.${digits.slice(whole)}`
  const short = exact.replace(/\.?0*$/, '')
  return value < 0 && /[1-9]/.test(short) ? `-${short}` : short
}
