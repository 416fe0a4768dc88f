import { createHash } from 'node:crypto'
import { copyFile, mkdir, readFile, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { EventEncoder } from '#schemas/encoder.ts'
import type { ProgrammeConfigured } from '#schemas/events.ts'
import { registerAll } from '#schemas/registry.ts'
import { LoyaltyError } from '#streams/core/error.ts'
import { isoOfDay } from '#streams/domain/calendar.ts'
import { syncDirectory } from '../../platform/sync-directory.ts'
import type { BatchOutcome } from '../accepted.ts'
import { onceActionsRest } from '../dead-letters/lock.ts'
import { endsNow, type JobDeps } from '../job.ts'
import { Passage } from '../passage.ts'
import type { ProgressMeter } from '../progress.ts'
import type { Checkpoint, UploadTask } from '../store/uploads.ts'
import type { StreamWatch } from '../stream-watch.ts'
import { Generations } from './generations.ts'
import { publishLate } from './late.ts'
import { keysFile, prepareUndo, standingFile, type UndoManifest } from './prepare.ts'
import { putAside } from './put-aside.ts'
import type { UndoReport } from './report.ts'

/** Changes when what an older version prepared can no longer be gone on with. */
const formatVersion = 3

interface Decision {
  readonly manifest: UndoManifest
  readonly checkpoint: Checkpoint
  /** True where an earlier attempt had decided it. */
  readonly resumed: boolean
}

/**
 * Takes an upload back, or puts its other contents in force. Like the work on an upload it can be begun again after a crash
 * at any point: what it decides depends on the log up to its checkpoint alone, it is kept under a manifest and holds once
 * its generations have ended, which is before anything is published, and what is published is found in the log.
 */
export class UndoJob {
  readonly #deps: JobDeps
  readonly #task: UploadTask & { readonly kind: 'undo' | 'replace' }
  readonly #meter: ProgressMeter
  readonly #watch: StreamWatch
  readonly #signal: AbortSignal

  constructor(deps: JobDeps, task: UploadTask, meter: ProgressMeter, watch: StreamWatch, signal: AbortSignal) {
    const { kind } = task
    if (kind === 'upload') throw new RangeError('an upload is no undo')
    this.#deps = deps
    this.#task = { ...task, kind }
    this.#meter = meter
    this.#watch = watch
    this.#signal = signal
  }

  /** Errors: those of the log, the registry and the stores. */
  async run(programme: ProgrammeConfigured): Promise<UndoReport> {
    const { dataDir, pool, store, crash } = this.#deps
    const { taskId } = this.#task
    const { manifest, checkpoint, resumed } = await onceActionsRest(
      pool,
      this.#signal,
      () => store.waiting(taskId, busy()),
      (held) => this.#decide(programme, held),
    )
    await store.waiting(taskId, null)
    crash('after-generations')
    const task = { taskId, eventBatchId: taskId, checkpoint, resumed }
    const passage = new Passage(this.#deps, task, this.#meter, this.#watch, this.#signal)
    const ends = await passage.publish(undoDirectory(dataDir, taskId), manifest.buckets)
    const late = await this.#publishLate(programme, checkpoint)
    const { outcome, warnings } = await passage.follow(programme, ends)
    crash('before-completed')
    const report = await this.#report(manifest, late, outcome, programme)
    return warnings.length === 0 ? report : { ...report, warnings }
  }

  /** From here on what is taken back is; the rest only carries it out. */
  async #decide(programme: ProgrammeConfigured, held: AbortSignal): Promise<Decision> {
    const { generations, store, crash } = this.#deps
    const { taskId, checkpoint: before } = this.#task
    await generations.refresh()
    // Until its generations end nothing of it is seen: an attempt before this one may be long ago, and others came or went.
    const resumed = before !== null && generations.has(taskId)
    const checkpoint = { ...(resumed ? before : await this.#checkpoint()), ended: true }
    const manifest = await this.#prepare(programme, checkpoint)
    crash('after-grouping')
    held.throwIfAborted()
    await generations.install(taskId, await this.#keys())
    await this.#keepStanding()
    await store.saveCheckpoint(taskId, checkpoint)
    return { manifest, checkpoint, resumed }
  }

  /** Deletes what was prepared. */
  async clean(): Promise<void> {
    await rm(undoDirectory(this.#deps.dataDir, this.#task.taskId), { recursive: true, force: true })
  }

  async #checkpoint(): Promise<Checkpoint> {
    const { store, undos, crash } = this.#deps
    const checkpoint = {
      ...(await endsNow(this.#deps)),
      undone: await undos.undoneBatches(),
      putAside: await putAside(this.#deps),
    }
    await store.saveCheckpoint(this.#task.taskId, checkpoint)
    crash('after-checkpoint')
    return checkpoint
  }

  async #prepare(programme: ProgrammeConfigured, checkpoint: Checkpoint): Promise<UndoManifest> {
    const { log, topics, registry, undos, dataDir } = this.#deps
    const { taskId, batchId, kind } = this.#task
    const own = await undos.checkpointOfUpload(batchId)
    if (own === null) throw new LoyaltyError('nothing_to_undo', 'nothing of this upload was published')
    const encoder = await this.#encoder()
    // Without its own file: an attempt before this one may have come so far.
    const generations = await Generations.open(dataDir, taskId)
    generations.mustHave(await undos.endedTasks())
    this.#meter.begin('reading')
    const { transactionsFrom: ends, undone = [], putAside = [] } = checkpoint
    return prepareUndo({
      purpose: kind,
      taskId,
      batchId,
      undone,
      putAside,
      ends,
      batchFrom: own.transactionsFrom,
      log,
      topic: topics.transactions,
      registry,
      programme,
      encoder,
      generations,
      directory: undoDirectory(dataDir, taskId),
      key: digest({ formatVersion, kind, batchId, ends, undone, putAside }),
      signal: this.#signal,
      onProgress: (share) => this.#meter.share(share),
    })
  }

  async #publishLate(programme: ProgrammeConfigured, checkpoint: Checkpoint): Promise<number> {
    const { log, topics, registry, generations } = this.#deps
    const { taskId, batchId } = this.#task
    const { transactionsFrom: from, undone = [] } = checkpoint
    const encoder = await this.#encoder()
    const topic = topics.transactions
    const [purpose, signal] = [this.#task.kind, this.#signal]
    const about = { taskId, batchId, purpose, undone: new Set(undone) }
    return publishLate({ ...about, log, topic, registry, programme, generations, from, encoder, signal })
  }

  async #encoder(): Promise<EventEncoder<'TransactionRecorded'>> {
    const { registry, topics } = this.#deps
    const { TransactionRecorded: schemaId } = await registerAll(registry, topics, ['TransactionRecorded'])
    return new EventEncoder('TransactionRecorded', schemaId)
  }

  async #keys(): Promise<BigUint64Array> {
    const bytes = await readFile(join(undoDirectory(this.#deps.dataDir, this.#task.taskId), keysFile))
    const keys = new BigUint64Array(bytes.length / 8)
    new Uint8Array(keys.buffer).set(bytes)
    return keys
  }

  async #keepStanding(): Promise<void> {
    const { dataDir } = this.#deps
    const { taskId } = this.#task
    const path = standingPath(dataDir, taskId)
    await mkdir(join(dataDir, 'undo'), { recursive: true })
    await copyFile(join(undoDirectory(dataDir, taskId), standingFile), `${path}.new`)
    await rename(`${path}.new`, path)
    await syncDirectory(join(dataDir, 'undo'))
  }

  async #report(
    { totals }: UndoManifest,
    late: number,
    outcome: BatchOutcome,
    { currency }: ProgrammeConfigured,
  ): Promise<UndoReport> {
    const { figures, control } = this.#deps
    const { kind, batchId, taskId } = this.#task
    const [{ buyers, segments }, { day }] = [await figures.read(), await control.read()]
    return {
      kind,
      batch_id: batchId,
      undo_batch_id: taskId,
      taken_back: totals.sales + totals.refunds + totals.voids,
      sales: totals.sales,
      refunds: totals.refunds,
      voids: totals.voids,
      gross_minor: totals.grossMinor,
      refunded_minor: totals.refundedMinor,
      replaced: totals.replaced,
      restored: totals.restored,
      renewed: totals.renewed + late,
      standing: { count: totals.standing, first: totals.firstStanding },
      events: { accepted: outcome.accepted, duplicates: outcome.duplicates, dead_letters: outcome.dead },
      clients: outcome.clients.size,
      buyers,
      currency,
      as_of: day === null ? null : isoOfDay(day),
      segments,
      seconds: this.#meter.seconds(),
    }
  }
}

function busy(): LoyaltyError {
  return new LoyaltyError('dead_letters_busy', 'dead letters are being replayed; it goes on after that', {
    retriable: true,
  })
}

function undoDirectory(dataDir: string, taskId: string): string {
  return join(dataDir, 'spill', taskId)
}

/** The list of the transactions that an undo let stand: CSV. */
export function standingPath(dataDir: string, taskId: string): string {
  return join(dataDir, 'undo', `${taskId}.csv`)
}

function digest(value: unknown): string {
  return createHash('sha256').update(JSON.stringify(value)).digest('hex')
}
