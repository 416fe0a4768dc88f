import { reducedDecoder } from '#schemas/decoder.ts'
import type { ProgrammeConfigured, TransactionRecorded } from '#schemas/events.ts'
import { AcceptedFollower, type BatchOutcome } from './accepted.ts'
import { havePassed, haveSettled, notPassed, notSettled, recordEnds, shareOf, untilProjected } from './completion.ts'
import { calendarOf, turnDay } from './day.ts'
import { dayAhead } from './day-warning.ts'
import type { JobDeps } from './job.ts'
import type { ProgressMeter } from './progress.ts'
import { publishEvents } from './publish.ts'
import type { ReportWarning } from './report.ts'
import type { Checkpoint } from './store/uploads.ts'
import type { StreamWatch } from './stream-watch.ts'
import { republishedBy } from './undo/prepare.ts'

/** A task as it stands while its events pass the stream. */
export interface PassageTask {
  readonly taskId: string
  /** The batch that its events are of, and that blocks count. */
  readonly eventBatchId: string
  readonly checkpoint: Checkpoint
  /** True where an earlier attempt may have published some of its events. */
  readonly resumed: boolean
}

/** What became of the events of a task. */
export interface Passed {
  readonly outcome: BatchOutcome
  readonly warnings: readonly ReportWarning[]
}

/**
 * The way of prepared events through the stream: published each once, taken in by every task, the day turned after them,
 * and projected. Every part can be begun again and comes to the same.
 */
export class Passage {
  readonly #deps: JobDeps
  readonly #task: PassageTask
  readonly #meter: ProgressMeter
  readonly #watch: StreamWatch
  readonly #signal: AbortSignal

  constructor(deps: JobDeps, task: PassageTask, meter: ProgressMeter, watch: StreamWatch, signal: AbortSignal) {
    this.#deps = deps
    this.#task = task
    this.#meter = meter
    this.#watch = watch
    this.#signal = signal
  }

  get checkpoint(): Checkpoint {
    return this.#task.checkpoint
  }

  /** Publishes the events of a directory of `buckets` files; resolves with the offset after the last per partition, 0 for none. */
  async publish(directory: string, buckets: number): Promise<number[]> {
    const { log, topics, registry, metrics, crash } = this.#deps
    const { checkpoint, resumed, eventBatchId, taskId } = this.#task
    const decoder = reducedDecoder(registry, 'TransactionRecorded', unreadFields)
    this.#meter.begin('publishing')
    const ends = await publishEvents({
      log,
      topic: topics.transactions,
      directory,
      buckets,
      from: checkpoint.transactionsFrom,
      resumed,
      isOurs: async (value) => {
        const decoded = await decoder.read(value)
        if (decoded.kind !== 'ok') return false
        const by = decoded.event.attributes[republishedBy]
        return by === undefined ? decoded.event.batch_id === eventBatchId : by === taskId
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
    return ends
  }

  /** Until every task has taken the events in, the day has turned, and the projections show it. */
  async follow(programme: ProgrammeConfigured, published: readonly number[]): Promise<Passed> {
    const { topics, log, registry } = this.#deps
    const { eventBatchId, checkpoint } = this.#task
    const follower = await AcceptedFollower.open(log, topics.accepted, registry, eventBatchId, checkpoint.acceptedFrom)
    let warnings: ReportWarning[]
    try {
      await this.#stream(follower, published)
      warnings = await this.#settle(follower, programme)
    } finally {
      await follower.close()
    }
    await this.#project([topics.accepted, topics.clientState, topics.clientReclassified, topics.uploads])
    return { outcome: follower.outcome, warnings }
  }

  /** Until every task has taken the transactions in. */
  async #stream(follower: AcceptedFollower, published: readonly number[]): Promise<void> {
    const { log, topics } = this.#deps
    this.#meter.begin('streaming')
    // What readers may see now can end before what was published: see `publishEvents`.
    const visible = await recordEnds(log, topics.transactions)
    const ends = visible.map((end, partition) => Math.max(end, published[partition] ?? 0))
    const passed = follower.until(() => {
      this.#meter.share(shareOf(follower.positions, this.#task.checkpoint.transactionsFrom, ends))
      return havePassed(follower.positions, ends)
    }, this.#signal)
    await this.#watch.during(passed, () => notPassed(follower.positions, ends))
  }

  /** The clock rule, and the sweep that it may have caused. */
  async #settle(follower: AcceptedFollower, programme: ProgrammeConfigured): Promise<ReportWarning[]> {
    const { control, clock } = this.#deps
    const { newestDay, days } = follower.outcome
    this.#meter.begin('calibrating')
    const before = await this.#dayBefore()
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

  /** The programme's day before the first attempt at this task moved it. */
  async #dayBefore(): Promise<number | null> {
    const { checkpoint, taskId } = this.#task
    if (checkpoint.dayBefore !== undefined) return checkpoint.dayBefore
    const { day } = await this.#deps.control.read()
    await this.#deps.store.saveCheckpoint(taskId, { ...checkpoint, dayBefore: day })
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
] as const satisfies (keyof TransactionRecorded)[]
