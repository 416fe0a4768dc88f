import type { Pool } from 'pg'
import type { Topics } from '#schemas/topics.ts'
import { LoyaltyError, messageOf } from '#streams/core/error.ts'
import type { Log } from '#streams/log/log.ts'
import { readRange } from '#streams/log/range.ts'
import type { Logger } from '../platform/logging.ts'
import type { Engine, Reconciliation } from './engine.ts'
import { Feed } from './feed.ts'
import { LogOffsets } from './log-offsets.ts'
import { becomeOwner, type OwnerLock } from './owner.ts'
import { hasOffsets, isOwner, nextKey, type Ownership, openOffsets, type ProjectionRow, takeOver } from './progress.ts'
import { type Batch, type Range, topicsRead } from './projection.ts'
import type { Reading, Rejected } from './reading.ts'
import { orderRebuild } from './rebuild-tasks.ts'
import { Rebuilder } from './rebuilder.ts'

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

const defaultBackOffMs = { first: 100, longest: 5_000 }
/** How often the log is told where the projection is, and orders to rebuild are looked for. */
const mindEveryMs = 1_000

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
  readonly #offsets: LogOffsets
  readonly #rebuilder: Rebuilder<B>
  #lastRecordMs: number | null = null
  #mindTrouble = ''
  #state: RunnerState = 'standby'
  error: { readonly code: string; readonly message: string } | null = null

  constructor(deps: RunnerDeps, engine: Engine<B>) {
    this.#deps = deps
    this.engine = engine
    this.#logger = deps.logger.child({ projection: engine.name })
    this.#offsets = new LogOffsets(deps.log, engine.name)
    this.#rebuilder = new Rebuilder({
      ...{ pool: deps.pool, engine, logger: this.#logger, backOffMs: deps.backOffMs ?? defaultBackOffMs },
      isCurrent: (session) => this.#session === session,
      openNext: ({ owner }) => this.#openFeed({ projection: nextKey(engine.name), epoch: owner.epoch }, () => {}),
      closeNext: (feed) => this.#offsets.remove(feed),
    })
  }

  get state(): RunnerState {
    return this.#state === 'running' && this.#rebuilder.running ? 'rebuilding' : this.#state
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
    await this.#rebuilder.ended()
    this.#state = 'stopped'
  }

  /** Looks at once for an order to rebuild, where this process owns the projection. */
  look(): void {
    if (this.#session !== null) void this.#mind(this.#session)
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
    const { first, longest } = this.#deps.backOffMs ?? defaultBackOffMs
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
    await this.#rebuilder.ended()
    const row = await takeOver(pool, this.name, this.engine.version)
    const owner = { projection: this.name, epoch: row.epoch }
    if (row.rebuild === 'swapping') await this.engine.finishSwap(owner, row)
    await this.engine.recover(owner, (ranges) => this.#replay(ranges))
    if (await this.#lostOffsets()) await this.#startOver(owner)
    else if (this.#wantsRebuild(row)) await orderRebuild(pool, this.name)
    const feed = await this.#openFeed(owner, onSuccess)
    const session = { owner, feed }
    const watch = setInterval(() => {
      if (lock.lost) feed.stop()
    }, 100)
    const minding = setInterval(() => void this.#mind(session), mindEveryMs)
    this.#session = session
    this.#state = 'running'
    this.error = null
    this.#logger.info({ epoch: owner.epoch }, 'projection runs')
    for (const waiting of this.#waiting.splice(0)) waiting(this.#session)
    try {
      void this.#mind(session)
      if (this.#stopping.signal.aborted) feed.stop()
      await feed.run()
      await this.#offsets.tell().catch(() => {})
    } finally {
      clearInterval(watch)
      clearInterval(minding)
      this.#session = null
      this.#offsets.remove(feed)
    }
    if (lock.lost)
      throw new LoyaltyError('projection_lock_lost', 'the connection that held the lock is gone', { retriable: true })
  }

  /** One that broke off, or tables of another version. */
  #wantsRebuild({ rebuild, version }: ProjectionRow): boolean {
    return rebuild === null ? version !== this.engine.version : rebuild === 'building'
  }

  /** Rows are there of which nobody knows any more where they end. */
  async #lostOffsets(): Promise<boolean> {
    return !(await hasOffsets(this.#deps.pool, this.name)) && (await this.engine.holdsRows())
  }

  /** Puts empty tables in the place of those that are there: applied again on top of them everything would count twice. */
  async #startOver(owner: Ownership): Promise<void> {
    this.#logger.warn({ epoch: owner.epoch }, 'where the rows of the projection end is not known; it begins again')
    await this.engine.createNext(owner)
    await this.engine.swap(owner)
  }

  async #openFeed(owner: Ownership, onSuccess: () => void): Promise<Feed<B>> {
    const { log, pool, reading, reject, onApplied } = this.#deps
    const { engine } = this
    const positions = await openOffsets(pool, owner.projection, owner.epoch, await this.#starts())
    for (const { recordMs } of positions)
      if (recordMs !== null) this.#lastRecordMs = Math.max(this.#lastRecordMs ?? 0, recordMs)
    const feed = new Feed<B>({
      log,
      reading,
      projection: engine,
      positions,
      lingerMs: engine.lingerMs,
      mostLingerMs: engine.mostLingerMs,
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
    // Before the first record is read: from then on the log keeps what belongs to it.
    try {
      await this.#offsets.add(feed)
    } catch (error) {
      feed.stop()
      await feed.run()
      throw error
    }
    return feed
  }

  /** Nobody waits for it; what fails is tried again within a second. */
  async #mind(session: Session<B>): Promise<void> {
    try {
      // A feed at its end writes nothing, and so would not learn that it is replaced.
      if (!(await isOwner(this.#deps.pool, session.owner))) return this.#leave(session)
      await this.#offsets.tell()
      await this.#rebuilder.look(session)
      this.#mindTrouble = ''
    } catch (error) {
      const trouble = messageOf(error)
      if (trouble !== this.#mindTrouble)
        this.#logger.warn({ error }, `telling the log, or looking for orders: ${trouble}`)
      this.#mindTrouble = trouble
    }
  }

  /** The session writes nothing any more: whoever holds the lock takes the projection over anew. */
  #leave({ owner, feed }: Session<B>): void {
    if (this.#session?.feed !== feed) return
    this.#logger.warn({ epoch: owner.epoch }, 'the projection knows this owner no more; taking it over anew')
    feed.stop()
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

  #owned(): Promise<Session<B>> {
    if (this.#session !== null) return Promise.resolve(this.#session)
    return new Promise((resolve) => this.#waiting.push(resolve))
  }

  #fail(error: unknown): void {
    this.#state = 'failing'
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
