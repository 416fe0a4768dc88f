import { Arrivals } from '#streams/log/arrivals.ts'
import type { Log } from '#streams/log/log.ts'
import type { Metrics } from '../platform/metrics.ts'
import type { PartitionOffset } from './feed.ts'

type TopicMetrics = Pick<Metrics, 'records' | 'lagRecords' | 'lagSeconds'>

/** What a running projection says of itself: the next offsets that it has to apply. */
export interface Follower {
  readonly positions: readonly PartitionOffset[]
}

/**
 * The metrics that every program has, by topic: a record is settled when every projection that runs here and reads its
 * topic has applied it. Settled records are counted by their offsets, of which the marks of a log take some.
 */
export class TopicMeter {
  readonly #log: Log
  readonly #metrics: TopicMetrics
  readonly #followers: () => readonly Follower[]
  readonly #arrivals: Arrivals
  /** Next offset to count, by topic and partition. */
  readonly #counted = new Map<string, number>()
  #told: { topic: string; partition: number }[] = []
  #measuring: Promise<void> | null = null

  constructor(log: Log, metrics: TopicMetrics, followers: () => readonly Follower[]) {
    this.#log = log
    this.#metrics = metrics
    this.#followers = followers
    this.#arrivals = new Arrivals(log)
  }

  /** Counts what was settled since the call before; from the first on that finds a projection running. */
  count(): void {
    for (const { topic, partition, nextOffset } of this.#slowest()) {
      const key = keyOf(topic, partition)
      const settled = nextOffset - (this.#counted.get(key) ?? nextOffset)
      // A projection that comes later, or begins again, stands before what was counted.
      if (settled < 0) continue
      this.#counted.set(key, nextOffset)
      this.#metrics.records.inc({ topic }, settled)
    }
  }

  /** Sets the lags, and counts; a call while one is under way shares it. Errors: those of the log. */
  measure(): Promise<void> {
    this.count()
    this.#measuring ??= this.#measure().finally(() => {
      this.#measuring = null
    })
    return this.#measuring
  }

  async #measure(): Promise<void> {
    const slowest = this.#slowest()
    const ends = new Map<string, readonly number[]>()
    for (const topic of new Set(slowest.map((each) => each.topic)))
      ends.set(topic, await this.#log.admin.endOffsets(topic))
    const places = slowest.map(({ topic, partition, nextOffset: from }) => {
      return { topic, partition, from, to: ends.get(topic)?.[partition] ?? from }
    })
    const arrivals = await this.#arrivals.of(places)
    const nowMs = Date.now()
    for (const { topic, partition } of this.#told) {
      this.#metrics.lagRecords.remove({ topic, partition })
      this.#metrics.lagSeconds.remove({ topic, partition })
    }
    for (const [index, { topic, partition, from, to }] of places.entries()) {
      const sinceMs = arrivals[index]
      this.#metrics.lagRecords.set({ topic, partition }, sinceMs === null ? 0 : Math.max(0, to - from))
      if (sinceMs === undefined) continue
      this.#metrics.lagSeconds.set({ topic, partition }, sinceMs === null ? 0 : Math.max(0, nowMs - sinceMs) / 1_000)
    }
    this.#told = places
  }

  #slowest(): PartitionOffset[] {
    const slowest = new Map<string, PartitionOffset>()
    for (const { positions } of this.#followers())
      for (const position of positions) {
        const key = keyOf(position.topic, position.partition)
        const known = slowest.get(key)
        if (known === undefined || position.nextOffset < known.nextOffset) slowest.set(key, position)
      }
    return [...slowest.values()]
  }
}

function keyOf(topic: string, partition: number): string {
  return `${topic}/${partition}`
}
