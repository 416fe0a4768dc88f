import type { Pool } from 'pg'
import type { Topics } from '#schemas/topics.ts'
import { LoyaltyError, messageOf } from '#streams/core/error.ts'
import type { Log } from '#streams/log/log.ts'
import { readRange } from '#streams/log/range.ts'
import type { Logger } from '../platform/logging.ts'
import type { Engine, Reconciliation } from './engine.ts'
import { Feed } from './feed.ts'
import { becomeOwner, type OwnerLock } from './owner.ts'
import { nextKey, noteRebuild, type Ownership, openOffsets, takeOver } from './progress.ts'
import { type Batch, type Range, topicsRead } from './projection.ts'
import type { Reading, Rejected } from './reading.ts'
import { rebuildBeside } from './rebuild.ts'

export interface RunnerDeps {
  readonly log: Log
  readonly topics: Topics
  readonly pool: Pool
  readonly reading: Reading
  readonly logger: Logger
  readonly reject: (rejected: Rejected) => Promise<void>
  readonly onApplied: (projection: string, rows: number, ms: number) => void
  /** First and longest pause after a failure; default 100 ms and 5 s. */
  readonly backOffMs?: { readonly first: number; readonly longest: number }
}

/**
 * standby: another process runs the projection. running: it follows the log. rebuilding: it does, and a second set of
 * tables is being filled. failing: something it needs is away; it tries again. stopped: it was told to end.
 */
export type RunnerState = 'standby' | 'running' | 'rebuilding' | 'failing' | 'stopped'

/** What an owner works with; replaced after every failure and every swap. */
export interface Session<B extends Batch> {
  readonly owner: Ownership
  readonly feed: Feed<B>
}

/** Runs one projection for as long as it may: one owner at a time, from the stored offsets, again after every failure. */
export class ProjectionRunner<B extends Batch> {
  readonly engine: Engine<B>
  readonly #deps: RunnerDeps
  readonly #logger: Logger
  readonly #stopping = new AbortController()
  #done: Promise<void> | undefined
  #session: Session<B> | null = null
  #waiting: ((session: Session<B>) => void)[] = []
  #rebuild: Promise<void> | null = null
  #beside: Promise<void> | null = null
  #lastRecordMs: number | null = null
  state: RunnerState = 'standby'
  error: { readonly code: string; readonly message: string } | null = null

  constructor(deps: RunnerDeps, engine: Engine<B>) {
    this.#deps = deps
    this.engine = engine
    this.#logger = deps.logger.child({ projection: engine.name })
  }

  get name(): string {
    return this.engine.name
  }

  /** Null while another process owns the projection, or nobody can. */
  get session(): Session<B> | null {
    return this.#session
  }

  get lastRecordMs(): number | null {
    return this.#lastRecordMs
  }

  start(): void {
    this.#done = this.#run()
  }

  /** Ends after the batch at hand. */
  async stop(): Promise<void> {
    this.#stopping.abort()
    this.#session?.feed.stop()
    await this.#done
    this.state = 'stopped'
  }

  /**
   * Builds the projection anew from the start of the log, beside, and swaps. Waits until this process owns it; calls while
   * one is under way share it. A rebuild that breaks off is begun again by the next owner.
   *
   * Errors: whatever broke it off.
   */
  rebuild(): Promise<void> {
    this.#rebuild ??= this.#rebuildOnce().finally(() => {
      this.#rebuild = null
      if (this.state === 'rebuilding') this.state = 'running'
    })
    return this.#rebuild
  }

  /**
   * Compares views with facts; where they differ also while nothing is being applied, says so and makes the views anew.
   * Answers what differed before, null where there is nothing to compare.
   */
  async reconcile(): Promise<Reconciliation | null> {
    const first = await this.engine.reconcile()
    if (first === null || first.differences.length === 0) return first
    const { feed } = await this.#owned()
    const resume = await feed.pause()
    try {
      const report = await this.engine.reconcile()
      if (report === null || report.differences.length === 0) return report
      this.#logger.error(
        { differences: report.differences.slice(0, 5) },
        'a view differs from its facts; making it anew',
      )
      await this.engine.repairViews()
      return report
    } finally {
      resume()
    }
  }

  async #run(): Promise<void> {
    const { first, longest } = this.#deps.backOffMs ?? { first: 100, longest: 5_000 }
    let pause = first
    while (!this.#stopping.signal.aborted) {
      try {
        await this.#own(() => {
          pause = first
        })
      } catch (error) {
        this.#fail(error)
        await sleep(pause, this.#stopping.signal)
        pause = Math.min(longest, pause * 2)
      }
    }
  }

  /** Owns the projection until something fails; a swap begins a new session under the same lock. */
  async #own(onSuccess: () => void): Promise<void> {
    const lock = await becomeOwner(this.#deps.pool, this.name, this.#stopping.signal)
    if (lock === null) return
    try {
      await this.engine.prepare()
      while (!this.#stopping.signal.aborted && !lock.lost) await this.#serve(lock, onSuccess)
    } finally {
      await lock.release()
    }
  }

  async #serve(lock: OwnerLock, onSuccess: () => void): Promise<void> {
    const { pool } = this.#deps
    // A rebuild of the session before notices that it is over, or has just swapped.
    await this.#beside?.catch(() => {})
    const row = await takeOver(pool, this.name, this.engine.version)
    const owner = { projection: this.name, epoch: row.epoch }
    if (row.rebuild === 'swapping') await this.engine.finishSwap(owner, row)
    await this.engine.recover(owner, (ranges) => this.#replay(ranges))
    const feed = await this.#openFeed(owner, onSuccess)
    const watch = setInterval(() => {
      if (lock.lost) feed.stop()
    }, 100)
    this.#session = { owner, feed }
    this.state = 'running'
    this.error = null
    this.#logger.info({ epoch: owner.epoch }, 'projection runs')
    for (const waiting of this.#waiting.splice(0)) waiting(this.#session)
    const wanted = row.rebuild === 'building' || (row.rebuild === null && row.version !== this.engine.version)
    if (wanted) this.rebuild().catch((error: unknown) => this.#logger.warn({ error }, 'the rebuild broke off'))
    try {
      if (this.#stopping.signal.aborted) feed.stop()
      await feed.run()
    } finally {
      clearInterval(watch)
      this.#session = null
    }
    if (lock.lost)
      throw new LoyaltyError('projection_lock_lost', 'the connection that held the lock is gone', { retriable: true })
  }

  async #openFeed(owner: Ownership, onSuccess: () => void): Promise<Feed<B>> {
    const { log, pool, reading, reject, onApplied } = this.#deps
    const { engine } = this
    const positions = await openOffsets(pool, owner.projection, owner.epoch, await this.#starts())
    for (const { recordMs } of positions)
      if (recordMs !== null) this.#lastRecordMs = Math.max(this.#lastRecordMs ?? 0, recordMs)
    return new Feed<B>({
      log,
      reading,
      projection: engine,
      positions,
      lingerMs: engine.lingerMs,
      maxRows: engine.maxRows,
      reject,
      apply: async (batch, ranges) => {
        const startedAt = performance.now()
        await engine.apply(owner, batch, ranges)
        if (owner.projection === this.name)
          for (const { recordMs } of ranges) if (recordMs !== null) this.#lastRecordMs = recordMs
        onSuccess()
        onApplied(owner.projection, batch.rows, performance.now() - startedAt)
      },
    })
  }

  /** Where a projection that knows nothing begins. */
  async #starts(): Promise<{ topic: string; partition: number; offset: number }[]> {
    const { log, topics } = this.#deps
    const starts: { topic: string; partition: number; offset: number }[] = []
    for (const topic of topicsRead(this.engine, topics)) {
      if ((await log.admin.partitions(topic)) === null)
        throw new LoyaltyError('log_topic_missing', `there is no topic ${topic} yet`, { retriable: true })
      const offsets = await log.admin.startOffsets(topic)
      starts.push(...offsets.map((offset, partition) => ({ topic, partition, offset })))
    }
    return starts
  }

  async #replay(ranges: readonly Range[]): Promise<B> {
    const batch = this.engine.begin()
    for (const { topic, partition, from, to } of ranges)
      for await (const { records } of readRange(this.#deps.log, topic, partition, from, to))
        for (const record of records) await this.#deps.reading.deliverNow(batch, topic, partition, record)
    return batch
  }

  async #rebuildOnce(): Promise<void> {
    const session = await this.#owned()
    this.state = 'rebuilding'
    this.#beside = this.#buildBeside(session).finally(() => {
      this.#beside = null
    })
    await this.#beside
    this.#logger.info('projection rebuilt')
  }

  async #buildBeside(session: Session<B>): Promise<void> {
    await noteRebuild(this.#deps.pool, session.owner, 'building')
    const next = { projection: nextKey(this.name), epoch: session.owner.epoch }
    await rebuildBeside({
      pool: this.#deps.pool,
      engine: this.engine,
      session,
      isCurrent: () => this.#session === session,
      openNext: () => this.#openFeed(next, () => {}),
    })
  }

  #owned(): Promise<Session<B>> {
    if (this.#session !== null) return Promise.resolve(this.#session)
    return new Promise((resolve) => this.#waiting.push(resolve))
  }

  #fail(error: unknown): void {
    this.state = 'failing'
    const code = error instanceof LoyaltyError ? error.code : 'projection_failed'
    // One line per kind of trouble, not one per attempt.
    if (this.error?.code !== code) this.#logger.warn({ error }, `projection waits: ${messageOf(error)}`)
    this.error = { code, message: messageOf(error) }
  }
}

function sleep(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms)
    signal.addEventListener(
      'abort',
      () => {
        clearTimeout(timer)
        resolve()
      },
      { once: true },
    )
  })
}
