import { LoyaltyError } from '#streams/core/error.ts'
import { dayMs } from '#streams/domain/calendar.ts'

/**
 * Date formats of a file profile: tokens, of which `[optional parts]` may be missing, or a named format. Everything that is
 * no token stands for itself.
 */

/** Epoch ms of a text, or NaN where it does not have the format or is no date. */
export type TimeParser = (text: string) => number

/** Turns a wall time (as if it were UTC, epoch ms) into the instant of it. Times with a zone of their own need none. */
export type WallTimeReader = (wallMs: number) => number

const tokens: Record<string, { field: number; least: number; most: number }> = {
  yy: { field: 8, least: 2, most: 2 },
  yyyy: { field: 0, least: 4, most: 4 },
  MM: { field: 1, least: 2, most: 2 },
  M: { field: 1, least: 1, most: 2 },
  dd: { field: 2, least: 2, most: 2 },
  d: { field: 2, least: 1, most: 2 },
  HH: { field: 3, least: 2, most: 2 },
  H: { field: 3, least: 1, most: 2 },
  hh: { field: 7, least: 2, most: 2 },
  h: { field: 7, least: 1, most: 2 },
  mm: { field: 4, least: 2, most: 2 },
  ss: { field: 5, least: 2, most: 2 },
  SSS: { field: 6, least: 3, most: 3 },
}

export type Part = { field: number; least: number; most: number } | { literal: string } | { mark: 'zone' | 'half' }

/** ISO 8601 in its extended form: a date, with or without a time to the minute, second or a fraction, with or without zone. */
const isoDate = /^(\d{4})-(\d\d)-(\d\d)(?:[T ](\d\d):(\d\d)(?::(\d\d)(?:[.,](\d{1,9}))?)?)?/

const named: Readonly<Record<string, (toUtc: WallTimeReader) => TimeParser>> = {
  iso: (toUtc) => (text) => parseIso(text, toUtc),
  // Serials count days from a day before 1 March 1900 that takes in the 29 February 1900 of Excel, which never was.
  excel: (toUtc) => (text) => parseSerial(text, Date.UTC(1899, 11, 30), 61, toUtc),
  'excel-1904': (toUtc) => (text) => parseSerial(text, Date.UTC(1904, 0, 1), 0, toUtc),
}

export function isDateFormat(format: string): boolean {
  try {
    compileDateFormat(format)
    return true
  } catch {
    return false
  }
}

/** Errors: `profile_invalid` for a format without year, month and day, with an unknown run of letters, or an open bracket. */
export function compileDateFormat(format: string, toUtc: WallTimeReader = (wallMs) => wallMs): TimeParser {
  const byName = named[format]
  if (byName !== undefined) return byName(toUtc)
  const variants = variantsOf(format)
  const [only] = variants
  if (variants.length === 1) return (text) => parseWith(only!, text, toUtc)
  return firstOf(variants.map((parts) => (text) => parseWith(parts, text, toUtc)))
}

/** What the tokens of a format stand for, once for each reading of its optional parts, the longest first. */
export function variantsOf(format: string): Part[][] {
  return withoutBrackets(format).map((variant) => partsOf(variant, format))
}

/** The first format that fits wins; before them what `exactTime` writes. */
export function compileDateFormats(formats: readonly string[], toUtc: WallTimeReader = (wallMs) => wallMs): TimeParser {
  const parsers = formats.map((format) => compileDateFormat(format, toUtc))
  const parse = parsers.length === 1 ? parsers[0]! : firstOf(parsers)
  return (text) => (text[10] === 't' ? toUtc(exactWallTime(text)) : parse(text))
}

/**
 * A wall time in RFC 3339 with a small t, `2011-12-09t08:05:07.000`: no format can be mistaken for it, since none
 * takes that letter, so that it is read alike by every profile. Date cells of workbooks are handed on so where the profile has
 * no format that holds all of them.
 */
export function exactTime(wallMs: number): string {
  return new Date(wallMs).toISOString().slice(0, -1).replace('T', 't')
}

/** As `exactTime`, the day and the time of day for cells apart: `2011-12-09t` and `08:05:07.000`, read with a space between. */
export function exactTimeApart(wallMs: number): [day: string, time: string] {
  const [day = '', time = ''] = exactTime(wallMs).split('t')
  return [`${day}t`, time]
}

function exactWallTime(text: string): number {
  return /^\d{4}-\d\d-\d\dt ?\d\d:\d\d:\d\d\.\d{3}$/.test(text)
    ? Date.parse(`${text.replace(/t ?/, 'T')}Z`)
    : Number.NaN
}

function firstOf(parsers: readonly TimeParser[]): TimeParser {
  return (text) => {
    for (const parse of parsers) {
      const value = parse(text)
      if (!Number.isNaN(value)) return value
    }
    return Number.NaN
  }
}

/** Every reading of a format with optional parts, the longest first. */
function withoutBrackets(format: string): string[] {
  const close = format.indexOf(']')
  const open = format.lastIndexOf('[', close < 0 ? undefined : close)
  if (close < 0 && open < 0) return [format]
  if (close < 0 || open < 0) throw new LoyaltyError('profile_invalid', `date format "${format}" has an open bracket`)
  const inner = format.slice(open + 1, close)
  const readings = [inner, ''].flatMap((part) =>
    withoutBrackets(format.slice(0, open) + part + format.slice(close + 1)),
  )
  if (readings.length > 16) throw new LoyaltyError('profile_invalid', `date format "${format}" has too many brackets`)
  return [...new Set(readings)].sort((a, b) => b.length - a.length)
}

function partsOf(variant: string, format: string): Part[] {
  const parts: Part[] = []
  for (const [piece] of variant.matchAll(/[A-Za-z]+|[^A-Za-z]+/g)) {
    for (const run of /[A-Za-z]/.test(piece) ? piece.matchAll(/([A-Za-z])\1*/g) : [[piece]]) parts.push(partOf(run[0]!))
  }
  const present = new Set(parts.map((part) => ('field' in part ? part.field : -1)))
  if (present.has(0) === present.has(8) || ![1, 2].every((field) => present.has(field)))
    throw new LoyaltyError('profile_invalid', `date format "${format}" needs year, month and day`)
  if (present.has(7) !== parts.some((part) => 'mark' in part && part.mark === 'half'))
    throw new LoyaltyError('profile_invalid', `date format "${format}": h and a (AM, PM) go together`)
  return parts
}

function partOf(run: string): Part {
  const token = tokens[run]
  if (token !== undefined) return token
  if (run === 'Z') return { mark: 'zone' }
  if (run === 'a') return { mark: 'half' }
  if (/[A-SU-Za-z]/.test(run))
    throw new LoyaltyError(
      'profile_invalid',
      `date format: "${run}" is no token (${Object.keys(tokens).join(' ')} a Z) and no name (${Object.keys(named).join(' ')})`,
    )
  return { literal: run }
}

function parseWith(parts: readonly Part[], text: string, toUtc: WallTimeReader): number {
  const value = [1970, 1, 1, 0, 0, 0, 0, -1, -1]
  let at = 0
  let offsetMs = Number.NaN
  let zoned = false
  for (const part of parts) {
    if ('literal' in part) {
      if (!text.startsWith(part.literal, at)) return Number.NaN
      at += part.literal.length
      continue
    }
    if ('mark' in part) {
      if (part.mark === 'half') {
        if (!toFullDay(value, text.slice(at, at + 2).toUpperCase())) return Number.NaN
        at += 2
        continue
      }
      zoned = true
      offsetMs = zoneOf(text.slice(at))
      at = text.length
      continue
    }
    let number = 0
    let digits = 0
    while (digits < part.most) {
      const digit = text.charCodeAt(at) - 0x30
      if (!(digit >= 0 && digit <= 9)) break
      number = number * 10 + digit
      digits++
      at++
    }
    if (digits < part.least) return Number.NaN
    value[part.field] = number
  }
  if (at !== text.length) return Number.NaN
  // Files of earlier centuries have four digits: `99` becomes a date that nobody takes for a past one.
  if (value[8]! >= 0) value[0] = 2000 + value[8]!
  const wall = wallTime(value)
  // NaN, where the zone is none, stays NaN.
  return zoned ? wall - offsetMs : toUtc(wall)
}

/** 12 AM is midnight, 12 PM noon. */
function toFullDay(value: number[], half: string): boolean {
  const hour = value[7]!
  if (hour < 1 || hour > 12 || (half !== 'AM' && half !== 'PM')) return false
  value[3] = (hour % 12) + (half === 'PM' ? 12 : 0)
  return true
}

/** Milliseconds east of UTC of `Z`, `+03`, `+0300` or `+03:00`; NaN where it is none. */
function zoneOf(text: string): number {
  if (text === 'Z' || text === 'z') return 0
  const match = /^([+\u2212-])(\d\d)(?::?(\d\d))?$/.exec(text)
  if (match === null) return Number.NaN
  const [, sign, hours, minutes = '0'] = match
  if (Number(hours) > 18 || Number(minutes) > 59) return Number.NaN
  return (sign === '+' ? 1 : -1) * (Number(hours) * 60 + Number(minutes)) * 60_000
}

function parseIso(text: string, toUtc: WallTimeReader): number {
  const match = isoDate.exec(text)
  if (match === null) return Number.NaN
  const [whole, year, month, day, hour, minute = '0', second = '0', fraction = '0'] = match
  const milli = Math.floor(Number(`0.${fraction}`) * 1_000 + 1e-6)
  const wall = wallTime([+year!, +month!, +day!, +(hour ?? 0), +minute, +second, milli])
  const zone = text.slice(whole.length).trimStart()
  if (zone === '') return toUtc(wall)
  return hour === undefined ? Number.NaN : wall - zoneOf(zone)
}

/** Days and a fraction of a day, to the nearest second, which is what spreadsheets show. */
function parseSerial(text: string, zeroMs: number, least: number, toUtc: WallTimeReader): number {
  if (!/^\d{1,7}([.,]\d{1,15})?$/.test(text)) return Number.NaN
  const serial = Number(text.replace(',', '.'))
  if (serial < least || serial >= 2_958_466) return Number.NaN
  return toUtc(zeroMs + Math.round((serial * dayMs) / 1_000) * 1_000)
}

const monthDays = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]

function wallTime(value: readonly number[]): number {
  const [year, month, day, hour, minute, second, milli] = value as [
    number,
    number,
    number,
    number,
    number,
    number,
    number,
  ]
  if (month < 1 || month > 12 || day < 1 || day > monthDays[month - 1]!) return Number.NaN
  if (hour > 23 || minute > 59 || second > 59 || year < 1900) return Number.NaN
  if (month === 2 && day === 29 && !(year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0))) return Number.NaN
  return Date.UTC(year, month - 1, day, hour, minute, second, milli)
}
