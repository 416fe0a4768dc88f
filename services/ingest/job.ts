import { createHash } from 'node:crypto'
import { access, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { Pool } from 'pg'
import { EventEncoder } from '#schemas/encoder.ts'
import type { ProgrammeConfigured } from '#schemas/events.ts'
import { type Registry, registerAll } from '#schemas/registry.ts'
import type { Topics } from '#schemas/topics.ts'
import type { Clock } from '#streams/core/clock.ts'
import { LoyaltyError } from '#streams/core/error.ts'
import type { Log } from '#streams/log/log.ts'
import type { Metrics } from '../platform/metrics.ts'
import type { BatchOutcome } from './accepted.ts'
import { type Findings, reportOf } from './build-report.ts'
import type { Control } from './control.ts'
import type { IngestCrashHook } from './crash.ts'
import { publishFindings } from './findings.ts'
import { findLate, type LateVerdicts } from './late-verdicts.ts'
import { type Originals, withOriginal } from './originals/originals.ts'
import { Passage } from './passage.ts'
import type { Calibrator, ProgrammeFigures, ProjectionProgress } from './ports.ts'
import type { FileProfile } from './profile.ts'
import { notationOf } from './profile-fields.ts'
import type { ProgressMeter } from './progress.ts'
import { eventsIn, prepareReceipts } from './receipts/prepare.ts'
import type { ReceiptsManifest } from './receipts/receipt-pass.ts'
import type { UploadReport } from './report.ts'
import type { UndoStore } from './store/undos.ts'
import type { Checkpoint, UploadStore, UploadTask } from './store/uploads.ts'
import type { StreamWatch } from './stream-watch.ts'
import { type AllConflicts, conflictsOf } from './undo/conflicts.ts'
import type { Generations } from './undo/generations.ts'
import { keepVerdicts, verdictsPath } from './verdict-files.ts'

export interface JobDeps {
  readonly log: Log
  readonly topics: Topics
  readonly registry: Registry
  readonly control: Control
  readonly store: UploadStore
  readonly undos: UndoStore
  /** Database with the schema `ingest`. */
  readonly pool: Pool
  readonly projections: ProjectionProgress
  readonly calibrator: Calibrator
  readonly figures: ProgrammeFigures
  readonly clock: Clock
  readonly metrics: Metrics
  readonly generations: Generations
  readonly originals: Originals
  /** Holds `spill/` and what undos leave: `generations/`, `undo/`. */
  readonly dataDir: string
  readonly crash: IngestCrashHook
}

/** Of a file of transactions. */
export type TransactionsTask = UploadTask & { readonly profile: FileProfile }

/** Changes when prepared files of an older version can no longer be gone on with. */
const formatVersion = 7

/**
 * The work on one upload, from the stored file to COMPLETED. Every phase can be begun again after a crash and comes to the
 * same: what is prepared is kept on disk under a manifest, what is published is found in the log, and everything else is
 * read from there.
 */
export class UploadJob {
  readonly #deps: JobDeps
  readonly #task: TransactionsTask
  readonly #meter: ProgressMeter
  readonly #watch: StreamWatch
  readonly #signal: AbortSignal

  constructor(deps: JobDeps, task: TransactionsTask, meter: ProgressMeter, watch: StreamWatch, signal: AbortSignal) {
    this.#deps = deps
    this.#task = task
    this.#meter = meter
    this.#watch = watch
    this.#signal = signal
  }

  /**
   * Errors: `wrong_currency` (the file's is not the programme's; nothing was published), those of `prepareReceipts`, and those of
   * the log, the registry and the stores.
   */
  async run(programme: ProgrammeConfigured): Promise<UploadReport> {
    this.#checkCurrency(programme)
    const events = await this.#prepare(programme)
    await publishFindings(this.#deps, this.#task, events)
    const passage = await this.#passage()
    const ends = await passage.publish(this.#eventsDirectory(), events.buckets)
    const { outcome, warnings } = await passage.follow(programme, ends)
    const conflicts = await this.#conflicts(outcome, passage.checkpoint)
    const late = await this.#findLate(events, conflicts)
    this.#deps.crash('before-completed')
    const report = await this.#report({ events, late, outcome, conflicts, programme })
    return warnings.length === 0 ? report : { ...report, warnings }
  }

  /**
   * The part of `run` that needs no stream: reads the file and, if it may, publishes its events. `run` by a later job finds
   * it done. Errors: as those of `run`.
   */
  async getReady(programme: ProgrammeConfigured, mayPublish: boolean): Promise<void> {
    this.#checkCurrency(programme)
    const events = await this.#prepare(programme)
    if (!mayPublish) return
    const passage = await this.#passage()
    await passage.publish(this.#eventsDirectory(), events.buckets)
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

  #eventsDirectory(): string {
    return eventsIn(this.#spillDirectory())
  }

  #verdictsDirectory(): string {
    return verdictsPath(this.#deps.dataDir, this.#task.batchId)
  }

  async #prepare(programme: ProgrammeConfigured): Promise<ReceiptsManifest> {
    const { profile, sha256, batchId, uploadedAtMs } = this.#task
    const { originals, registry, topics, store, undos, metrics, generations, crash } = this.#deps
    const verdictsDirectory = this.#verdictsDirectory()
    const rowsKey = digest({ formatVersion, sha256, profile, uploadedAtMs })
    await generations.refresh()
    generations.mustHave(await undos.endedTasks())
    const { TransactionRecorded: schemaId } = await registerAll(registry, topics, ['TransactionRecorded'])
    const { partitions } = programme
    const events = await prepareReceipts({
      ...{ profile, batchId, partitions, generations, uploadedAtMs, verdictsDirectory },
      directory: this.#spillDirectory(),
      rowsKey,
      eventsKey: digest({ rowsKey, schemaId, partitions }),
      encoder: new EventEncoder('TransactionRecorded', schemaId),
      original: (work) => withOriginal(originals, this.#task, work),
      progress: this.#meter,
      afterRows: () => crash('after-rows'),
      signal: this.#signal,
    })
    await this.#keepVerdicts(events)
    await store.rowsRead(batchId, events.rows, events.rows)
    metrics.batchRecords.observe({ kind: 'file' }, events.rows)
    crash('after-grouping')
    return events
  }

  async #passage(): Promise<Passage> {
    const { taskId, batchId } = this.#task
    const resumed = this.#task.checkpoint !== null
    const task = { taskId, eventBatchId: batchId, checkpoint: await this.#checkpoint(), resumed }
    return new Passage(this.#deps, task, this.#meter, this.#watch, this.#signal)
  }

  /** From now on rejected rows can be asked for. */
  async #keepVerdicts({ lastNumber, fields, input }: ReceiptsManifest): Promise<void> {
    const { fileName, storedPath, profile } = this.#task
    const { delimiter } = input
    await keepVerdicts(this.#verdictsDirectory(), {
      ...{ fileName, storedPath, format: profile.format, delimiter, rows: lastNumber, fields },
      notation: notationOf(profile),
    })
  }

  /** Where the log ended before this upload published; taken once, kept for every later attempt. */
  async #checkpoint(): Promise<Checkpoint> {
    if (this.#task.checkpoint !== null) return this.#task.checkpoint
    const { store, crash } = this.#deps
    const checkpoint = await endsNow(this.#deps)
    await store.saveCheckpoint(this.#task.taskId, checkpoint)
    crash('after-checkpoint')
    return checkpoint
  }

  /** Null where there are none. */
  async #conflicts({ dead }: BatchOutcome, { lettersFrom }: Checkpoint): Promise<AllConflicts | null> {
    if (dead === 0 || lettersFrom === undefined) return null
    const conflicts = await conflictsOf(this.#deps, this.#task.batchId, lettersFrom, this.#signal)
    return conflicts.count === 0 ? null : conflicts
  }

  /** What only the stream and the projections can tell, now that they have all of the file. */
  #findLate(events: ReceiptsManifest, conflicts: AllConflicts | null): Promise<LateVerdicts> {
    return findLate({
      events,
      conflicts,
      directory: this.#eventsDirectory(),
      verdictsDirectory: this.#verdictsDirectory(),
      figures: this.#deps.figures,
      signal: this.#signal,
    })
  }

  async #report(
    findings: Pick<Findings, 'events' | 'late' | 'outcome' | 'conflicts' | 'programme'>,
  ): Promise<UploadReport> {
    const control = await this.#deps.control.read()
    const figures = await this.#deps.figures.read()
    const seconds = this.#meter.seconds()
    for (const [phase, value] of Object.entries(seconds)) this.#deps.metrics.stepSeconds.observe({ kind: phase }, value)
    return reportOf({ ...findings, control, figures, seconds })
  }
}

/** Ends of the topics that a task follows. */
export async function endsNow({ log, topics }: Pick<JobDeps, 'log' | 'topics'>): Promise<Checkpoint> {
  return {
    transactionsFrom: await log.admin.endOffsets(topics.transactions),
    acceptedFrom: await log.admin.endOffsets(topics.accepted),
    lettersFrom: await log.admin.endOffsets(topics.deadLetters),
  }
}

function digest(value: unknown): string {
  return createHash('sha256').update(JSON.stringify(value)).digest('hex')
}
