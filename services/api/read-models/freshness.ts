import type { Pool } from 'pg'
import type { Topics } from '#schemas/topics.ts'
import type { Clock } from '#streams/core/clock.ts'
import { Arrivals, type Waiting } from '#streams/log/arrivals.ts'
import type { Log } from '#streams/log/log.ts'
import { readPositions } from '#streams/runtime/position.ts'
import { bounded } from '../bounded.ts'

export interface Lag {
  readonly name: string
  /** Committed records of its topics that it has not taken in. */
  readonly records: number
  /** Age of the oldest of them, at most `closeMs` too high; 0 when there is none, null while the log does not say. */
  readonly seconds: number | null
}

export interface Freshness {
  readonly processor: Lag
  readonly projections: readonly Lag[]
}

interface OffsetRow {
  readonly projection: string
  readonly topic: string
  readonly partition: number
  readonly next_offset: string
  readonly record_ms: string | null
}

/** A partition as somebody has read it; `takenMs` is the arrival of the last record taken in, null where unknown. */
interface Part extends Waiting {
  readonly takenMs: number | null
}

const keptMs = 1_000
const patienceMs = 1_500
/** What waits arrived after what was taken in: when that was so recently, the log is not asked. */
const closeMs = 1_000

/**
 * How far processor and projections are behind the log. Asked at most once a second, whatever the number of requests;
 * null while the log or Postgres cannot be asked, or take longer than a request should wait.
 */
export class FreshnessReader {
  readonly #pool: Pool
  readonly #log: Log
  readonly #topics: Topics
  readonly #clock: Clock
  readonly #arrivals: Arrivals
  #asking: Promise<Freshness | null> | null = null
  #last: { readonly atMs: number; readonly answer: Promise<Freshness | null> } | null = null

  constructor(pool: Pool, log: Log, topics: Topics, clock: Clock) {
    this.#pool = pool
    this.#log = log
    this.#topics = topics
    this.#clock = clock
    this.#arrivals = new Arrivals(log)
  }

  read(): Promise<Freshness | null> {
    const nowMs = this.#clock.nowMs()
    if (this.#last === null || nowMs - this.#last.atMs > keptMs) {
      this.#asking ??= this.#ask(nowMs)
        .catch(() => null)
        .finally(() => {
          this.#asking = null
        })
      this.#last = { atMs: nowMs, answer: bounded(this.#asking, null, patienceMs) }
    }
    return this.#last.answer
  }

  async #ask(nowMs: number): Promise<Freshness> {
    const [tasks, projections] = await Promise.all([this.#tasks(), this.#projections()])
    const readers = new Map([['processor', tasks], ...projections])
    const behind = [...readers.values()].flat().filter((part) => part.from < part.to && !isClose(part, nowMs))
    const arrivals = await this.#arrivals.of(behind)
    const waiting = new Map<Part, number | null | undefined>(behind.map((part, index) => [part, arrivals[index]]))
    const [processor, ...others] = [...readers].map(([name, parts]) => lagOf(name, parts, waiting, nowMs))
    return { processor: processor!, projections: others }
  }

  async #tasks(): Promise<Part[]> {
    const topic = this.#topics.transactions
    const [positions, ends] = await Promise.all([
      readPositions(this.#log, this.#topics.accepted),
      this.#log.admin.endOffsets(topic),
    ])
    const from = (partition: number) => positions[partition]?.transactions ?? 0
    return ends.map((to, partition) => ({ topic, partition, from: from(partition), to, takenMs: null }))
  }

  async #projections(): Promise<Map<string, Part[]>> {
    const { rows } = await this.#pool.query<OffsetRow>(
      `SELECT projection, topic, partition, next_offset, record_ms FROM projector.projection_offset
       WHERE projection NOT LIKE '%@next' ORDER BY projection`,
    )
    const topics = [...new Set(rows.map(({ topic }) => topic))]
    const ends = new Map(
      await Promise.all(topics.map(async (topic) => [topic, await this.#log.admin.endOffsets(topic)] as const)),
    )
    return Map.groupBy(
      rows.map(({ projection, topic, partition, next_offset, record_ms }) => ({
        ...{ projection, topic, partition, from: Number(next_offset), to: ends.get(topic)?.[partition] ?? 0 },
        takenMs: record_ms === null ? null : Number(record_ms),
      })),
      ({ projection }) => projection,
    )
  }
}

function isClose({ takenMs }: Part, nowMs: number): boolean {
  return takenMs !== null && nowMs - takenMs <= closeMs
}

/** `waiting` says when the first record arrived, null where there is none but marks; without an entry `takenMs` bounds it. */
function lagOf(
  name: string,
  parts: readonly Part[],
  waiting: ReadonlyMap<Part, number | null | undefined>,
  nowMs: number,
): Lag {
  const behind = parts.filter((part) => part.from < part.to && waiting.get(part) !== null)
  const sinceMs = behind.map((part) => waiting.get(part) ?? part.takenMs)
  const records = behind.reduce((sum, { from, to }) => sum + to - from, 0)
  const known = sinceMs.filter((ms) => ms !== null)
  const oldest = known.length < behind.length ? null : Math.max(0, nowMs - Math.min(nowMs, ...known)) / 1_000
  return { name, records, seconds: oldest }
}
