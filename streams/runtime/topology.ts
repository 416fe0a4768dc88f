import type { Bytes, LogRecord, NewRecord } from '../log/log.ts'
import type { StateChange, StateStore } from '../state/state-store.ts'
import type { SweepCause } from './position.ts'

/** What the runtime has to know of a programme. */
export interface Programme {
  readonly id: string
  /** Partitions of the programme's topics; a task refuses to run with another number. */
  readonly partitions: number
}

/** Outcome of folding one record. Poison is an outcome, not an exception. */
export type FoldOutcome =
  | { readonly kind: 'accepted' }
  | { readonly kind: 'duplicate' }
  /** `foreseen`: no sign of a broken source, such as a receipt that comes again with other content. */
  | { readonly kind: 'dead'; readonly reason: string; readonly detail: string; readonly foreseen?: boolean }
  /** The record belongs into another partition of the input: it is passed on to it, and counts there. */
  | { readonly kind: 'forward'; readonly partition: number }
  /** Something has to be fetched first: call `prepare` and fold again. */
  | { readonly kind: 'unprepared' }

/** Identity of a step, for the blocks. */
export interface StepIdentity {
  readonly step: number
  readonly fromOffset: number
  readonly toOffset: number
}

/** Everything a step writes to the log besides dead letters and what it passes on. */
export interface StepOutput {
  readonly rows: readonly NewRecord[]
  readonly reclassifications: readonly NewRecord[]
  /** Values of the step's block, one per part, never empty; the runtime adds the header. */
  readonly blocks: readonly Bytes[]
  /** Clients evaluated. */
  readonly evaluated: number
}

/**
 * The part of a topology that works for one task, over one state store. `Context` is the fold of control: immutable, so
 * that a step that fails has changed nothing.
 */
export interface TaskLogic<Context> {
  /** An empty working set laid over the cache. While restoring, nothing but state is made of what is folded. */
  begin(context: Context, restoring: boolean): WorkingSet
  /** Forgets everything held in memory. */
  dropCache(): void
}

/** What one step changes. Nothing outside it is touched before `keep`; dropping it is the whole rollback. */
export interface WorkingSet {
  /** Clients touched so far. */
  readonly size: number
  fold(record: LogRecord): FoldOutcome
  /** Fetches what `fold` lacked. Throws a retriable error while that is out of reach. */
  prepare(record: LogRecord): Promise<void>
  /**
   * Gets hold of what evaluation depends on beside ledgers and context, before `sweep` and `evaluate`; answers its name,
   * null for nothing. `before`: what the position names. Throws a retriable error while it is out of reach.
   */
  equip(before: string | null): Promise<string | null>
  /**
   * Puts at most `limit` clients after the cursor (in key order) up for evaluation; answers the new cursor – the key of
   * the last of them – or null at the end.
   */
  sweep(after: Bytes | null, limit: number, cause: SweepCause): Bytes | null
  /** Evaluates every client touched, once each. Errors of the classifier are thrown. */
  evaluate(): Promise<void>
  output(identity: StepIdentity): StepOutput
  deadLetter(record: LogRecord, reason: string, detail: string): NewRecord
  /** The record to append to the partition that `fold` named, marked so that it is never passed on again. */
  forward(record: LogRecord): NewRecord
  /** Lays a row read back from the log over the client's state (restore); at once, or when the promise resolves. */
  restoreRow(record: LogRecord): Promise<void> | undefined
  /** Everything to be written to the store. */
  changes(): Iterable<StateChange>
  /** The changes are stored: they become the cache. */
  keep(): void
}

/**
 * What evaluation depends on beside ledgers and context, such as files of a model: it may change without a record of
 * control. A task whose position names another than is known makes a step, which begins a sweep.
 */
export interface EvaluationWatch<Context> {
  /** Name of what a step would be equipped with under the context; null for nothing, undefined while it is not known. */
  known(context: Context): string | null | undefined
  /** Begins to find out what `known` does not say yet. `before`: what the task's position names. Never throws. */
  find(context: Context, before: string | null): void
  /** Calls back whenever `known` may answer otherwise than before. Answers how to end that. */
  watch(listener: () => void): () => void
}

/** Joins a domain to the runtime. */
export interface Topology<Context> {
  /** Grows when the fold or its encoding changes; state of another version is rebuilt. */
  readonly foldVersion: number
  initialContext(): Context
  /** `sweep` says that every client has to be evaluated again. */
  foldControl(context: Context, record: LogRecord): Promise<{ context: Context; sweep: boolean }>
  /** Null until the programme is configured: no transaction is read before. */
  programmeOf(context: Context): Programme | null
  readonly evaluation: EvaluationWatch<Context>
  openTask(partition: number, store: StateStore): TaskLogic<Context>
}

/** Names of the topics a task works on. */
export interface TaskTopics {
  readonly input: string
  readonly control: string
  readonly rows: string
  readonly reclassifications: string
  readonly blocks: string
  readonly deadLetters: string
}
