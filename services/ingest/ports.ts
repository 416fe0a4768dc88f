import type { ReportCutPoints } from './report.ts'

/** What ingest asks of the stores that others fill. Wired with Postgres and ClickHouse adapters; fakes in tests. */

export interface ProjectionProgress {
  /**
   * Per output topic, the next offset of each partition that the slowest projection has still to apply. A topic or
   * partition that is missing has nothing applied yet.
   */
  applied(): Promise<ReadonlyMap<string, readonly number[]>>
}

export interface Calibrator {
  /**
   * Quintile cut-points over the clients with a counted purchase, as they stand in the projection, for recency as of a
   * day (days since 1970-01-01). Null where there is no such client.
   */
  calibrate(asOfDay: number, basis: 'net' | 'gross'): Promise<ReportCutPoints | null>
}

export interface ProgrammeFigures {
  /** Clients with a counted purchase, and how many of them each loyalty segment holds (every segment is named). */
  read(): Promise<{ readonly buyers: number; readonly segments: Readonly<Record<string, number>> }>
  /** Of each reference, whether that client has no such transaction; all that were projected are known. */
  unknown(references: readonly TransactionReference[]): Promise<readonly boolean[]>
}

export interface TransactionReference {
  readonly clientId: string
  readonly transactionId: string
}

/** A task of the stream processor, as its process tells of it. */
export interface StreamTask {
  readonly partition: number
  /** State of the task (`running`, `restoring`, …); `stopped` waits for a restart of its process. */
  readonly state: string
  /** Why it is stopped, where it is and the process says so. */
  readonly fault: { readonly code: string; readonly message: string } | null
}

export interface StreamStatus {
  /** Tasks of every processor that answers; null where none does. Never rejects. */
  tasks(signal: AbortSignal): Promise<readonly StreamTask[] | null>
}
