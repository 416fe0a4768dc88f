import { LoyaltyError } from '#streams/core/error.ts'

/** Date formats of a file profile: tokens yyyy MM M dd d HH H mm ss SSS, everything else stands for itself. */

/** Wall time as if it were UTC (epoch ms), or NaN where the text does not have the format or is no date. */
export type WallTimeParser = (text: string) => number

const tokens: Record<string, { field: number; least: number; most: number }> = {
  yyyy: { field: 0, least: 4, most: 4 },
  MM: { field: 1, least: 2, most: 2 },
  M: { field: 1, least: 1, most: 2 },
  dd: { field: 2, least: 2, most: 2 },
  d: { field: 2, least: 1, most: 2 },
  HH: { field: 3, least: 2, most: 2 },
  H: { field: 3, least: 1, most: 2 },
  mm: { field: 4, least: 2, most: 2 },
  ss: { field: 5, least: 2, most: 2 },
  SSS: { field: 6, least: 3, most: 3 },
}

type Part = { field: number; least: number; most: number } | { literal: string }

/** Errors: `profile_invalid` for a format without year, month and day, or with an unknown run of letters. */
export function compileDateFormat(format: string): WallTimeParser {
  const parts: Part[] = []
  for (const [piece] of format.matchAll(/[A-Za-z]+|[^A-Za-z]+/g)) {
    for (const run of /[A-Za-z]/.test(piece) ? piece.matchAll(/([A-Za-z])\1*/g) : [[piece]]) parts.push(partOf(run[0]!))
  }
  const present = new Set(parts.map((part) => ('field' in part ? part.field : -1)))
  if (![0, 1, 2].every((field) => present.has(field)))
    throw new LoyaltyError('profile_invalid', `date format "${format}" needs year, month and day`)
  return (text) => parseWith(parts, text)
}

function partOf(run: string): Part {
  const token = tokens[run]
  if (token !== undefined) return token
  if (/[A-SU-Za-z]/.test(run))
    throw new LoyaltyError('profile_invalid', `date format: "${run}" is no token (${Object.keys(tokens).join(' ')})`)
  return { literal: run }
}

function parseWith(parts: readonly Part[], text: string): number {
  const value = [1970, 1, 1, 0, 0, 0, 0]
  let at = 0
  for (const part of parts) {
    if ('literal' in part) {
      if (!text.startsWith(part.literal, at)) return Number.NaN
      at += part.literal.length
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
  return at === text.length ? wallTime(value) : Number.NaN
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

/** The first format that fits wins. */
export function compileDateFormats(formats: readonly string[]): WallTimeParser {
  const parsers = formats.map(compileDateFormat)
  return (text) => {
    for (const parse of parsers) {
      const value = parse(text)
      if (!Number.isNaN(value)) return value
    }
    return Number.NaN
  }
}
