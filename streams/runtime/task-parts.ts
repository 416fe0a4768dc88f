import type { CrashHook } from '../core/hooks.ts'
import type { RuntimeObserver } from '../core/observer.ts'
import type { Log, LogReader, TransactionalWriter } from '../log/log.ts'
import type { StateStore } from '../state/state-store.ts'
import type { ControlFeed } from './control-feed.ts'
import type { GroupOffset } from './group-offset.ts'
import type { TaskPosition } from './position.ts'
import type { TaskSettings } from './settings.ts'
import type { StoredMeta } from './stored-meta.ts'
import type { TaskLogic, TaskTopics, Topology } from './topology.ts'

export interface TaskDependencies<Context> {
  readonly log: Log
  /** Shared by the tasks of a process; each seeks its own partition. */
  readonly reader: LogReader
  readonly feed: ControlFeed
  readonly topology: Topology<Context>
  readonly topics: TaskTopics
  readonly group: string
  readonly transactionalId: string
  readonly partition: number
  readonly settings: TaskSettings
  readonly observer: RuntimeObserver
  readonly crash: CrashHook
  /** Aborted when the task is to close: a takeover ends early, with `task_closing`. */
  readonly signal: AbortSignal
  openStore(): StateStore
  /** Asks the log whether this process still owns the partition in the generation it was assigned in. */
  stillOwner(): Promise<boolean>
}

/** What a running task holds; dropped as a whole when the task is closed dirty. */
export interface Running<Context> {
  readonly store: StateStore
  readonly logic: TaskLogic<Context>
  /** Partitions of the input. */
  readonly partitions: number
  writer: TransactionalWriter
  /** Committed position. */
  position: TaskPosition
  /** Context at the position. */
  context: Context
  /** What the store holds. */
  meta: StoredMeta
  readonly groupOffset: GroupOffset
}
