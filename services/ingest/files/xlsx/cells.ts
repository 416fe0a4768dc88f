import { dayMs } from '#streams/domain/calendar.ts'
import {
  compileDateWriter,
  type DateWriter,
  timeOfDay,
  writeDuration,
  writeTimeOfDay,
} from '../../parse/date-writer.ts'
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
  /** The columns of days and of times of day where these are apart, by name or place: the formats are of both together. */
  readonly apart?: { readonly day: string | number; readonly time: string | number }
}

/** What a cell of a date or a time says of either; null for what it does not say. */
export interface Moment {
  /** Wall time of the day's beginning, epoch ms as if it were UTC. */
  readonly dayMs: number | null
  /** Since the day's beginning; null also of a date at midnight whose cell need not show a time. */
  readonly timeMs: number | null
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
    const wallMs = isoWallTime(text)
    return Number.isNaN(wallMs) ? text : this.#writeDate(wallMs)
  }

  /** What a number in its format says of a day and a time of day; null where it is neither. */
  moment(text: string, format: CellFormat): Moment | null {
    const serial = Number(text)
    if ((format.kind !== 'date' && format.kind !== 'elapsed') || !isSerial(serial)) return null
    const ms = roundedMs(serial, format)
    if (this.#isTimeOnly(serial, format)) return { dayMs: null, timeMs: timeOfDay(ms) }
    const wallMs = format.kind === 'date' ? this.#wallTime(ms) : null
    return wallMs === null ? null : momentOf(wallMs, format.kind === 'date' && !format.date)
  }

  /** As `moment`, of a date in ISO 8601. */
  isoMoment(text: string): Moment | null {
    const wallMs = isoWallTime(text)
    return Number.isNaN(wallMs) ? null : momentOf(wallMs, false)
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
    if (!isSerial(serial)) return plain
    const ms = roundedMs(serial, format)
    if (format.kind === 'elapsed') return writeDuration(ms)
    if (this.#isTimeOnly(serial, format)) return writeTimeOfDay(ms)
    const wallMs = this.#wallTime(ms)
    return wallMs === null ? plain : this.#writeDate(wallMs)
  }

  #isTimeOnly(serial: number, format: CellFormat): boolean {
    return serial < 1 && !(format.kind === 'date' && format.date && this.#is1904)
  }

  /** Null for the 29 February 1900, which Excel has and the calendar has not. */
  #wallTime(ms: number): number | null {
    if (this.#is1904) return Date.UTC(1904, 0, 1) + ms
    if (ms >= 61 * dayMs) return Date.UTC(1899, 11, 30) + ms
    return ms < 60 * dayMs ? Date.UTC(1899, 11, 31) + ms : null
  }
}

/** Spreadsheets show any other number in a format of dates as #######. */
function isSerial(serial: number): boolean {
  return serial >= 0 && serial < 2_958_466
}

function roundedMs(serial: number, format: CellFormat): number {
  const unit = format.kind === 'date' && format.millis ? 1 : 1_000
  return Math.round((serial * dayMs) / unit) * unit
}

function momentOf(wallMs: number, showsTimeOnly: boolean): Moment {
  const timeMs = timeOfDay(wallMs)
  return { dayMs: wallMs - timeMs, timeMs: timeMs === 0 && !showsTimeOnly ? null : timeMs }
}

/** NaN where the text has a zone, or is no date. */
function isoWallTime(text: string): number {
  const match = /^(\d{4}-\d\d-\d\d)(?:T(\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?))?$/.exec(text)
  return match === null ? Number.NaN : Date.parse(`${match[1]}T${match[2] ?? '00:00'}Z`)
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
