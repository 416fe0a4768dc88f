import type { Random } from './random.ts'

const dayMs = 86_400_000
const slotMs = 900_000
const slotsPerDay = dayMs / slotMs

/** Sunday to Saturday. */
const byWeekday = [1.15, 0.8, 0.85, 0.9, 1, 1.3, 1.5]
/** January to December: quiet after the holidays, a peak before them. */
const byMonth = [0.8, 0.8, 0.95, 0.95, 1, 0.95, 0.9, 0.95, 1, 1.05, 1.25, 1.6]
/** By hour of the local day. */
const byHour = [
  ...[0, 0, 0, 0, 0, 0, 0.1, 0.3, 0.6, 0.9, 1.1, 1.3],
  ...[1.5, 1.4, 1.2, 1.1, 1.2, 1.6, 1.9, 1.7, 1.2, 0.6, 0.1, 0],
]

/**
 * Spreads `events` over days of trade: more on weekends, in the evening and before the holidays. Times grow from call to
 * call, up to the length of a slot of a quarter of an hour.
 */
export class Season {
  readonly #slotStarts: Float64Array
  /** Number of events up to the end of each slot. */
  readonly #cumulative: Float64Array
  #slot = 0
  #next = 0

  /** `fromMs` is the start of a local day; `offsetMs` is local time less UTC. */
  constructor(events: number, fromMs: number, days: number, offsetMs: number) {
    const slots = days * slotsPerDay
    this.#slotStarts = new Float64Array(slots)
    this.#cumulative = new Float64Array(slots)
    let total = 0
    for (let i = 0; i < slots; i++) {
      const startMs = fromMs + i * slotMs
      const local = new Date(startMs + offsetMs)
      total += byWeekday[local.getUTCDay()]! * byMonth[local.getUTCMonth()]! * byHour[local.getUTCHours()]!
      this.#slotStarts[i] = startMs
      this.#cumulative[i] = total
    }
    for (let i = 0; i < slots; i++) this.#cumulative[i]! *= events / total
  }

  /** Time of the next event, epoch milliseconds, whole seconds. */
  nextMs(random: Random): number {
    const number = this.#next++
    while (this.#slot < this.#cumulative.length - 1 && this.#cumulative[this.#slot]! <= number) this.#slot++
    return this.#slotStarts[this.#slot]! + random.below(slotMs / 1000) * 1000
  }
}
