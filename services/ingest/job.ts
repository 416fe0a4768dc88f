import { createHash } from 'node:crypto'
import { access, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { reducedDecoder } from '#schemas/decoder.ts'
import { EventEncoder } from '#schemas/encoder.ts'
import type { ProgrammeConfigured, TransactionRecorded } from '#schemas/events.ts'
import { type Registry, registerAll } from '#schemas/registry.ts'
import type { Topics } from '#schemas/topics.ts'
import type { Clock } from '#streams/core/clock.ts'
import { LoyaltyError } from '#streams/core/error.ts'
import type { Log } from '#streams/log/log.ts'
import type { Metrics } from '../platform/metrics.ts'
import { AcceptedFollower } from './accepted.ts'
import { type Findings, reportOf } from './build-report.ts'
import { havePassed, haveSettled, notPassed, notSettled, recordEnds, shareOf, untilProjected } from './completion.ts'
import type { Control } from './control.ts'
import type { IngestCrashHook } from './crash.ts'
import { calendarOf, turnDay } from './day.ts'
import { dayAhead } from './day-warning.ts'
import { flagUnknownOriginals, type LateFlags } from './late-flags.ts'
import type { Calibrator, ProgrammeFigures, ProjectionProgress } from './ports.ts'
import type { ProgressMeter } from './progress.ts'
import { publishEvents } from './publish.ts'
import { type GroupManifest, groupReceipts } from './receipts/group.ts'
import { type SpillManifest, spillRows } from './receipts/spill.ts'
import type { ReportWarning, UploadReport } from './report.ts'
import type { Checkpoint, UploadStore, UploadTask } from './store/uploads.ts'
import type { StreamWatch } from './stream-watch.ts'
import { keepVerdicts, verdictsPath } from './verdict-files.ts'

export interface JobDeps {
  readonly log: Log
  readonly topics: Topics
  readonly registry: Registry
  readonly control: Control
  readonly store: UploadStore
  readonly projections: ProjectionProgress
  readonly calibrator: Calibrator
  readonly figures: ProgrammeFigures
  readonly clock: Clock
  readonly metrics: Metrics
  /** Holds `uploads/` and `spill/`. */
  readonly dataDir: string
  readonly crash: IngestCrashHook
}

/** Changes when prepared files of an older version can no longer be gone on with. */
const formatVersion = 3

/**
 * The work on one upload, from the stored file to COMPLETED. Every phase can be begun again after a crash and comes to the
 * same: what is prepared is kept on disk under a manifest, what is published is found in the log, and everything else is
 * read from there.
 */
export class UploadJob {
  readonly #deps: JobDeps
  readonly #task: UploadTask
  readonly #meter: ProgressMeter
  readonly #watch: StreamWatch
  readonly #signal: AbortSignal

  constructor(deps: JobDeps, task: UploadTask, meter: ProgressMeter, watch: StreamWatch, signal: AbortSignal) {
    this.#deps = deps
    this.#task = task
    this.#meter = meter
    this.#watch = watch
    this.#signal = signal
  }

  /**
   * Errors: `wrong_currency` (the file's is not the programme's; nothing was published), those of `spillRows`, and those of
   * the log, the registry and the stores.
   */
  async run(programme: ProgrammeConfigured): Promise<UploadReport> {
    this.#checkCurrency(programme)
    const events = await this.#prepare(programme)
    const { checkpoint, ends } = await this.#publish(events)
    const { topics, log, registry } = this.#deps
    const follower = await AcceptedFollower.open(
      log,
      topics.accepted,
      registry,
      this.#task.batchId,
      checkpoint.acceptedFrom,
    )
    const warnings: ReportWarning[] = []
    try {
      await this.#stream(follower, checkpoint, ends)
      warnings.push(...(await this.#settle(follower, programme, checkpoint)))
    } finally {
      await follower.close()
    }
    await this.#project([topics.accepted, topics.clientState, topics.clientReclassified])
    const late = await this.#flagLate(events)
    this.#deps.crash('before-completed')
    const report = await this.#report({ events, late, outcome: follower.outcome, programme })
    return warnings.length === 0 ? report : { ...report, warnings }
  }

  /**
   * The part of `run` that needs no stream: reads the file and, if it may, publishes its events. `run` by a later job finds
   * it done. Errors: as those of `run`.
   */
  async getReady(programme: ProgrammeConfigured, mayPublish: boolean): Promise<void> {
    this.#checkCurrency(programme)
    const events = await this.#prepare(programme)
    if (mayPublish) await this.#publish(events)
  }

  /** Deletes what was prepared: the stored original is enough to begin again. Verdicts are kept once they are whole. */
  async clean(): Promise<void> {
    await rm(this.#spillDirectory(), { recursive: true, force: true })
    const verdicts = this.#verdictsDirectory()
    const whole = await access(join(verdicts, 'manifest.json')).then(
      () => true,
      () => false,
    )
    if (!whole) await rm(verdicts, { recursive: true, force: true })
  }

  #checkCurrency(programme: ProgrammeConfigured): void {
    const { profile } = this.#task
    if (profile.currency === programme.currency) return
    throw new LoyaltyError(
      'wrong_currency',
      `the file is in ${profile.currency} by its profile ${profile.name}, the programme counts in ${programme.currency}; ` +
        'nothing was published',
      { details: { file: profile.currency, programme: programme.currency } },
    )
  }

  #spillDirectory(): string {
    return join(this.#deps.dataDir, 'spill', this.#task.batchId)
  }

  #verdictsDirectory(): string {
    return verdictsPath(this.#deps.dataDir, this.#task.batchId)
  }

  async #prepare(programme: ProgrammeConfigured): Promise<GroupManifest> {
    const { profile, sha256, storedPath, batchId, uploadedAtMs } = this.#task
    const { dataDir, registry, topics, store, metrics, crash } = this.#deps
    const signal = this.#signal
    const directory = this.#spillDirectory()
    const rowsDirectory = join(directory, 'rows')
    const verdictsDirectory = this.#verdictsDirectory()
    const key = digest({ formatVersion, sha256, profile, uploadedAtMs })
    this.#meter.begin('reading')
    const rows = await spillRows({
      path: join(dataDir, storedPath),
      profile,
      directory: rowsDirectory,
      key,
      uploadedAtMs,
      verdictsDirectory,
      signal,
      onProgress: (share) => this.#meter.share(share),
    })
    crash('after-rows')
    this.#meter.begin('grouping')
    const { TransactionRecorded: schemaId } = await registerAll(registry, topics, ['TransactionRecorded'])
    const { partitions } = programme
    const events = await groupReceipts({
      profile,
      rowsDirectory,
      rows,
      directory: join(directory, 'events'),
      key: digest({ key, schemaId, partitions }),
      batchId,
      partitions,
      encoder: new EventEncoder('TransactionRecorded', schemaId),
      verdictsDirectory,
      signal,
      onProgress: (share) => this.#meter.share(share),
    })
    await this.#keepVerdicts(rows)
    await store.rowsRead(batchId, rows.rows, rows.rows)
    metrics.batchRecords.observe({ kind: 'file' }, rows.rows)
    crash('after-grouping')
    return events
  }

  /** From now on rejected rows can be asked for. */
  async #keepVerdicts({ rows, fields, input }: SpillManifest): Promise<void> {
    const { fileName, storedPath, profile } = this.#task
    const { delimiter } = input
    await keepVerdicts(this.#verdictsDirectory(), {
      ...{ fileName, storedPath, format: profile.format, delimiter, rows, fields },
    })
  }

  /** Where the log ended before this upload published; taken once, kept for every later attempt. */
  async #checkpoint(): Promise<Checkpoint> {
    if (this.#task.checkpoint !== null) return this.#task.checkpoint
    const { log, topics, store, crash } = this.#deps
    const checkpoint = {
      transactionsFrom: await log.admin.endOffsets(topics.transactions),
      acceptedFrom: await log.admin.endOffsets(topics.accepted),
    }
    await store.saveCheckpoint(this.#task.taskId, checkpoint)
    crash('after-checkpoint')
    return checkpoint
  }

  /** Resolves with where this upload's events are: after the checkpoint, and before `ends`. */
  async #publish(events: GroupManifest): Promise<{ checkpoint: Checkpoint; ends: readonly number[] }> {
    const checkpoint = await this.#checkpoint()
    const { log, topics, registry, metrics, crash } = this.#deps
    const decoder = reducedDecoder(registry, 'TransactionRecorded', unreadFields)
    this.#meter.begin('publishing')
    const ends = await publishEvents({
      log,
      topic: topics.transactions,
      directory: join(this.#spillDirectory(), 'events'),
      events,
      from: checkpoint.transactionsFrom,
      resumed: this.#task.checkpoint !== null,
      isOurs: async (value) => {
        const decoded = await decoder.read(value)
        return decoded.kind === 'ok' && decoded.event.batch_id === this.#task.batchId
      },
      signal: this.#signal,
      onProgress: (share) => this.#meter.share(share),
      onAppended: (records, ms) => {
        metrics.records.inc({ topic: topics.transactions }, records)
        metrics.batchRecords.observe({ kind: 'publish' }, records)
        metrics.stepSeconds.observe({ kind: 'publish' }, ms / 1_000)
      },
      afterAppend: () => crash('inside-publishing'),
    })
    crash('after-publishing')
    return { checkpoint, ends }
  }

  /** Until every task has taken the transactions in. */
  async #stream(follower: AcceptedFollower, checkpoint: Checkpoint, published: readonly number[]): Promise<void> {
    const { log, topics } = this.#deps
    this.#meter.begin('streaming')
    // What readers may see now can end before what was published: see `publishEvents`.
    const visible = await recordEnds(log, topics.transactions)
    const ends = visible.map((end, partition) => Math.max(end, published[partition] ?? 0))
    const passed = follower.until(() => {
      this.#meter.share(shareOf(follower.positions, checkpoint.transactionsFrom, ends))
      return havePassed(follower.positions, ends)
    }, this.#signal)
    await this.#watch.during(passed, () => notPassed(follower.positions, ends))
  }

  /** The clock rule, and the sweep that it may have caused. */
  async #settle(
    follower: AcceptedFollower,
    programme: ProgrammeConfigured,
    checkpoint: Checkpoint,
  ): Promise<ReportWarning[]> {
    const { control, clock } = this.#deps
    const { newestDay, days } = follower.outcome
    this.#meter.begin('calibrating')
    const before = await this.#dayBefore(checkpoint)
    await turnDay(this.#deps, {
      programme,
      newestDay,
      settled: () => this.#settled(follower),
      signal: this.#signal,
    })
    this.#meter.begin('sweeping')
    await this.#settled(follower)
    const after = (await control.read()).day
    if (programme.clock === 'system' || after === null) return []
    const warning = dayAhead({ before, after, today: calendarOf(programme).dayOf(clock.nowMs()), days })
    return warning === null ? [] : [warning]
  }

  /** The programme's day before the first attempt at this upload moved it. */
  async #dayBefore(checkpoint: Checkpoint): Promise<number | null> {
    if (checkpoint.dayBefore !== undefined) return checkpoint.dayBefore
    const { day } = await this.#deps.control.read()
    await this.#deps.store.saveCheckpoint(this.#task.taskId, { ...checkpoint, dayBefore: day })
    return day
  }

  /** Until every task has taken in what control holds now, and no sweep runs. */
  async #settled(follower: AcceptedFollower): Promise<void> {
    const { log, topics } = this.#deps
    const [controlEnd = 0] = await recordEnds(log, topics.control)
    const settled = follower.until(() => haveSettled(follower.positions, controlEnd), this.#signal)
    await this.#watch.during(settled, () => notSettled(follower.positions, controlEnd))
  }

  async #project(topics: readonly string[]): Promise<void> {
    const { log, projections } = this.#deps
    this.#meter.begin('projecting')
    await untilProjected(log, topics, projections, {
      signal: this.#signal,
      onProgress: (share) => this.#meter.share(share),
    })
  }

  /** What only the projections can tell, now that they have all of the file. */
  #flagLate(events: GroupManifest): Promise<LateFlags> {
    return flagUnknownOriginals({
      events,
      directory: join(this.#spillDirectory(), 'events'),
      verdictsDirectory: this.#verdictsDirectory(),
      figures: this.#deps.figures,
      signal: this.#signal,
    })
  }

  async #report(findings: Pick<Findings, 'events' | 'late' | 'outcome' | 'programme'>): Promise<UploadReport> {
    const control = await this.#deps.control.read()
    const figures = await this.#deps.figures.read()
    const seconds = this.#meter.seconds()
    for (const [phase, value] of Object.entries(seconds)) this.#deps.metrics.stepSeconds.observe({ kind: phase }, value)
    return reportOf({ ...findings, control, figures, seconds })
  }
}

/** Everything but what tells whose an event is. */
const unreadFields = [
  'client_id',
  'kind',
  'occurred_at',
  'amount_minor',
  'currency',
  'source',
  'store_id',
  'terminal_id',
  'receipt_number',
  'original_transaction_id',
  'payment_method',
  'items_count',
  'categories',
  'lines',
  'discount_minor',
  'bonus_earned_minor',
  'bonus_spent_minor',
  'attributes',
] as const satisfies (keyof TransactionRecorded)[]

function digest(value: unknown): string {
  return createHash('sha256').update(JSON.stringify(value)).digest('hex')
}
