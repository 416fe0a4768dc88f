import { compileDateFormat } from '../parse/date-format.ts'
import { type Question, question } from './question.ts'

/** How dates are written, by looking at them. */

export interface DatesFound {
  readonly formats: readonly string[]
  /** Share of the values that have the format, 0 to 1. */
  readonly share: number
  /** The other order of day and month by which as many values are dates; null where the values or custom settle it. */
  readonly rival: string | null
  /** Years have two digits, so that neither their century is known nor for certain which number is the year. */
  readonly hasShortYears: boolean
}

const times = ['[ HH:mm[:ss]]', '[ H:mm[:ss]]', '[ h:mm[:ss] a]', '[ h:mm[:ss]a]']
const orders = [
  ['dd', 'MM'],
  ['d', 'M'],
] as const

/** Day first, then month first, of one separator; from two digits to one, from no time to any. */
function candidatesOf(separator: string): { readonly dayFirst: string[]; readonly monthFirst: string[] } {
  const formats = (order: (day: string, month: string) => string) =>
    orders.flatMap(([day, month]) => times.map((time) => `${order(day, month)}${separator}yyyy${time}`))
  return {
    dayFirst: formats((day, month) => `${day}${separator}${month}`),
    monthFirst: formats((day, month) => `${month}${separator}${day}`),
  }
}

const bySeparator = new Map(['.', '/', '-'].map((separator) => [separator, candidatesOf(separator)]))
const yearFirst = [
  'iso',
  ...times.slice(1).map((time) => `yyyy-MM-dd${time}`),
  'yyyy/MM/dd[ HH:mm[:ss]]',
  'yyyy.MM.dd[ HH:mm[:ss]]',
  'yyyyMMdd',
  'yyyyMMddHHmmss',
  'yyyyMMdd[ HH:mm[:ss]]',
]

const compiled = new Map<string, (text: string) => number>()

function parserOf(format: string): (text: string) => number {
  const known = compiled.get(format) ?? compileDateFormat(format)
  compiled.set(format, known)
  return known
}

interface Days {
  readonly fromMs: number
  readonly beforeMs: number
}

/** Days that a transaction can be of, so that numbers which happen to have eight digits are no dates. */
const transactionDays: Days = { fromMs: Date.UTC(1980, 0, 1), beforeMs: Date.UTC(2080, 0, 1) }
/** Days of which somebody alive may be born. */
export const lifeDays: Days = { fromMs: Date.UTC(1900, 0, 1), beforeMs: Date.UTC(2080, 0, 1) }

export function isDateBy(format: string, text: string, days = transactionDays): boolean {
  const ms = parserOf(format)(text)
  return ms >= days.fromMs && ms < days.beforeMs
}

/** What is asked where years have two digits. */
export function askYears({ formats }: DatesFound, example: string): Question {
  const [format = ''] = formats
  return question(
    'dates.formats',
    `years have two digits ("${example}"): ${format} takes the last ones for years from 2000 to 2099; is it so?`,
  )
}

/** Share of values that are dates by one of the formats, 0 to 1; 0 where there are none. */
export function shareOfDates(values: readonly string[], formats: readonly string[], days = transactionDays): number {
  if (values.length === 0) return 0
  return values.filter((value) => formats.some((format) => isDateBy(format, value, days))).length / values.length
}

/**
 * The format by which most values are dates; null where hardly any is one. Which values come first makes no difference, and a
 * few in another notation none either: they get their verdicts when the file is read.
 */
export function datesOf(values: readonly string[], days = transactionDays): DatesFound | null {
  if (values.length === 0) return null
  const separator = commonest(values, (value) =>
    /^\d{4}/.test(value) ? '' : /^\d{1,2}([./-])\d{1,2}[./-]\d{4}/.exec(value)?.[1],
  )
  const order = separator === undefined ? undefined : bySeparator.get(separator)
  const found = { rival: null, hasShortYears: false }
  const first = bestOf(values, order?.dayFirst ?? yearFirst, days)
  const other = order === undefined ? null : bestOf(values, order.monthFirst, days)
  if (other !== null && other.share > first.share) return { ...found, formats: [other.format], share: other.share }
  if (first.share < 0.5) return shortYearsOf(values)
  // With points the day comes first wherever dates are written so.
  const isOpen = separator !== '.' && other !== null && other.share === first.share
  return { ...found, formats: [first.format], share: first.share, rival: isOpen ? other.format : null }
}

/** What is found in more values than anything else, of equals the first in the alphabet; undefined where nothing is found. */
function commonest(values: readonly string[], find: (value: string) => string | undefined): string | undefined {
  const counts = new Map<string, number>()
  for (const value of values) {
    const mark = find(value)
    if (mark !== undefined) counts.set(mark, (counts.get(mark) ?? 0) + 1)
  }
  const [most] = [...counts].sort(([a, times], [b, others]) => others - times || (a < b ? -1 : 1))
  return most?.[0]
}

/** Dates such as 13.03.24, as they are mostly meant: days first, but with slashes where only months first fit. */
function shortYearsOf(values: readonly string[]): DatesFound | null {
  const separator = commonest(values, (value) => /^\d{1,2}([./-])\d{1,2}\1\d{2}(?!\d)/.exec(value)?.[1])
  const order = separator === undefined ? undefined : bySeparator.get(separator)
  if (order === undefined) return null
  const [dayFirst, monthFirst] = [order.dayFirst, order.monthFirst].map((formats) =>
    bestOf(
      values,
      formats.map((format) => format.replace('yyyy', 'yy')),
    ),
  ) as [Best, Best]
  const { format, share } = monthFirst.share > dayFirst.share ? monthFirst : dayFirst
  return share < 0.5 ? null : { formats: [format], share, rival: null, hasShortYears: true }
}

interface Best {
  readonly format: string
  readonly share: number
}

function bestOf(values: readonly string[], formats: readonly string[], days = transactionDays): Best {
  let best: Best = { format: formats[0]!, share: 0 }
  for (const format of formats) {
    const share = shareOfDates(values, [format], days)
    if (share > best.share) best = { format, share }
    if (share === 1) break
  }
  return best
}

const fullDay = /^([01]?\d|2[0-3]):[0-5]\d(:[0-5]\d)?$/
const halfDay = /^(0?[1-9]|1[0-2]):[0-5]\d(:[0-5]\d)?( ?)[ap]m$/i

/** Times of day without a date that are written in the way that more of the values are: to 24 hours, or with AM and PM. */
function timesIn(values: readonly string[]): { readonly times: readonly string[]; readonly halves: boolean } {
  const full = values.filter((value) => fullDay.test(value))
  const half = values.filter((value) => halfDay.test(value))
  return half.length > full.length ? { times: half, halves: true } : { times: full, halves: false }
}

/** Share of values that are times of day without a date, all to 24 hours or all with AM and PM, 0 to 1. */
export function shareOfTimes(values: readonly string[]): number {
  return values.length === 0 ? 0 : timesIn(values).times.length / values.length
}

/** The tokens of times of day such as these. */
function timeFormatOf(values: readonly string[]): string {
  const { times, halves } = timesIn(values)
  if (!halves) return times.every((time) => /^\d\d:/.test(time)) ? 'HH:mm[:ss]' : 'H:mm[:ss]'
  const spaced = times.filter((time) => time.includes(' ')).length
  return `h:mm[:ss]${spaced === 0 ? '' : spaced === times.length ? ' ' : '[ ]'}a`
}

const midnight = /[ T]0?0:00(:00)?$/

/** The format of dates and, after a space, of the times of another column; a midnight that most dates have is passed over. */
export function withTime(format: string, dates: readonly string[], times: readonly string[]): string {
  const tail = commonest(dates, (date) => midnight.exec(date)?.[0] ?? '') ?? ''
  const day = format === 'iso' ? 'yyyy-MM-dd' : format.replace(/\[.*$/, '')
  return `${day}${tail} ${timeFormatOf(times)}`
}

/** True where some date has a time of day that is no midnight. */
export function hasTimes(dates: readonly string[]): boolean {
  return dates.some((date) => /\d:\d\d/.test(date) && !midnight.test(date))
}

/** Share of values that may be serial numbers of days from 1990 to 2060, 0 to 1. */
export function shareOfSerials(values: readonly string[]): number {
  if (values.length === 0) return 0
  const serials = values.filter((value) => {
    const serial = /^\d{5}([.,]\d+)?$/.test(value) ? Number(value.replace(',', '.')) : 0
    return serial >= 32_874 && serial < 58_441
  })
  return serials.length / values.length
}
