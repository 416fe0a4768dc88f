import type { Pool } from 'pg'
import type { Topics } from '#schemas/topics.ts'
import type { Clock } from '#streams/core/clock.ts'
import type { Log } from '#streams/log/log.ts'
import { readPositions } from '#streams/runtime/position.ts'

export interface Lag {
  readonly name: string
  /** Committed records of its topics that it has not taken in. */
  readonly records: number
  /** Upper bound of the age of the oldest of them; 0 when there is none, null where nothing was ever taken in. */
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

const keptMs = 1_000

/**
 * How far processor and projections are behind the log. Asked at most once a second, whatever the number of requests;
 * null while the log or Postgres cannot be asked.
 */
export class FreshnessReader {
  readonly #pool: Pool
  readonly #log: Log
  readonly #topics: Topics
  readonly #clock: Clock
  #last: { readonly atMs: number; readonly answer: Promise<Freshness | null> } | null = null

  constructor(pool: Pool, log: Log, topics: Topics, clock: Clock) {
    this.#pool = pool
    this.#log = log
    this.#topics = topics
    this.#clock = clock
  }

  read(): Promise<Freshness | null> {
    const nowMs = this.#clock.nowMs()
    if (this.#last === null || nowMs - this.#last.atMs > keptMs)
      this.#last = { atMs: nowMs, answer: this.#ask(nowMs).catch(() => null) }
    return this.#last.answer
  }

  async #ask(nowMs: number): Promise<Freshness> {
    const [processor, { rows }] = await Promise.all([
      this.#processorLag(nowMs),
      this.#pool.query<OffsetRow>(
        `SELECT projection, topic, partition, next_offset, record_ms FROM projector.projection_offset
         WHERE projection NOT LIKE '%@next' ORDER BY projection`,
      ),
    ])
    const topics = [...new Set(rows.map(({ topic }) => topic))]
    const ends = new Map(
      await Promise.all(topics.map(async (topic) => [topic, await this.#log.admin.endOffsets(topic)] as const)),
    )
    const names = [...new Set(rows.map(({ projection }) => projection))]
    const projections = names.map((name) =>
      lagOf(
        name,
        rows
          .filter(({ projection }) => projection === name)
          .map((row) => ({
            records: Math.max(0, (ends.get(row.topic)?.[row.partition] ?? 0) - Number(row.next_offset)),
            takenMs: row.record_ms === null ? null : Number(row.record_ms),
          })),
        nowMs,
      ),
    )
    return { processor, projections }
  }

  async #processorLag(nowMs: number): Promise<Lag> {
    const [positions, ends] = await Promise.all([
      readPositions(this.#log, this.#topics.accepted),
      this.#log.admin.endOffsets(this.#topics.transactions),
    ])
    const parts = ends.map((end, partition) => ({
      records: Math.max(0, end - (positions[partition]?.transactions ?? 0)),
      takenMs: null,
    }))
    return lagOf('processor', parts, nowMs)
  }
}

function lagOf(name: string, parts: readonly { records: number; takenMs: number | null }[], nowMs: number): Lag {
  const behind = parts.filter(({ records }) => records > 0)
  const records = behind.reduce((sum, part) => sum + part.records, 0)
  const taken = behind.flatMap(({ takenMs }) => (takenMs === null ? [] : [takenMs]))
  const oldest = taken.length < behind.length ? null : Math.max(0, (nowMs - Math.min(...taken)) / 1000)
  return { name, records, seconds: records === 0 ? 0 : oldest }
}
