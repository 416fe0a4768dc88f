import { setTimeout as sleep } from 'node:timers/promises'
import type { Pool, PoolClient } from 'pg'
import { hasCode, LoyaltyError, messageOf } from '#streams/core/error.ts'
import type { Logger } from '../platform/logging.ts'
import { startTrace, type Trace, withTrace } from '../platform/trace.ts'
import { ClientsJob } from './clients/job.ts'
import { isOfClients } from './clients/profile.ts'
import type { ClientsReport } from './clients/report.ts'
import { type JobDeps, type TransactionsTask, UploadJob } from './job.ts'
import { LookAhead } from './look-ahead.ts'
import { ensureProgramme, type ProgrammeDeps } from './programme.ts'
import { ProgressMeter } from './progress.ts'
import type { UploadReport } from './report.ts'
import type { UploadTask } from './store/uploads.ts'
import { type Hindrance, StreamWatch, type StreamWatchDeps } from './stream-watch.ts'
import type { Ticker } from './ticker.ts'
import { UndoJob } from './undo/job.ts'
import type { UndoReport } from './undo/report.ts'

export interface WorkerDeps {
  readonly job: JobDeps
  readonly programme: ProgrammeDeps
  /** Asked between uploads: an upload turns the day itself, once, at its end. */
  readonly ticker: Ticker
  /** How the stream is asked while an upload waits for it. */
  readonly stream: Omit<StreamWatchDeps, 'tell'>
  readonly pool: Pool
  readonly logger: Logger
}

/** The work on one task, of whatever kind. */
interface Job {
  run(): Promise<UploadReport | ClientsReport | UndoReport>
  clean(): Promise<void>
}

const idleMs = 500
/** Unknown errors are tried again, in case they pass; after so many attempts the task is given up. */
const maxAttempts = 5
const longestPauseMs = 10_000
/** Longer than others sleep between two looks at the lock, so that it is theirs. */
const othersFirstMs = 3_000

/**
 * Works on upload tasks, one after the other, while it holds the worker lock. Of several programs one holds it; the lock
 * is a session lock of PostgreSQL, so it falls with the holder's connection and the next program goes on where the log
 * and the disk say that the last one was.
 */
export class UploadWorker {
  readonly #deps: WorkerDeps
  readonly #stop = new AbortController()
  #wake: (() => void) | null = null
  #running: Promise<void> | null = null
  #holdsLock = false

  constructor(deps: WorkerDeps) {
    this.#deps = deps
  }

  /** True while this program is the one that works. */
  get active(): boolean {
    return this.#holdsLock
  }

  start(): void {
    this.#running ??= this.#run()
  }

  /** There is a new task: no need to wait for the next look. */
  wake(): void {
    this.#wake?.()
  }

  /** Ends after the current append or wait; a task under way stays PROCESSING and is resumed by the next worker. */
  async stop(): Promise<void> {
    this.#stop.abort(new LoyaltyError('stopping', 'ingest is stopping', { retriable: true }))
    this.wake()
    await this.#running
  }

  async #run(): Promise<void> {
    while (!this.#stop.signal.aborted) {
      try {
        await this.#holdLock()
      } catch (error) {
        if (this.#stop.signal.aborted) return
        this.#deps.logger.warn({ error }, `the upload worker pauses: ${messageOf(error)}`)
        await this.#pause(isForAnother(error) ? othersFirstMs : 1_000)
      }
    }
  }

  async #holdLock(): Promise<void> {
    const client = await this.#deps.pool.connect()
    const lost = new AbortController()
    client.on('error', (cause) =>
      lost.abort(new LoyaltyError('worker_lock_lost', 'the worker lock was lost', { retriable: true, cause })),
    )
    try {
      if (!(await tryLock(client))) return await this.#pause(idleMs)
      this.#holdsLock = true
      await this.#workUnderLock(AbortSignal.any([lost.signal, this.#stop.signal]))
    } finally {
      this.#holdsLock = false
      // The connection is closed, not given back: that is what frees the lock.
      client.release(true)
    }
  }

  async #workUnderLock(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const task = await this.#deps.job.store.claim()
      if (task !== null) await withTrace(traceOf(task), () => this.#work(task, signal))
      else {
        await this.#deps.ticker.tick()
        await this.#pause(idleMs)
      }
    }
    throw signal.reason
  }

  async #work(task: UploadTask, signal: AbortSignal): Promise<void> {
    const { job: deps, logger } = this.#deps
    const about = aboutOf(task)
    logger.info(about, task.attempts > 1 ? `${task.kind} resumed` : `${task.kind} begun`)
    const ahead = this.#lookAhead(task, signal)
    const job = this.#jobOf(task, signal, async (hindrance) => {
      await this.#tellWaiting(task, hindrance)
      ahead.hindered(hindrance)
    })
    try {
      const report = await job.run()
      await deps.store.complete(task, report)
      await job.clean()
      logger.info({ ...about, report }, `${task.kind} completed`)
      for (const { code, message, details } of report.warnings ?? []) logger.warn({ ...about, code, details }, message)
    } catch (error) {
      if (signal.aborted) throw error
      if (isLasting(error, task.attempts)) await this.#fail(task, job, error)
      else {
        logger.warn({ ...about, error }, `${task.kind} is tried again: ${messageOf(error)}`)
        // The database may be what is away.
        const told = coded(error)
        if (told instanceof LoyaltyError) await deps.store.waiting(task.taskId, told).catch(() => {})
        if (isForAnother(error)) throw error
        await this.#pause(Math.min(longestPauseMs, 250 * 2 ** Math.min(10, task.attempts)))
      }
    } finally {
      await ahead.end()
    }
  }

  /** The job of an upload, and what it is told by: it ends where the task was cancelled. */
  #uploadJob(
    task: TransactionsTask,
    signal: AbortSignal,
    tell: (hindrance: Hindrance | null) => Promise<void>,
  ): UploadJob {
    return new UploadJob(this.#deps.job, task, ...this.#partsOf(task, signal, tell))
  }

  #jobOf(task: UploadTask, signal: AbortSignal, tell: (hindrance: Hindrance | null) => Promise<void>): Job {
    const { job: deps, programme } = this.#deps
    const { profile } = task
    if (isOfClients(profile)) {
      const [meter, , ended] = this.#partsOf(task, signal, tell)
      const job = new ClientsJob(deps, { ...task, profile }, meter, ended)
      return { run: async () => job.run((await deps.control.read()).programme), clean: () => job.clean() }
    }
    const job =
      task.kind === 'upload'
        ? this.#uploadJob({ ...task, profile }, signal, tell)
        : new UndoJob(deps, task, ...this.#partsOf(task, signal, tell))
    return { run: async () => job.run(await ensureProgramme(programme, profile)), clean: () => job.clean() }
  }

  #partsOf(
    task: UploadTask,
    signal: AbortSignal,
    tell: (hindrance: Hindrance | null) => Promise<void>,
  ): [ProgressMeter, StreamWatch, AbortSignal] {
    const { job: deps, logger, stream } = this.#deps
    const cancelled = new AbortController()
    const meter = new ProgressMeter((phase, percentage) => {
      deps.store.progress(task.taskId, phase, percentage).then(
        (open) => open || cancelled.abort(new LoyaltyError('upload_cancelled', 'the upload was cancelled')),
        (error) => logger.warn({ ...aboutOf(task), error }, 'progress'),
      )
    }, task.elapsedMs)
    const tellChanges = onChange(tell, (error) => logger.warn({ ...aboutOf(task), error }, 'waiting'))
    const watch = new StreamWatch({ ...stream, tell: tellChanges })
    return [meter, watch, AbortSignal.any([signal, cancelled.signal])]
  }

  async #tellWaiting(task: UploadTask, hindrance: Hindrance | null): Promise<void> {
    const { job, logger } = this.#deps
    if (hindrance !== null)
      logger.warn({ ...aboutOf(task), code: hindrance.code }, `${task.kind} waits: ${hindrance.message}`)
    await job.store.waiting(task.taskId, hindrance)
  }

  #lookAhead(first: UploadTask, signal: AbortSignal): LookAhead {
    const { job, ticker, logger } = this.#deps
    return new LookAhead({
      first,
      claim: (passingOver) => job.store.claim(passingOver),
      getReady: (task) => withTrace(traceOf(task), () => this.#getReady(task, signal)),
      tell: (task, hindrance) => withTrace(traceOf(task), () => this.#tellWaiting(task, hindrance)),
      idle: () => ticker.tick('upload'),
      logger,
      signal,
    })
  }

  /** Before a programme has begun only its first upload may be in the log: its cut-points are taken from that. */
  async #getReady(task: UploadTask, signal: AbortSignal): Promise<void> {
    const { job: deps, programme, logger } = this.#deps
    const { profile } = task
    // It does not need the stream: its turn is soon enough.
    if (isOfClients(profile)) return
    logger.info(aboutOf(task), 'upload is got ready before its turn')
    const job = this.#uploadJob({ ...task, profile }, signal, async () => {})
    try {
      const { day, cutPoints } = await deps.control.read()
      await job.getReady(await ensureProgramme(programme, profile), day !== null && cutPoints !== null)
    } catch (error) {
      if (signal.aborted || !(error instanceof LoyaltyError) || error.retriable) throw error
      await this.#fail(task, job, error)
    }
  }

  async #fail(task: UploadTask, job: { clean(): Promise<void> }, error: unknown): Promise<void> {
    const told = coded(error)
    const code = told instanceof LoyaltyError ? told.code : 'internal_error'
    const about = { task_id: task.taskId, batch_id: task.batchId }
    if (code === 'upload_cancelled') this.#deps.logger.info(about, 'upload cancelled')
    else this.#deps.logger.error({ ...about, error }, `${task.kind} failed: ${messageOf(error)}`)
    await this.#deps.job.store.fail(task, code, messageOf(told))
    // What an undo has decided is decided: it goes on with that when it is ordered again.
    if (task.kind === 'upload') await job.clean()
  }

  async #pause(ms: number): Promise<void> {
    const woken = new AbortController()
    this.#wake = () => woken.abort()
    await sleep(ms, undefined, { signal: AbortSignal.any([woken.signal, this.#stop.signal]) }).catch(() => {})
    this.#wake = null
  }
}

function aboutOf(task: UploadTask) {
  return { task_id: task.taskId, batch_id: task.batchId, attempt: task.attempts }
}

/** The trace of the request that brought the upload: it can be followed from there to its report. */
function traceOf({ taskId, trace }: UploadTask): Trace {
  const own = startTrace(undefined, trace?.correlationId ?? taskId)
  return trace === null ? own : { ...own, traceId: trace.traceId }
}

/** Passes on what differs from what was passed on before, and the first in any case; again where that failed. */
function onChange(
  tell: (hindrance: Hindrance | null) => Promise<void>,
  failed: (error: unknown) => void,
): (hindrance: Hindrance | null) => Promise<void> {
  let before: Hindrance | null | undefined
  return async (hindrance) => {
    if (before !== undefined && hindrance?.message === before?.message) return
    try {
      await tell(hindrance)
      before = hindrance
    } catch (error) {
      failed(error)
    }
  }
}

/** What the file system refuses has to do with the data directory: there all the work on tasks is. */
function coded(error: unknown): unknown {
  if (!(error instanceof Error) || !('syscall' in error) || !('path' in error)) return error
  const message = `a file or folder of the data directory cannot be used: ${error.message}; mend it and order it again`
  return new LoyaltyError('data_directory_refused', message, { retriable: true, cause: error })
}

/** True where this program lacks what undos left in the data directory, and another one may have it: the lock is let go. */
function isForAnother(error: unknown): boolean {
  return hasCode(error, 'generations_lost')
}

/** True for an error that trying again will not mend. */
function isLasting(error: unknown, attempts: number): boolean {
  if (error instanceof LoyaltyError) return !error.retriable
  return attempts >= maxAttempts
}

async function tryLock(client: PoolClient): Promise<boolean> {
  const { rows } = await client.query<{ locked: boolean }>(
    `select pg_try_advisory_lock(hashtextextended('loyalty.ingest.worker', 0)) as locked`,
  )
  return rows[0]!.locked
}
