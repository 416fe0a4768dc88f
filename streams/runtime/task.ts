import { setTimeout as delay } from 'node:timers/promises'
import { hasCode, LoyaltyError, messageOf } from '../core/error.ts'
import type { LogBatch } from '../log/log.ts'
import { commitStep, type LogBounds } from './commit.ts'
import { Backoff, DeadLetterBreaker } from './failure-policy.ts'
import { FaultSearch, faultOf, takenBy } from './fault-search.ts'
import { tellGroup } from './group-offset.ts'
import { Inbox } from './inbox.ts'
import type { TaskPosition } from './position.ts'
import { Signal } from './signal.ts'
import { type PreparedStep, prepareStep, type Slice } from './step.ts'
import { SweepPace } from './sweep-pace.ts'
import { takeOver } from './takeover.ts'
import type { Running, TaskDependencies } from './task-parts.ts'
import { assertTransition, type TaskState } from './task-state.ts'

/** How long a task that ends may take to tell the group where it is. */
const drainMs = 1_000

/** After these a task stays stopped until its process is restarted: going on would repeat the fault or hide it. */
const stopping = [
  'record_at_fault',
  'client_at_fault',
  'control_at_fault',
  'too_many_dead_letters',
  'partitions_mismatch',
  'log_offset_out_of_range',
  'restore_diverged',
  'illegal_transition',
] as const

/** Control records folded in one step. */
const mostControl = 1_000

/** The owner of one partition: takes it over, runs steps, recovers from failures (runtime.md §3–4). */
export class Task<Context> {
  readonly #deps: TaskDependencies<Context>
  readonly #abort = new AbortController()
  readonly #inbox = new Inbox()
  readonly #wake = new Signal()
  readonly #backoff: Backoff
  readonly #breaker: DeadLetterBreaker
  readonly #search: FaultSearch
  readonly #pace: SweepPace
  #state: TaskState = 'unassigned'
  #running: Running<Context> | null = null
  #reading = false
  /** Whether the state was thrown away because a step could not read it. */
  #rebuilt = false
  #held = false
  #closing = false
  #committedAt = 0
  #lastStepMs = 0
  #lastStepRecords = 0
  #bounds: LogBounds = { rows: 0, blocks: 0 }

  constructor(deps: Omit<TaskDependencies<Context>, 'signal'>) {
    this.#deps = { ...deps, signal: this.#abort.signal }
    this.#backoff = new Backoff(deps.settings)
    this.#breaker = new DeadLetterBreaker(deps.settings)
    const { sweepSlice, maxStepRecords } = deps.settings
    this.#pace = new SweepPace(sweepSlice)
    this.#search = new FaultSearch({ control: mostControl, clients: sweepSlice, records: maxStepRecords })
  }

  get partition(): number {
    return this.#deps.partition
  }

  get state(): TaskState {
    return this.#state
  }

  /** The committed position, null while the task is not running. */
  get position(): TaskPosition | null {
    return this.#running?.position ?? null
  }

  /** Context at the position, null while the task is not running. */
  get context(): Context | null {
    return this.#running?.context ?? null
  }

  /** Known end of the partition. */
  get endOffset(): number {
    return this.#inbox.endOffset
  }

  /** Arrival of the oldest record that waits to be folded, epoch ms; null where none waits. */
  get oldestWaitingMs(): number | null {
    return this.#inbox.oldestMs
  }

  get stateSize(): { entries: number; bytes: number } | null {
    return this.#running?.store.stats() ?? null
  }

  /** Takes records read of the partition. */
  offer(batch: LogBatch): void {
    if (!this.#reading) return
    this.#inbox.add(batch)
    if (this.#inbox.bytes > this.#deps.settings.inboxBytes) this.#deps.reader.pause(batch.topic, batch.partition)
    this.#wake.raise()
  }

  /** A step may be due: control records have been read, or evaluation depends on something else. */
  look(): void {
    this.#wake.raise()
  }

  /** While held no step is begun; one under way ends, or is fenced if the partition went to another owner. */
  hold(held: boolean): void {
    this.#held = held
    this.#wake.raise()
  }

  noteBounds(bounds: LogBounds): void {
    this.#bounds = bounds
  }

  /** The position cannot be read any more. */
  fail(error: unknown): void {
    this.#fault = error
    this.#wake.raise()
  }
  #fault: unknown = null

  /** Asks `run` to end: after the current step, or in the middle of a takeover. */
  close(): void {
    this.#closing = true
    this.#abort.abort(new LoyaltyError('task_closing', 'the task was asked to close'))
    this.#wake.raise()
  }

  /** Runs until the task is closed, has lost its partition or is stopped. Never rejects. */
  async run(): Promise<void> {
    while (!this.#closing) {
      try {
        const running = await takeOver(this.#deps, (state) => this.#enter(state))
        this.#running = running
        this.#enter('running')
        this.#startReading(running)
        while (!this.#closing) await this.#work(running)
        this.#enter('draining')
        // A successor that was quicker has shut us out, and tells itself; a log that is away is not waited for.
        await Promise.race([tellGroup(running).catch(() => {}), delay(drainMs, null, { ref: false })])
        await this.#release()
        this.#enter('unassigned')
      } catch (error) {
        if (await this.#closeDirty(error)) return
      }
    }
  }

  async #work(running: Running<Context>): Promise<void> {
    const slice = await this.#collect(running)
    if (slice === null) return
    const begunAt = performance.now()
    const sweeping = running.position.sweep !== null
    let step: PreparedStep<Context> | null = null
    try {
      step = await prepareStep(
        {
          ...this.#deps,
          logic: running.logic,
          partitions: running.partitions,
          maxStepClients: this.#deps.settings.maxStepClients,
        },
        running.position,
        running.context,
        slice,
      )
      this.#inbox.putBack(slice.batches.slice(step.folded.length))
      await commitStep(this.#deps, running, step, this.#bounds, (state) => this.#enter(state))
    } catch (error) {
      await this.#again(error, running, step === null ? slice : { ...slice, batches: step.folded }, step !== null)
      return
    }
    this.#committedAt = performance.now()
    this.#lastStepMs = this.#committedAt - begunAt
    this.#lastStepRecords = step.counts.records
    this.#backoff.reset()
    this.#search.succeeded(takenBy(slice, sweeping))
    this.#pace.stepped(step.counts.records, step.counts.swept, this.#lastStepMs)
    this.#breaker.count(step.counts.records, step.counts.poison)
  }

  /** Waits for work and takes a slice of it; null when asked to close. */
  async #collect(running: Running<Context>): Promise<Slice | null> {
    const { feed, settings, reader, topics, partition, topology } = this.#deps
    while (!this.#closing) {
      if (this.#fault !== null) throw this.#fault
      const control = feed.from(running.position.control)
      const configured = topology.programmeOf(running.context) !== null
      const sweeping = running.position.sweep !== null
      const sweepIn = sweeping ? this.#pace.waitMs : Number.POSITIVE_INFINITY
      const urgent = control.length > 0 || sweepIn === 0 || this.#evaluationChanged(running)
      const waiting = configured ? this.#inbox.count : 0
      if (this.#held || (!urgent && waiting === 0)) {
        if (this.#held || !sweeping) await this.#rest(running)
        else await this.#wake.raisedWithin(sweepIn)
        continue
      }
      const lingerMs = urgent ? 0 : this.#lingerLeft(waiting)
      if (lingerMs > 0) {
        await this.#wake.raisedWithin(Math.min(lingerMs, sweepIn))
        continue
      }
      const limits = this.#search.limits({
        ...{ control: control.length, records: waiting },
        clients: sweepIn === 0 ? 1 : 0,
      })
      const batches = waiting === 0 ? [] : this.#inbox.take(limits.records, settings.maxStepBytes)
      if (this.#inbox.bytes < settings.inboxBytes / 2) reader.resume(topics.input, partition)
      // A sweep that control begins in this step starts at once.
      const clients = sweeping && sweepIn > 0 ? 0 : Math.min(limits.clients, this.#pace.slice)
      return { control: control.slice(0, limits.control), batches, clients }
    }
    return null
  }

  /** Waits for something to do. Tells the group meanwhile where the task is; errors: those of a commit. */
  async #rest(running: Running<Context>): Promise<void> {
    const { groupOffset, position } = running
    const leftMs = this.#held ? Number.POSITIVE_INFINITY : groupOffset.leftMs(position.transactions)
    if (leftMs === Number.POSITIVE_INFINITY) return this.#wake.raised()
    if (leftMs > 0) return this.#wake.raisedWithin(leftMs)
    await tellGroup(running)
  }

  /** Whether evaluation is known to depend on something else than at the position: a step is due that begins a sweep. */
  #evaluationChanged({ context, position }: Running<Context>): boolean {
    const known = this.#deps.topology.evaluation.known(context)
    return known !== undefined && known !== (position.evaluatedWith ?? null)
  }

  /**
   * How long to let records gather: as long as the last step took, so that a log whose transactions are slow, or a machine
   * that is busy, is asked for fewer and larger steps before it falls behind. Few records wait a least time besides; many
   * wait longer where the step before had many, because a client that buys twice in a step is evaluated, written and
   * projected once. After a moment of standing still they wait for nothing.
   */
  #lingerLeft(waiting: number): number {
    const { lingerRecords, lingerMs, maxLingerMs, gatherRecords, maxGatherMs } = this.#deps.settings
    const busy = this.#lastStepRecords >= lingerRecords
    if (waiting >= (busy ? gatherRecords : lingerRecords)) return 0
    const linger =
      waiting < lingerRecords
        ? Math.min(Math.max(lingerMs, this.#lastStepMs), Math.max(lingerMs, maxLingerMs))
        : Math.min(3 * this.#lastStepMs, maxGatherMs)
    return this.#committedAt + linger - performance.now()
  }

  /**
   * A step failed. What may pass is waited for; what nothing outside explains is tried once more, then in parts and
   * halves, until what is at fault is alone. Errors: everything that needs the task to be closed.
   */
  async #again(error: unknown, running: Running<Context>, slice: Slice, prepared: boolean): Promise<void> {
    const { observer, partition } = this.#deps
    const dropped = hasCode(error, 'step_dropped')
    if (hasCode(error, 'state_unreadable') && !this.#rebuilt) {
      // Once: what cannot be read again after that is no damage of the disk.
      this.#rebuilt = true
      observer.warning(error.code, error.message, { partition })
      await running.store.wipe()
      throw error
    }
    if ((prepared && !dropped) || hasCode(error, ...stopping)) throw error
    this.#inbox.putBack(slice.batches)
    if (!dropped && !(error instanceof LoyaltyError && error.retriable)) {
      const part = this.#search.failed(takenBy(slice, running.position.sweep !== null))
      if (part !== null) throw faultOf(part, this.#deps, running, slice, error)
    }
    observer.warning('step_again', messageOf(error), {
      partition,
      code: error instanceof LoyaltyError ? error.code : null,
    })
    if (!dropped) await this.#waitFor(this.#backoff.next())
  }

  #startReading(running: Running<Context>): void {
    const { reader, topics, partition, topology } = this.#deps
    this.#fault = null
    this.#inbox.reset(running.position.transactions)
    this.#reading = true
    reader.seek(topics.input, partition, running.position.transactions)
    reader.resume(topics.input, partition)
    topology.evaluation.find(running.context, running.position.evaluatedWith ?? null)
  }

  /** Gives up everything held. A new owner, or the next takeover, fences whatever is still open in the log. */
  async #release(): Promise<void> {
    const running = this.#running
    this.#reading = false
    this.#running = null
    this.#deps.reader.unassign(this.#deps.topics.input, this.#deps.partition)
    await running?.writer.close().catch(() => {})
    await running?.store.close().catch(() => {})
  }

  /** True when the task ends here. */
  async #closeDirty(error: unknown): Promise<boolean> {
    const { observer, partition } = this.#deps
    await this.#release()
    if (hasCode(error, ...stopping)) {
      this.#enter('stopped')
      observer.stopped(partition, error.code, error.message)
      return true
    }
    const code = error instanceof LoyaltyError ? error.code : null
    if (code !== 'task_closing') observer.warning('task_closed_dirty', messageOf(error), { partition, code })
    this.#enter('unassigned')
    if (this.#closing) return true
    return !(await this.#ownsStill())
  }

  /**
   * Whether to take over again, once the log has said who owns the partition: fencing without knowing would shut out a
   * rightful successor.
   */
  async #ownsStill(): Promise<boolean> {
    while (!this.#closing) {
      await this.#waitFor(this.#backoff.next())
      const owner = await this.#deps.stillOwner().catch(() => null)
      if (owner !== null) return owner
    }
    return false
  }

  async #waitFor(ms: number): Promise<void> {
    const until = performance.now() + ms
    while (!this.#closing && performance.now() < until) await this.#wake.raisedWithin(until - performance.now())
  }

  #enter(to: TaskState): void {
    if (this.#state === to) return
    assertTransition(this.#state, to)
    this.#deps.observer.transition(this.partition, this.#state, to)
    this.#state = to
  }
}
