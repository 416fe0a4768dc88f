import { dayMs, type ZoneOffset } from '#streams/domain/calendar.ts'

/**
 * Time zones as tables of offsets. A table is computed once, from the zone data of the machine, by whoever configures a
 * programme or opens a file; from then on only the table counts.
 */

const firstYear = 1970
const lastYear = 2100

export function isTimeZone(name: string): boolean {
  try {
    new Intl.DateTimeFormat('en', { timeZone: name })
    return true
  } catch {
    return false
  }
}

const tables = new Map<string, readonly ZoneOffset[]>()

/** Offsets of an IANA zone from 1970 to 2100, ascending. Computed once per zone: it takes some tens of milliseconds. */
export function zoneOffsets(timeZone: string): readonly ZoneOffset[] {
  const table = tables.get(timeZone) ?? computeOffsets(timeZone)
  tables.set(timeZone, table)
  return table
}

function computeOffsets(timeZone: string): ZoneOffset[] {
  const offsetAt = offsetReader(timeZone)
  const start = Date.UTC(firstYear, 0, 1)
  const end = Date.UTC(lastYear, 0, 1)
  const table: ZoneOffset[] = [{ fromMs: start, offsetMinutes: offsetAt(start) }]
  // No zone has two changes within a fortnight; a step of a week finds each, and bisection finds its instant.
  for (let at = start; at < end; at += 7 * dayMs) {
    const next = at + 7 * dayMs
    const after = offsetAt(next)
    if (after === table.at(-1)!.offsetMinutes) continue
    table.push({ fromMs: firstInstantOf(after, at, next, offsetAt), offsetMinutes: after })
  }
  return table
}

function firstInstantOf(offset: number, from: number, to: number, offsetAt: (ms: number) => number): number {
  let low = from
  let high = to
  while (high - low > 1_000) {
    const middle = low + Math.floor((high - low) / 2_000) * 1_000
    if (offsetAt(middle) === offset) high = middle
    else low = middle
  }
  return high
}

/** Minutes east of UTC at an instant, rounded to the minute. */
function offsetReader(timeZone: string): (ms: number) => number {
  const format = new Intl.DateTimeFormat('en-US', {
    timeZone,
    calendar: 'iso8601',
    hourCycle: 'h23',
    year: 'numeric',
    month: 'numeric',
    day: 'numeric',
    hour: 'numeric',
    minute: 'numeric',
    second: 'numeric',
  })
  return (ms) => {
    const part: Record<string, number> = {}
    for (const { type, value } of format.formatToParts(ms)) part[type] = Number(value)
    const local = Date.UTC(part.year!, part.month! - 1, part.day!, part.hour!, part.minute!, part.second!)
    return Math.round((local - ms) / 60_000)
  }
}

/** Milliseconds east of UTC at an instant. */
function offsetIn(table: readonly ZoneOffset[], ms: number): number {
  let low = 0
  let high = table.length - 1
  while (low < high) {
    const middle = (low + high + 1) >> 1
    if (table[middle]!.fromMs <= ms) low = middle
    else high = middle - 1
  }
  return table[low]!.offsetMinutes * 60_000
}

/**
 * The instant at which clocks of the zone show a wall time (given as if it were UTC). A time shown twice is the earlier
 * instant; a time skipped is moved forward by the gap, as clocks are.
 */
export function wallTimeToUtc(wallMs: number, table: readonly ZoneOffset[]): number {
  const before = offsetIn(table, wallMs - dayMs)
  const first = wallMs - before
  if (offsetIn(table, first) === before) return first
  const second = wallMs - offsetIn(table, first)
  return second + offsetIn(table, second) === wallMs ? second : first
}
