import { dayMs } from '#streams/domain/calendar.ts'
import { compileDateFormats, exactTime, type Part, variantsOf } from './date-format.ts'

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
  const variants = formats.flatMap((format) =>
    format === 'iso' ? isoVariants.flatMap(variantsOf) : format.startsWith('excel') ? [] : variantsOf(format).reverse(),
  )
  return (wallMs) => {
    for (const parts of variants) {
      const text = writeWith(parts, wallMs)
      if (text !== null && parse(text) === wallMs) return text
    }
    return exactTime(wallMs)
  }
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
