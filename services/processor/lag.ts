import type { Topics } from '#schemas/topics.ts'
import { Arrivals } from '#streams/log/arrivals.ts'
import type { Log } from '#streams/log/log.ts'
import { readLast } from '#streams/log/range.ts'
import { decodePosition, type TaskPosition } from '#streams/runtime/position.ts'
import type { Metrics } from '../platform/metrics.ts'

/** What is asked of a task; `position` null while it is not running. */
export interface MeasuredTask {
  readonly partition: number
  readonly position: TaskPosition | null
  /** Arrival of the oldest record it has read and not folded, epoch milliseconds. */
  readonly oldestWaitingMs: number | null
}

export interface TaskLag {
  /** End of what is committed in the partition. */
  readonly endOffset: number
  /** Records from the task's last known position to the end. */
  readonly records: number
  /** Age of the oldest of them; 0 when there is none, null while the log does not say. */
  readonly seconds: number | null
}

type LagMetrics = Pick<Metrics, 'lagRecords' | 'lagSeconds'>
type LagTopics = Pick<Topics, 'transactions' | 'accepted'>

/**
 * Measures how far tasks are behind the log, whatever their state: one that restores or has stopped is measured from the
 * position in its last committed block.
 */
export class LagMeter {
  readonly #log: Log
  readonly #topics: LagTopics
  readonly #metrics: LagMetrics
  readonly #arrivals: Arrivals
  /** Last blocks of tasks that are not running, by partition, with the end of `accepted` at which they were read. */
  readonly #blocks = new Map<number, { readonly end: number; readonly position: TaskPosition | null }>()
  #lags: ReadonlyMap<number, TaskLag> = new Map()
  #measuring: Promise<void> | null = null

  constructor(log: Log, topics: LagTopics, metrics: LagMetrics) {
    this.#log = log
    this.#topics = topics
    this.#metrics = metrics
    this.#arrivals = new Arrivals(log)
  }

  /** As measured last; undefined for a partition that was not. */
  of(partition: number): TaskLag | undefined {
    return this.#lags.get(partition)
  }

  /** Measures and sets the metrics; a call while one is under way shares it. Errors: those of the log. */
  measure(tasks: readonly MeasuredTask[]): Promise<void> {
    this.#measuring ??= this.#measure(tasks).finally(() => {
      this.#measuring = null
    })
    return this.#measuring
  }

  async #measure(tasks: readonly MeasuredTask[]): Promise<void> {
    const topic = this.#topics.transactions
    const ends = tasks.length === 0 ? [] : await this.#log.admin.endOffsets(topic)
    const positions = await this.#positionsOf(tasks)
    const places = tasks.map(({ partition }, index) => ({
      ...{ topic, partition, from: positions[index]?.transactions ?? 0, to: ends[partition] ?? 0 },
    }))
    // A running task knows the age of what waits; for one in the middle of a step, which may be tried for long, and for those
    // that do not run the log is asked.
    const stuck = places.filter(({ from, to }, index) => {
      const { position, oldestWaitingMs } = tasks[index]!
      return position === null || (oldestWaitingMs === null && to > from)
    })
    const arrivals = new Map((await this.#arrivals.of(stuck)).map((arrivedMs, index) => [stuck[index]!, arrivedMs]))
    const nowMs = Date.now()
    const lags = new Map<number, TaskLag>()
    for (const [index, place] of places.entries()) {
      const sinceMs = arrivals.has(place) ? arrivals.get(place) : tasks[index]!.oldestWaitingMs
      const records = arrivals.get(place) === null ? 0 : Math.max(0, place.to - place.from)
      const seconds = sinceMs === undefined ? null : sinceMs === null ? 0 : Math.max(0, nowMs - sinceMs) / 1_000
      lags.set(place.partition, { endOffset: place.to, records, seconds })
    }
    this.#publish(lags)
  }

  async #positionsOf(tasks: readonly MeasuredTask[]): Promise<(TaskPosition | null)[]> {
    const known = tasks.map(({ position }) => position)
    if (known.every((position) => position !== null)) return known
    const ends = await this.#log.admin.endOffsets(this.#topics.accepted)
    return Promise.all(
      tasks.map(({ partition, position }) => position ?? this.#lastBlock(partition, ends[partition] ?? 0)),
    )
  }

  async #lastBlock(partition: number, end: number): Promise<TaskPosition | null> {
    const known = this.#blocks.get(partition)
    if (known?.end === end) return known.position
    const last = await readLast(this.#log, this.#topics.accepted, partition)
    const position = last && decodePosition(last.headers)
    this.#blocks.set(partition, { end, position })
    return position
  }

  /** Sets what was measured, and takes back what an owner before us, or we before another, said of a partition. */
  #publish(lags: ReadonlyMap<number, TaskLag>): void {
    const topic = this.#topics.transactions
    for (const partition of this.#lags.keys())
      if (!lags.has(partition)) {
        this.#metrics.lagRecords.remove({ topic, partition })
        this.#metrics.lagSeconds.remove({ topic, partition })
        this.#blocks.delete(partition)
      }
    for (const [partition, { records, seconds }] of lags) {
      this.#metrics.lagRecords.set({ topic, partition }, records)
      if (seconds !== null) this.#metrics.lagSeconds.set({ topic, partition }, seconds)
    }
    this.#lags = lags
  }
}
