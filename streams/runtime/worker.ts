import { hasCode, LoyaltyError, messageOf } from '../core/error.ts'
import type { CrashHook } from '../core/hooks.ts'
import type { RuntimeObserver } from '../core/observer.ts'
import type { Assignment, GroupMembership, Log, LogReader } from '../log/log.ts'
import type { StateStore } from '../state/state-store.ts'
import { ControlFeed } from './control-feed.ts'
import { Backoff } from './failure-policy.ts'
import { defaultTaskSettings, type TaskSettings } from './settings.ts'
import { Task } from './task.ts'
import type { TaskTopics, Topology } from './topology.ts'

export interface WorkerDependencies<Context> {
  readonly log: Log
  readonly topology: Topology<Context>
  readonly topics: TaskTopics
  /** Group that shares the partitions; also the stem of the tasks' transactional ids. */
  readonly group: string
  readonly observer: RuntimeObserver
  readonly crash: CrashHook
  readonly settings?: Partial<TaskSettings>
  readonly sessionTimeoutMs?: number
  openStore(partition: number): StateStore
}

/** Polls, and looks at the ends of the outputs, at least this often. */
const pollMs = 500
const boundsEveryMs = 3_000

/**
 * One process's share of the topology: joins the group, owns a task per assigned partition, reads for all of them.
 * The membership says who owns what; the tasks' fences make that safe.
 */
export class Worker<Context> {
  readonly #deps: WorkerDependencies<Context>
  readonly #settings: TaskSettings
  readonly #reader: LogReader
  readonly #feed = new ControlFeed()
  readonly #tasks = new Map<number, { task: Task<Context>; ended: Promise<void> }>()
  #membership: GroupMembership | null = null
  #owned: ReadonlySet<number> = new Set()
  #pumping: Promise<void> | null = null
  #changing: Promise<void> = Promise.resolve()
  #boundsAt = 0
  #unwatch: () => void = () => {}
  #joined = false
  #pumpEnded = false
  #closing = false

  constructor(deps: WorkerDependencies<Context>) {
    this.#deps = deps
    this.#settings = { ...defaultTaskSettings, ...deps.settings }
    this.#reader = deps.log.reader()
  }

  get tasks(): Task<Context>[] {
    return [...this.#tasks.values()].map(({ task }) => task).sort((a, b) => a.partition - b.partition)
  }

  /** True once the first assignment has come, even of nothing. */
  get joined(): boolean {
    return this.#joined
  }

  /** Joins the group and begins. Errors: those of `Log.join`. */
  async start(): Promise<void> {
    this.#reader.seek(this.#deps.topics.control, 0, 0)
    this.#pumping = this.#pump()
    this.#unwatch = this.#deps.topology.evaluation.watch(() => this.#look())
    const { group, topics, sessionTimeoutMs } = this.#deps
    this.#membership = await this.#deps.log.join({
      group,
      topic: topics.input,
      onAssigned: (assignment) => this.#assigned(assignment),
      onRevoked: () => {
        for (const { task } of this.#tasks.values()) task.hold(true)
      },
      ...(sessionTimeoutMs === undefined ? {} : { sessionTimeoutMs }),
    })
  }

  /** Ends every task after its current step, then leaves the group. */
  async close(): Promise<void> {
    this.#closing = true
    this.#unwatch()
    this.#owned = new Set()
    await this.#changing
    await this.#closeTasks([...this.#tasks.keys()])
    await this.#membership?.leave()
    this.#pumpEnded = true
    // Closing the reader ends a poll that waits.
    await this.#reader.close()
    await this.#pumping
  }

  #assigned(assignment: Assignment): void {
    this.#owned = new Set(assignment.partitions)
    this.#joined = true
    this.#changing = this.#changing
      .then(() => this.#follow())
      .catch((error) => {
        this.#deps.observer.warning('assignment_failed', messageOf(error), {})
      })
  }

  /** Closes tasks of partitions that are not ours any more, opens those that are, lets the others go on. */
  async #follow(): Promise<void> {
    const owned = this.#owned
    for (const [partition, { task }] of this.#tasks) if (owned.has(partition)) task.hold(false)
    await this.#closeTasks([...this.#tasks.keys()].filter((partition) => !owned.has(partition)))
    if (this.#closing) return
    for (const partition of owned) if (!this.#tasks.has(partition)) this.#open(partition)
  }

  #open(partition: number): void {
    const task = new Task<Context>({
      ...this.#deps,
      reader: this.#reader,
      feed: this.#feed,
      transactionalId: `${this.#deps.group}-${partition}`,
      partition,
      settings: this.#settings,
      openStore: () => this.#deps.openStore(partition),
      stillOwner: () => this.#stillOwner(partition),
    })
    const ended = task.run().then(() => this.#ended(task))
    this.#tasks.set(partition, { task, ended })
  }

  async #stillOwner(partition: number): Promise<boolean> {
    // During the first join the assignment arrives before the membership does.
    const member = this.#membership === null || (await this.#membership.stillMember())
    return member && this.#owned.has(partition)
  }

  /**
   * A task that lost its partition makes room. Where the log says that the partition is ours again – it came back while
   * the task was ending – a new one is opened; an owner that was replaced without knowing must not come back by itself.
   */
  async #ended(task: Task<Context>): Promise<void> {
    const { partition } = task
    if (task.state === 'stopped' || this.#tasks.get(partition)?.task !== task) return
    this.#tasks.delete(partition)
    const owner = await this.#stillOwner(partition).catch(() => false)
    if (owner && !this.#closing && !this.#tasks.has(partition)) this.#open(partition)
  }

  async #closeTasks(partitions: readonly number[]): Promise<void> {
    const closing = partitions.map((partition) => this.#tasks.get(partition)).filter((held) => held !== undefined)
    for (const { task } of closing) task.close()
    await Promise.all(closing.map(({ ended }) => ended))
    for (const partition of partitions) this.#tasks.delete(partition)
  }

  /** Reads control for all and the input for the tasks, for ever. */
  async #pump(): Promise<void> {
    const backoff = new Backoff(this.#settings)
    const { topics, observer } = this.#deps
    while (!this.#pumpEnded) {
      try {
        for (const batch of await this.#reader.poll(pollMs)) {
          if (batch.topic === topics.control) this.#feedControl(batch.records, batch.nextOffset)
          else this.#tasks.get(batch.partition)?.task.offer(batch)
        }
        await this.#noteBounds()
        backoff.reset()
      } catch (error) {
        if (this.#pumpEnded) return
        if (hasCode(error, 'log_offset_out_of_range')) this.#failTask(error)
        observer.warning('poll_failed', messageOf(error), { code: error instanceof LoyaltyError ? error.code : null })
        await new Promise((resolve) => setTimeout(resolve, backoff.next()))
      }
    }
  }

  #feedControl(records: Parameters<ControlFeed['add']>[0], nextOffset: number): void {
    // The feed outlives the fetch buffer.
    const copies = records.map((record) => ({
      ...record,
      key: record.key && Uint8Array.from(record.key),
      value: record.value && Buffer.from(record.value),
    }))
    this.#feed.add(copies, nextOffset)
    this.#look()
  }

  #look(): void {
    for (const { task } of this.#tasks.values()) task.look()
  }

  #failTask(error: LoyaltyError): void {
    const { partition, topic } = error.details
    if (topic !== this.#deps.topics.input || typeof partition !== 'number') return
    this.#reader.unassign(topic, partition)
    this.#tasks.get(partition)?.task.fail(error)
  }

  /** Ends known before a step begins are lower bounds of what its store holds; see StoredMeta. */
  async #noteBounds(): Promise<void> {
    const now = performance.now()
    if (now - this.#boundsAt < boundsEveryMs || this.#tasks.size === 0) return
    this.#boundsAt = now
    const { log, topics } = this.#deps
    const [rows, blocks] = await Promise.all([log.admin.endOffsets(topics.rows), log.admin.endOffsets(topics.blocks)])
    for (const { task } of this.#tasks.values())
      task.noteBounds({ rows: rows[task.partition] ?? 0, blocks: blocks[task.partition] ?? 0 })
  }
}
