import { dayMs } from '#streams/domain/calendar.ts'
import { compileDateFormats, exactTime, exactTimeApart, type Part, variantsOf } from './date-format.ts'

/** Dates that are known already, written so that the formats of a profile read them as what they are. */

/** Writes a wall time (epoch ms as if it were UTC). */
export type DateWriter = (wallMs: number) => string

const isoVariants = ['yyyy-MM-dd', 'yyyy-MM-dd HH:mm', 'yyyy-MM-dd HH:mm:ss', 'yyyy-MM-dd HH:mm:ss.SSS']

/**
 * By the first of the formats that can say a date whole and is read back as the same one, as short as that allows; where
 * none can, in the form that every profile reads (`exactTime`).
 */
export function compileDateWriter(formats: readonly string[]): DateWriter {
  const parse = compileDateFormats(formats)
  const variants = formats.flatMap(shortestFirst)
  return (wallMs) => {
    for (const parts of variants) {
      const text = writeWith(parts, wallMs)
      if (text !== null && parse(text) === wallMs) return text
    }
    return exactTime(wallMs)
  }
}

function shortestFirst(format: string): Part[][] {
  if (format === 'iso') return isoVariants.flatMap(variantsOf)
  return format.startsWith('excel') ? [] : variantsOf(format).reverse()
}

/** A cell of two that are read together: its text, and what it is known to say; null where that is for the text to say. */
export interface CellApart {
  readonly text: string
  /** Of the day's beginning, or since then. */
  readonly ms: number | null
}

/** Writes a day and a time of day for two cells that are read with a space between them. */
export type ApartWriter = (day: CellApart, time: CellApart) => readonly [day: string, time: string]

/**
 * What is known of the two by the first of the formats by which both together are read as that, also with a text that stands
 * as it is; where none can, both in the form that every profile reads (`exactTimeApart`).
 */
export function compileApartWriter(formats: readonly string[]): ApartWriter {
  const parse = compileDateFormats(formats)
  const halves = formats.flatMap(shortestFirst).flatMap((parts) => dividedAtTime(parts) ?? [])
  return (day, time) => {
    const texts = (half: Halves): readonly [string, string] => [
      day.ms === null ? day.text : (writeWith(half.day, day.ms) ?? day.text),
      time.ms === null ? time.text : (writeWith(half.time, time.ms) ?? time.text),
    ]
    for (const half of halves) {
      const written = texts(half)
      const read = parse(written.join(' '))
      const timeRead = timeOfDay(read)
      if ((time.ms ?? timeRead) === timeRead && (day.ms ?? read - timeRead) === read - timeRead) return written
    }
    if (day.ms !== null && time.ms !== null) return exactTimeApart(day.ms + time.ms)
    // Nothing makes a date of such a text: what is known stands beside it as a person would write it.
    return halves[0] === undefined ? [day.text, time.text] : texts(halves[0])
  }
}

/** Milliseconds since the day's beginning, also before 1970. */
export function timeOfDay(wallMs: number): number {
  return ((wallMs % dayMs) + dayMs) % dayMs
}

interface Halves {
  readonly day: readonly Part[]
  readonly time: readonly Part[]
}

/** A format as what stands before and behind the space between day and time; null where it is not so divided. */
function dividedAtTime(parts: readonly Part[]): Halves | null {
  const at = parts.findIndex(isOfTime)
  const space = parts[at - 1]
  if (space === undefined || !('literal' in space) || !space.literal.endsWith(' ')) return null
  const time = parts.slice(at)
  if (!time.every((part) => 'literal' in part || isOfTime(part))) return null
  return { day: [...parts.slice(0, at - 1), { literal: space.literal.slice(0, -1) }], time }
}

function isOfTime(part: Part): boolean {
  return 'field' in part ? part.field >= 3 && part.field <= 7 : 'mark' in part && part.mark === 'half'
}

/** Null where the format asks for what a wall time does not have: its zone. */
function writeWith(parts: readonly Part[], wallMs: number): string | null {
  const date = new Date(wallMs)
  const hour = date.getUTCHours()
  const values = [date.getUTCFullYear(), date.getUTCMonth() + 1, date.getUTCDate(), hour, date.getUTCMinutes()]
  values.push(date.getUTCSeconds(), date.getUTCMilliseconds(), hour % 12 === 0 ? 12 : hour % 12)
  values.push(date.getUTCFullYear() % 100)
  let text = ''
  for (const part of parts) {
    if ('literal' in part) text += part.literal
    else if ('field' in part) text += String(values[part.field]).padStart(part.least, '0')
    else if (part.mark === 'half') text += hour < 12 ? 'AM' : 'PM'
    else return null
  }
  return text
}

/** `H:mm:ss` of a length of time; hours go on past 24. */
export function writeDuration(ms: number): string {
  const seconds = Math.floor(ms / 1_000)
  const rest = [Math.floor(seconds / 60) % 60, seconds % 60].map((part) => String(part).padStart(2, '0'))
  return [Math.floor(seconds / 3_600), ...rest].join(':')
}

/** `HH:mm:ss` of a time of day. */
export function writeTimeOfDay(ms: number): string {
  return writeDuration(ms % dayMs).padStart(8, '0')
}
