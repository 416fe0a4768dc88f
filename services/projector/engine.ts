import type { Ownership, ProjectionRow } from './progress.ts'
import type { Batch, Range, Source } from './projection.ts'

/** Where a test may end the process; nothing else uses it. */
export type WritePoint = 'after-intent' | 'after-insert' | 'inside-swap'
export type WriteHook = (point: WritePoint, projection: string) => void

/** Reads ranges again, as one batch: the same ranges always make the same batch. */
export type Replay<B> = (ranges: readonly Range[]) => Promise<B>

/** What a view says against what its facts say. */
export interface Reconciliation {
  readonly projection: string
  /** Tables with more rows than identities: an insert was repeated outside its deduplication window. Reads with FINAL hold. */
  readonly duplicateRows: readonly { readonly table: string; readonly rows: number; readonly identities: number }[]
  /** Days on which a view differs from its facts. */
  readonly differences: readonly {
    readonly day: string
    readonly name: string
    readonly view: readonly number[]
    readonly facts: readonly number[]
  }[]
}

/**
 * A projection bound to a store: makes batches durable exactly once, and rebuilds the projection's tables beside. The
 * ownership says which tables are meant: those of the projection, or those of a rebuild (`<name>@next`).
 */
export interface Engine<B extends Batch> {
  readonly name: string
  readonly version: number
  readonly handles: readonly Source[]
  /** How long a batch may wait for more, and how many rows it may have. */
  readonly lingerMs: number
  /** The same where writing takes long. */
  readonly mostLingerMs: number
  readonly maxRows: number
  begin(): B
  /** Brings the store's schema up to date; harmless when repeated. */
  prepare(): Promise<void>
  /**
   * True while rows are there whose offsets may have been lost, as they are kept elsewhere: applied again from the start of
   * the log they would count twice.
   */
  holdsRows(): Promise<boolean>
  /** Settles what an owner before this one began, so that the stored offsets are the whole truth. */
  recover(owner: Ownership, replay: Replay<B>): Promise<void>
  /**
   * Writes a batch and moves the offsets over its ranges, once.
   *
   * Errors: `projection_fenced` (another owner; nothing moved), those of the store (the outcome is settled by `recover`).
   */
  apply(owner: Ownership, batch: B, ranges: readonly Range[]): Promise<void>
  /** Makes empty tables beside, dropping what an earlier rebuild left. */
  createNext(owner: Ownership): Promise<void>
  /** Puts the rebuilt tables in the place of the old ones, with their offsets. Nothing may be applied meanwhile. */
  swap(owner: Ownership): Promise<void>
  /** Goes on with a swap that broke off. */
  finishSwap(owner: Ownership, row: ProjectionRow): Promise<void>
  /** Compares views with facts; null where the projection has no views. */
  reconcile(): Promise<Reconciliation | null>
  /** Makes the views anew from the facts. Nothing may be applied meanwhile. */
  repairViews(): Promise<void>
}
