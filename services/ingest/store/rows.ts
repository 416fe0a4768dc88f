import { isOfClients } from '../clients/profile.ts'
import type { ClientsReport } from '../clients/report.ts'
import type { AnyProfile } from '../profile.ts'
import type { UploadReport } from '../report.ts'
import type { UndoReport } from '../undo/report.ts'
import type { Phase } from './phases.ts'

/** Uploads and their tasks as programs pass them on, and how the rows of the database become that. */

export const statuses = ['PENDING', 'PROCESSING', 'COMPLETED', 'FAILED'] as const
export type Status = (typeof statuses)[number]

/** What a task does with the upload that it is of: take it in, take it back, or put its other contents in force. */
export const taskKinds = ['upload', 'undo', 'replace'] as const
export type TaskKind = (typeof taskKinds)[number]

/** Written before anything is published, so that a resumed attempt knows where its own records begin. */
export interface Checkpoint {
  /** Ends of transactions and accepted, per partition, before the first record of this upload. */
  readonly transactionsFrom: readonly number[]
  readonly acceptedFrom: readonly number[]
  /** Of a file of clients: ends of their topic; the others are empty then. */
  readonly clientsFrom?: readonly number[]
  /** Ends of the dead letters then; missing in tasks of versions that did not say. */
  readonly lettersFrom?: readonly number[]
  /** The programme's day before this upload moved it, null for none; missing until it is this upload's turn to. */
  readonly dayBefore?: number | null
  /** Batches that were taken back before; of an undo or a replacement only. */
  readonly undone?: readonly string[]
  /** Of those: offsets of conflicting transactions, by partition, that somebody had discarded before. */
  readonly putAside?: readonly (readonly number[])[]
  /** Of those: true once the generations that it ends have ended, for every program. */
  readonly ended?: boolean
}

/** The request that a task was ordered by. */
export interface TaskTrace {
  /** 32 hex digits. */
  readonly traceId: string
  /** What the caller calls the matter; null where it did not say. */
  readonly correlationId: string | null
}

export interface NewUpload {
  readonly batchId: string
  readonly taskId: string
  readonly fileName: string
  /** Relative to the data directory. */
  readonly storedPath: string
  readonly profile: AnyProfile
  readonly sizeBytes: number
  readonly sha256: string
  /** Null where no request is known. */
  readonly trace: TaskTrace | null
}

/** A task as the worker takes it. */
export interface UploadTask extends NewUpload {
  readonly kind: TaskKind
  readonly uploadedAtMs: number
  readonly attempts: number
  /** How long ago work on it was first begun. */
  readonly elapsedMs: number
  readonly checkpoint: Checkpoint | null
}

/** What hinders a task that is under way and goes on by itself once it can. */
export interface Waiting {
  readonly code: string
  readonly message: string
  readonly details: Readonly<Record<string, unknown>>
}

export interface TaskView {
  readonly taskId: string
  readonly batchId: string
  readonly kind: TaskKind
  readonly status: Status
  readonly phase: Phase
  readonly progressPercentage: number
  /** Of a task of kind upload. */
  readonly report: UploadReport | null
  /** Of an upload of a file of clients, in its place. */
  readonly clientsReport: ClientsReport | null
  /** Of the others. */
  readonly undo: UndoReport | null
  readonly errorCode: string | null
  readonly errorMessage: string | null
  /** Null while the task gets on. */
  readonly waiting: (Waiting & { readonly sinceMs: number }) | null
}

export interface UploadView {
  readonly batchId: string
  readonly fileName: string
  /** Null where the file is kept no longer: one of clients that has ended. */
  readonly storedPath: string | null
  readonly uploadedByUserId: string | null
  readonly uploadedAtMs: number
  readonly status: Status
  readonly processingStartMs: number | null
  readonly processingEndMs: number | null
  readonly totalRows: number | null
  readonly processedRows: number | null
  readonly errorCode: string | null
  readonly errorMessage: string | null
  readonly taskId: string
  readonly profile: string
  readonly sizeBytes: number
  readonly sha256: string
  readonly report: UploadReport | null
  /** Of a file of clients, in its place. */
  readonly clientsReport: ClientsReport | null
  /** When it was taken back; null while it stands. */
  readonly undoneAtMs: number | null
  /** The task that takes it back or did; null where nobody asked. */
  readonly undoTaskId: string | null
  /** Why that task failed; null where it did not. It goes on when it is ordered again. */
  readonly undoError: { readonly code: string; readonly message: string } | null
}

/** As the database has them. */
export interface TaskRow {
  task_id: string
  batch_id: string
  kind: TaskKind
  file_name: string
  original_file_path: string
  profile: AnyProfile
  size_bytes: string
  content_sha256: string
  trace_id: string | null
  correlation_id: string | null
  upload_timestamp: Date
  attempts: number
  elapsed_ms: number
  checkpoint: Checkpoint | Record<string, never>
}

export interface UploadRow
  extends Omit<TaskRow, 'checkpoint' | 'elapsed_ms' | 'kind' | 'attempts' | 'trace_id' | 'correlation_id'> {
  uploaded_by_user_id: string | null
  status: Status
  processing_start_time: Date | null
  processing_end_time: Date | null
  total_rows: number | null
  processed_rows: number | null
  error_code: string | null
  error_message: string | null
  report: UploadReport | ClientsReport | null
  undone_at: Date | null
  undo_task_id: string | null
  undo_error_code: string | null
  undo_error_message: string | null
}

/** By name: of an error the message would be left out. */
export function textOf({ code, message, details }: Waiting): string {
  return JSON.stringify({ code, message, details })
}

export function taskOf(row: TaskRow): UploadTask {
  return {
    taskId: row.task_id,
    batchId: row.batch_id,
    kind: row.kind,
    fileName: row.file_name,
    storedPath: row.original_file_path,
    profile: row.profile,
    sizeBytes: Number(row.size_bytes),
    sha256: row.content_sha256,
    trace: row.trace_id === null ? null : { traceId: row.trace_id, correlationId: row.correlation_id },
    uploadedAtMs: row.upload_timestamp.getTime(),
    attempts: row.attempts,
    elapsedMs: row.elapsed_ms,
    checkpoint: checkpointOf(row.checkpoint),
  }
}

/** Null where nothing was written yet. */
export function checkpointOf(checkpoint: TaskRow['checkpoint']): Checkpoint | null {
  return 'acceptedFrom' in checkpoint ? (checkpoint as Checkpoint) : null
}

/** Each kind of report in its place. */
export function reportsOf(report: UploadReport | ClientsReport | null): {
  report: UploadReport | null
  clientsReport: ClientsReport | null
} {
  if (report !== null && 'kind' in report) return { report: null, clientsReport: report }
  return { report, clientsReport: null }
}

function hasEnded({ status }: UploadRow): boolean {
  return status === 'COMPLETED' || status === 'FAILED'
}

export function uploadOf(row: UploadRow): UploadView {
  return {
    batchId: row.batch_id,
    fileName: row.file_name,
    storedPath: hasEnded(row) && isOfClients(row.profile) ? null : row.original_file_path,
    uploadedByUserId: row.uploaded_by_user_id,
    uploadedAtMs: row.upload_timestamp.getTime(),
    status: row.status,
    processingStartMs: row.processing_start_time?.getTime() ?? null,
    processingEndMs: row.processing_end_time?.getTime() ?? null,
    totalRows: row.total_rows,
    processedRows: row.processed_rows,
    errorCode: row.error_code,
    errorMessage: row.error_message,
    taskId: row.task_id,
    profile: row.profile.name,
    sizeBytes: Number(row.size_bytes),
    sha256: row.content_sha256,
    ...reportsOf(row.report),
    undoneAtMs: row.undone_at?.getTime() ?? null,
    undoTaskId: row.undo_task_id,
    undoError:
      row.undo_error_code === null ? null : { code: row.undo_error_code, message: row.undo_error_message ?? '' },
  }
}
