import type { Pool } from 'pg'
import type { Registry } from '#schemas/registry.ts'
import type { Topics } from '#schemas/topics.ts'
import type { Clock } from '#streams/core/clock.ts'
import type { Log } from '#streams/log/log.ts'
import type { Control } from './control.ts'
import { calendarOf, daysAfter, startDays } from './day.ts'
import { movedFar } from './day-warning.ts'
import { type DaysDecoder, daysDecoder, newestDayBetween } from './newest-day.ts'
import type { ReportWarning } from './report.ts'
import { inTransaction } from './store/transaction.ts'

export interface TickerDeps {
  readonly log: Log
  readonly topics: Topics
  readonly registry: Registry
  readonly control: Control
  readonly clock: Clock
  /** Database with the schema `ingest`. */
  readonly pool: Pool
  /** Hears of what somebody should look at. */
  readonly warn: (warning: ReportWarning) => void
}

/**
 * Lets a programme's days begin between uploads: by the system's clock when the date has changed, by the clock of events
 * when a till has sent a newer day. Only whoever holds the worker lock asks it. A programme that has had no day yet is
 * left alone: it begins with an upload, or by hand.
 */
export class Ticker {
  readonly #deps: TickerDeps
  readonly #decoder: DaysDecoder
  readonly #everyMs: number
  #lookedMs = Number.NEGATIVE_INFINITY

  /** `everyMs`: how often it really looks; default 5 s. */
  constructor(deps: TickerDeps, everyMs = 5_000) {
    this.#deps = deps
    this.#decoder = daysDecoder(deps.registry)
    this.#everyMs = everyMs
  }

  /** Looks, if it is time to. With `during` an upload only the system's clock is followed: the upload turns the other. */
  async tick(during: 'upload' | null = null): Promise<void> {
    const now = performance.now()
    if (now - this.#lookedMs < this.#everyMs) return
    this.#lookedMs = now
    await this.#look(during)
  }

  async #look(during: 'upload' | null): Promise<void> {
    const { control, clock } = this.#deps
    const { programme, day } = await control.read()
    if (programme === null || day === null) return
    const today = calendarOf(programme).dayOf(clock.nowMs())
    if (programme.clock === 'system') return startDays(control, clock, daysAfter(day, today))
    if (during === null) await this.#takeNewestDay(day, today)
  }

  async #takeNewestDay(day: number, today: number): Promise<void> {
    const { log, topics, control, clock, warn } = this.#deps
    const from = await this.#positions()
    const to = await log.admin.endOffsets(topics.accepted)
    if (to.every((end, partition) => end <= (from[partition] ?? 0))) return
    const newest = await newestDayBetween(log, topics.accepted, this.#decoder, from, to)
    const next = newest === null ? day : Math.min(newest, today)
    if (next > day) {
      await startDays(control, clock, [next])
      const warning = movedFar(next, day, null)
      if (warning !== null) warn(warning)
    }
    await this.#savePositions(to)
  }

  async #positions(): Promise<number[]> {
    const { rows } = await this.#deps.pool.query<{ partition: number; next_offset: string }>(
      'select partition, next_offset from ingest.clock_positions where topic = $1',
      [this.#deps.topics.accepted],
    )
    const positions: number[] = []
    for (const row of rows) positions[row.partition] = Number(row.next_offset)
    return positions
  }

  async #savePositions(offsets: readonly number[]): Promise<void> {
    const { pool, topics } = this.#deps
    await inTransaction(pool, async (client) => {
      for (const [partition, offset] of offsets.entries())
        await client.query(
          `insert into ingest.clock_positions (topic, partition, next_offset) values ($1, $2, $3)
           on conflict (topic, partition) do update set next_offset = excluded.next_offset`,
          [topics.accepted, partition, offset],
        )
    })
  }
}
