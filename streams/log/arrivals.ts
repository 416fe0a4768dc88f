import type { Log } from './log.ts'
import { readFirst } from './range.ts'

/** Records of one partition with offsets in [from, to): those that somebody has not taken in yet. */
export interface Waiting {
  readonly topic: string
  readonly partition: number
  readonly from: number
  readonly to: number
}

const stallMs = 1_000

/**
 * Since when records wait: the arrival of the first one, read from the log once for as long as somebody stands before it.
 */
export class Arrivals {
  readonly #log: Log
  #known = new Map<string, number>()

  constructor(log: Log) {
    this.#log = log
  }

  /**
   * For each place the arrival of its first record, epoch milliseconds; null where no record waits, only marks of the log;
   * undefined where the log did not say so within a second.
   */
  async of(places: readonly Waiting[]): Promise<(number | null | undefined)[]> {
    const known = this.#known
    this.#known = new Map()
    return Promise.all(
      places.map(async (place) => {
        const key = `${place.topic}/${place.partition}@${place.from}`
        const arrivedMs = known.get(key) ?? (await this.#read(place))
        if (typeof arrivedMs === 'number') this.#known.set(key, arrivedMs)
        return arrivedMs
      }),
    )
  }

  async #read({ topic, partition, from, to }: Waiting): Promise<number | null | undefined> {
    if (from >= to) return null
    try {
      return (await readFirst(this.#log, topic, partition, from, to, { stallMs }))?.timestampMs ?? null
    } catch {
      return undefined
    }
  }
}
