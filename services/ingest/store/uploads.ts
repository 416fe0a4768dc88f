import type { Pool, PoolClient } from 'pg'
import type { FileProfile } from '../profile.ts'
import type { UploadReport } from '../report.ts'
import type { Phase } from './phases.ts'
import { inTransaction } from './transaction.ts'

/** Upload batches and tasks in PostgreSQL, schema `ingest`. Only this program writes them. */

export const statuses = ['PENDING', 'PROCESSING', 'COMPLETED', 'FAILED'] as const
export type Status = (typeof statuses)[number]

/** Written before anything is published, so that a resumed attempt knows where its own records begin. */
export interface Checkpoint {
  /** Ends of transactions and accepted, per partition, before the first record of this upload. */
  readonly transactionsFrom: readonly number[]
  readonly acceptedFrom: readonly number[]
  /** The programme's day before this upload moved it, null for none; missing until it is this upload's turn to. */
  readonly dayBefore?: number | null
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
  readonly profile: FileProfile
  readonly sizeBytes: number
  readonly sha256: string
  /** Null where no request is known. */
  readonly trace: TaskTrace | null
}

/** A task as the worker takes it. */
export interface UploadTask extends NewUpload {
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
  readonly status: Status
  readonly phase: Phase
  readonly progressPercentage: number
  readonly report: UploadReport | null
  readonly errorCode: string | null
  readonly errorMessage: string | null
  /** Null while the task gets on. */
  readonly waiting: (Waiting & { readonly sinceMs: number }) | null
}

export interface UploadView {
  readonly batchId: string
  readonly fileName: string
  readonly storedPath: string
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
}

interface TaskRow {
  task_id: string
  batch_id: string
  file_name: string
  original_file_path: string
  profile: FileProfile
  size_bytes: string
  content_sha256: string
  trace_id: string | null
  correlation_id: string | null
  upload_timestamp: Date
  attempts: number
  elapsed_ms: number
  checkpoint: Checkpoint | Record<string, never>
}

interface UploadRow extends Omit<TaskRow, 'checkpoint' | 'elapsed_ms' | 'attempts' | 'trace_id' | 'correlation_id'> {
  uploaded_by_user_id: string | null
  status: Status
  processing_start_time: Date | null
  processing_end_time: Date | null
  total_rows: number | null
  processed_rows: number | null
  error_code: string | null
  error_message: string | null
  report: UploadReport | null
}

export class UploadStore {
  readonly #pool: Pool

  constructor(pool: Pool) {
    this.#pool = pool
  }

  /** Batch and task at once, so that no stored file is without the task that works on it; and what `also` writes. */
  async create(upload: NewUpload, also?: (client: PoolClient) => Promise<void>): Promise<void> {
    await inTransaction(this.#pool, async (client) => {
      await client.query(
        `insert into ingest.data_upload_batches
           (batch_id, file_name, original_file_path, associated_task_id, profile, size_bytes, content_sha256)
         values ($1, $2, $3, $4, $5, $6, $7)`,
        [
          upload.batchId,
          upload.fileName,
          upload.storedPath,
          upload.taskId,
          JSON.stringify(upload.profile),
          upload.sizeBytes,
          upload.sha256,
        ],
      )
      await client.query(
        `insert into ingest.tasks (task_id, kind, batch_id, trace_id, correlation_id) values ($1, 'upload', $2, $3, $4)`,
        [upload.taskId, upload.batchId, upload.trace?.traceId, upload.trace?.correlationId],
      )
      await also?.(client)
    })
  }

  /**
   * The oldest task that is not ended, marked as being worked on; null where there is none. The caller holds the worker
   * lock, so a task that is already PROCESSING is one that a crash left behind, or that was got ready before its turn.
   * With `passingOver` the oldest of the others, whose attempts are not counted: its turn comes later.
   */
  async claim(passingOver: readonly string[] = []): Promise<UploadTask | null> {
    return inTransaction(this.#pool, async (client) => {
      const claimed = await client.query<{ task_id: string }>(
        `update ingest.tasks set status = 'PROCESSING', attempts = attempts + $2,
           started_at = coalesce(started_at, current_timestamp)
         where task_id = (select task_id from ingest.tasks
                          where status in ('PENDING', 'PROCESSING') and task_id <> all($1::uuid[])
                          order by created_at, task_id limit 1 for update)
         returning task_id`,
        [passingOver, passingOver.length === 0 ? 1 : 0],
      )
      const taskId = claimed.rows[0]?.task_id
      if (taskId === undefined) return null
      const { rows } = await client.query<TaskRow>(
        `update ingest.data_upload_batches b set status = 'PROCESSING',
           processing_start_time = coalesce(processing_start_time, current_timestamp)
         from ingest.tasks t where t.task_id = $1 and b.batch_id = t.batch_id
         returning t.task_id, t.attempts, t.checkpoint, t.trace_id, t.correlation_id,
           (extract(epoch from clock_timestamp() - t.started_at) * 1000)::float8 as elapsed_ms, b.batch_id, b.file_name, b.original_file_path,
           b.profile, b.size_bytes, b.content_sha256, b.upload_timestamp`,
        [taskId],
      )
      return taskOf(rows[0]!)
    })
  }

  /** Batches whose tasks have not ended. */
  async openBatches(): Promise<string[]> {
    const { rows } = await this.#pool.query<{ batch_id: string }>(
      `select batch_id from ingest.tasks where status in ('PENDING', 'PROCESSING')`,
    )
    return rows.map((row) => row.batch_id)
  }

  async progress(taskId: string, phase: Phase, percentage: number): Promise<void> {
    await this.#pool.query(
      `update ingest.tasks set phase = $2, progress_percentage = greatest(progress_percentage, $3)
       where task_id = $1 and status = 'PROCESSING'`,
      [taskId, phase, percentage],
    )
  }

  /** Says what a task waits for; null: for nothing any more. The same code again keeps the time since when. */
  async waiting(taskId: string, waiting: Waiting | null): Promise<void> {
    await this.#pool.query(
      `update ingest.tasks set waiting = $2::jsonb, waiting_since = case
           when $2::jsonb is null then null
           when waiting->>'code' = $2::jsonb->>'code' then waiting_since
           else current_timestamp end
       where task_id = $1 and status = 'PROCESSING'`,
      [taskId, waiting === null ? null : textOf(waiting)],
    )
  }

  async rowsRead(batchId: string, total: number, processed: number): Promise<void> {
    await this.#pool.query(
      'update ingest.data_upload_batches set total_rows = $2, processed_rows = $3 where batch_id = $1',
      [batchId, total, processed],
    )
  }

  async saveCheckpoint(taskId: string, checkpoint: Checkpoint): Promise<void> {
    await this.#pool.query('update ingest.tasks set checkpoint = $2 where task_id = $1', [
      taskId,
      JSON.stringify(checkpoint),
    ])
  }

  async complete(task: UploadTask, report: UploadReport): Promise<void> {
    await this.#finish(task, 'COMPLETED', 'done', { report, code: null, message: null })
  }

  async fail(task: UploadTask, code: string, message: string): Promise<void> {
    await this.#finish(task, 'FAILED', 'failed', { report: null, code, message })
  }

  async #finish(
    task: UploadTask,
    status: Status,
    phase: Phase,
    end: { report: UploadReport | null; code: string | null; message: string | null },
  ): Promise<void> {
    await inTransaction(this.#pool, async (client) => {
      await client.query(
        `update ingest.tasks set status = $2::text, phase = $3, report = $4, error_code = $5, error_message = $6,
           progress_percentage = case when $2::text = 'COMPLETED' then 100 else progress_percentage end,
           finished_at = current_timestamp, waiting = null, waiting_since = null
         where task_id = $1`,
        [task.taskId, status, phase, end.report === null ? null : JSON.stringify(end.report), end.code, end.message],
      )
      await client.query(
        `update ingest.data_upload_batches set status = $2, error_code = $3, error_message = $4,
           processing_end_time = current_timestamp where batch_id = $1`,
        [task.batchId, status, end.code, end.message],
      )
    })
  }

  async task(taskId: string): Promise<TaskView | null> {
    const { rows } = await this.#pool.query<{
      task_id: string
      batch_id: string
      status: Status
      phase: Phase
      progress_percentage: number
      report: UploadReport | null
      error_code: string | null
      error_message: string | null
      waiting: Waiting | null
      waiting_since: Date | null
    }>('select * from ingest.tasks where task_id = $1', [taskId])
    const row = rows[0]
    if (row === undefined) return null
    return {
      taskId: row.task_id,
      batchId: row.batch_id,
      status: row.status,
      phase: row.phase,
      progressPercentage: row.progress_percentage,
      report: row.report,
      errorCode: row.error_code,
      errorMessage: row.error_message,
      waiting: row.waiting && { ...row.waiting, sinceMs: row.waiting_since?.getTime() ?? 0 },
    }
  }

  /** Newest first. */
  async list(skip: number, limit: number): Promise<{ total: number; uploads: UploadView[] }> {
    const counted = await this.#pool.query<{ total: number }>(
      'select count(*)::int as total from ingest.data_upload_batches',
    )
    const { rows } = await this.#pool.query<UploadRow>(
      `${selectUploads} order by b.upload_timestamp desc, b.batch_id offset $1 limit $2`,
      [skip, limit],
    )
    return { total: counted.rows[0]!.total, uploads: rows.map(uploadOf) }
  }

  async upload(batchId: string): Promise<UploadView | null> {
    const { rows } = await this.#pool.query<UploadRow>(`${selectUploads} where b.batch_id = $1`, [batchId])
    return rows[0] === undefined ? null : uploadOf(rows[0])
  }
}

const selectUploads = `select b.*, t.task_id, t.report
  from ingest.data_upload_batches b join ingest.tasks t on t.batch_id = b.batch_id and t.kind = 'upload'`

/** By name: of an error the message would be left out. */
function textOf({ code, message, details }: Waiting): string {
  return JSON.stringify({ code, message, details })
}

function taskOf(row: TaskRow): UploadTask {
  return {
    taskId: row.task_id,
    batchId: row.batch_id,
    fileName: row.file_name,
    storedPath: row.original_file_path,
    profile: row.profile,
    sizeBytes: Number(row.size_bytes),
    sha256: row.content_sha256,
    trace: row.trace_id === null ? null : { traceId: row.trace_id, correlationId: row.correlation_id },
    uploadedAtMs: row.upload_timestamp.getTime(),
    attempts: row.attempts,
    elapsedMs: row.elapsed_ms,
    checkpoint: 'acceptedFrom' in row.checkpoint ? (row.checkpoint as Checkpoint) : null,
  }
}

function uploadOf(row: UploadRow): UploadView {
  return {
    batchId: row.batch_id,
    fileName: row.file_name,
    storedPath: row.original_file_path,
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
    report: row.report,
  }
}
