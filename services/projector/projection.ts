import type { Events } from '#schemas/events.ts'
import type { Topics } from '#schemas/topics.ts'
import type { LogRecord } from '#streams/log/log.ts'

/** Topics that projections read, by their name in `Topics`. */
export type Source = 'clients' | 'clientState' | 'clientReclassified' | 'accepted' | 'uploads'

/** The events of those topics. */
export type ProjectedEvents = Pick<
  Events,
  'ClientProfileChanged' | 'ClientStateChanged' | 'ClientReclassified' | 'TransactionsAccepted' | 'UploadExamined'
>
export const projectedEvents = [
  'ClientProfileChanged',
  'ClientStateChanged',
  'ClientReclassified',
  'TransactionsAccepted',
  'UploadExamined',
] as const satisfies readonly (keyof ProjectedEvents)[]

/** A decoded record as a projection sees it; `event` null is a tombstone. */
export type Delivery = {
  readonly source: Source
  readonly partition: number
  readonly record: LogRecord
} & (
  | { readonly name: null; readonly event: null }
  | {
      [Name in keyof ProjectedEvents]: { readonly name: Name; readonly event: ProjectedEvents[Name] }
    }[keyof ProjectedEvents]
)

/** What a batch of records amounts to for one projection. Filled once, applied once or again after a crash. */
export interface Batch {
  /** Rows it will write: what bounds its size. */
  readonly rows: number
  /** True while the batch must not end here, because what comes next belongs to what was taken. */
  readonly open: boolean
  add(delivery: Delivery): void
}

/**
 * A projection is a value: what it is called, which version its tables have, what it reads, and how a batch becomes rows
 * of a target. Applying the same ranges to the same target a second time must not change the outcome; how that is
 * achieved (guards, tokens) is the target's business. A new version is rebuilt from the log.
 */
export interface Projection<Target, B extends Batch> {
  readonly name: string
  readonly version: number
  readonly handles: readonly Source[]
  /** Tables that a rebuild makes anew and swaps. */
  readonly tables: readonly string[]
  /** What must be there besides the migrated tables; harmless when repeated. */
  init(target: Target): Promise<void>
  begin(): B
  apply(batch: B, target: Target): Promise<void>
  truncate(target: Target): Promise<void>
}

/** Records of one partition with offsets in [from, to). */
export interface Range {
  readonly topic: string
  readonly partition: number
  readonly from: number
  readonly to: number
  /** Arrival of the last record, epoch milliseconds; null where the range holds marks only. */
  readonly recordMs: number | null
}

/** Topic names that a projection reads. */
export function topicsRead(projection: { readonly handles: readonly Source[] }, topics: Topics): string[] {
  return projection.handles.map((source) => topics[source])
}
