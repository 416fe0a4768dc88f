/** From `fromMs` on (epoch ms) the zone is `offsetMinutes` east of UTC, until the next entry. */
export interface ZoneOffset {
  readonly fromMs: number
  readonly offsetMinutes: number
}

export const dayMs = 86_400_000
const minuteMs = 60_000

/**
 * Days of a programme's time zone, from an offset table: pure, so that results do not depend on the zone data of the
 * machine. A day is the number of days since 1970-01-01. Days never run backwards: where clocks are set back over
 * midnight, the repeated time belongs to the later day.
 */
export class Calendar {
  readonly #from: Float64Array
  readonly #offsetMs: Float64Array
  /** The day already reached when an offset begins. */
  readonly #reached: Float64Array
  #at = 0

  /** `offsets` ascends by `fromMs`; the first entry holds for everything before the second. An empty table is UTC. */
  constructor(offsets: readonly ZoneOffset[]) {
    const table = offsets.length === 0 ? [{ fromMs: 0, offsetMinutes: 0 }] : offsets
    this.#from = Float64Array.from(table, ({ fromMs }, i) => (i === 0 ? Number.NEGATIVE_INFINITY : fromMs))
    this.#offsetMs = Float64Array.from(table, ({ offsetMinutes }) => offsetMinutes * minuteMs)
    this.#reached = new Float64Array(table.length).fill(Number.NEGATIVE_INFINITY)
    for (let i = 1; i < table.length; i++) this.#reached[i] = this.#dayIn(i - 1, this.#from[i]! - 1)
  }

  /** The day of an instant. */
  dayOf(instantMs: number): number {
    return this.#dayIn(this.#segmentOf(instantMs), instantMs)
  }

  /** The first instant of a day (of a day that the zone left out: of the next one). */
  startOf(day: number): number {
    const from = this.#from
    let low = 0
    let high = from.length - 1
    // The last offset that begins before the day is reached.
    while (low < high) {
      const middle = (low + high + 1) >>> 1
      if (this.dayOf(from[middle]!) < day) low = middle
      else high = middle - 1
    }
    const start = day * dayMs - this.#offsetMs[low]!
    const next = low + 1 < from.length ? from[low + 1]! : Number.POSITIVE_INFINITY
    return Math.min(start, next)
  }

  #dayIn(segment: number, instantMs: number): number {
    return Math.max(this.#reached[segment]!, Math.floor((instantMs + this.#offsetMs[segment]!) / dayMs))
  }

  #segmentOf(instantMs: number): number {
    const from = this.#from
    const last = from.length - 1
    const at = this.#at
    if (instantMs >= from[at]! && (at === last || instantMs < from[at + 1]!)) return at
    let low = 0
    let high = last
    while (low < high) {
      const middle = (low + high + 1) >>> 1
      if (from[middle]! <= instantMs) low = middle
      else high = middle - 1
    }
    this.#at = low
    return low
  }
}

/** `2011-12-09` as a day number. Errors: NaN where the text is no such date. */
export function dayOfIso(iso: string): number {
  const match = /^(\d{4})-(\d{2})-(\d{2})$/.exec(iso)
  if (match === null) return Number.NaN
  const day = Date.UTC(Number(match[1]), Number(match[2]) - 1, Number(match[3])) / dayMs
  return isoOfDay(day) === iso ? day : Number.NaN
}

/** A day number as `2011-12-09`. */
export function isoOfDay(day: number): string {
  return new Date(day * dayMs).toISOString().slice(0, 10)
}
