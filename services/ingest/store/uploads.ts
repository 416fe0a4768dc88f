import type { Pool, PoolClient } from 'pg'
import { LoyaltyError } from '#streams/core/error.ts'
import type { ClientsReport } from '../clients/report.ts'
import type { AnyProfile } from '../profile.ts'
import type { UploadReport } from '../report.ts'
import type { UndoReport } from '../undo/report.ts'
import type { Phase } from './phases.ts'
import {
  type Checkpoint,
  type NewUpload,
  reportsOf,
  type Status,
  type TaskKind,
  type TaskRow,
  type TaskView,
  taskOf,
  textOf,
  type UploadRow,
  type UploadTask,
  type UploadView,
  uploadOf,
  type Waiting,
} from './rows.ts'
import { inTransaction } from './transaction.ts'

export {
  type Checkpoint,
  type NewUpload,
  type Status,
  statuses,
  type TaskTrace,
  type TaskView,
  type UploadTask,
  type UploadView,
  type Waiting,
} from './rows.ts'

/** Upload batches and tasks in PostgreSQL, schema `ingest`. Only this program writes them. */

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
   * With `passingOver` the oldest of the other uploads, whose attempts are not counted: its turn comes later. None behind
   * an undo is among them, because that decides what the ids of its receipts are.
   */
  async claim(passingOver: readonly string[] = []): Promise<UploadTask | null> {
    return inTransaction(this.#pool, async (client) => {
      const claimed = await client.query<{ task_id: string }>(
        `update ingest.tasks set status = 'PROCESSING', attempts = attempts + $2,
           started_at = coalesce(started_at, current_timestamp)
         where task_id = (select task_id from ingest.tasks t
                          where status in ('PENDING', 'PROCESSING') and task_id <> all($1::uuid[])
                            and ($2 = 1 or (kind = 'upload' and not exists (
                              select from ingest.tasks b where b.kind <> 'upload' and b.status in ('PENDING', 'PROCESSING')
                                and (b.created_at, b.task_id) < (t.created_at, t.task_id))))
                          order by created_at, task_id limit 1 for update)
         returning task_id`,
        [passingOver, passingOver.length === 0 ? 1 : 0],
      )
      const taskId = claimed.rows[0]?.task_id
      if (taskId === undefined) return null
      const { rows } = await client.query<TaskRow>(
        `update ingest.data_upload_batches b
         set status = case when t.kind = 'upload' then 'PROCESSING' else b.status end,
           processing_start_time = coalesce(processing_start_time, current_timestamp)
         from ingest.tasks t where t.task_id = $1 and b.batch_id = t.batch_id
         returning t.task_id, t.kind, t.attempts, t.checkpoint, t.trace_id, t.correlation_id,
           (extract(epoch from clock_timestamp() - t.started_at) * 1000)::float8 as elapsed_ms, b.batch_id, b.file_name, b.original_file_path,
           b.profile, b.size_bytes, b.content_sha256, b.upload_timestamp`,
        [taskId],
      )
      return taskOf(rows[0]!)
    })
  }

  /** Ids of the tasks that have not ended, or may go on, and of their batches. */
  async openIds(): Promise<string[]> {
    const { rows } = await this.#pool.query<{ task_id: string; batch_id: string }>(
      `select task_id, batch_id from ingest.tasks
       where status in ('PENDING', 'PROCESSING') or (kind <> 'upload' and status = 'FAILED')`,
    )
    return rows.flatMap((row) => [row.task_id, row.batch_id])
  }

  /** Files of clients that are still stored though their uploads have ended: nothing needs them any more. */
  async endedClientFiles(): Promise<{ batchId: string; storedPath: string }[]> {
    const { rows } = await this.#pool.query<Pick<UploadRow, 'batch_id' | 'original_file_path'>>(
      `select batch_id, original_file_path from ingest.data_upload_batches
       where profile ->> 'kind' = 'clients' and status in ('COMPLETED', 'FAILED') and original_removed_at is null`,
    )
    return rows.map((row) => ({ batchId: row.batch_id, storedPath: row.original_file_path }))
  }

  /** Notes that the file of an upload is deleted; the time of the first note stays. */
  async originalRemoved(batchId: string): Promise<void> {
    await this.#pool.query(
      `update ingest.data_upload_batches set original_removed_at = coalesce(original_removed_at, current_timestamp)
       where batch_id = $1`,
      [batchId],
    )
  }

  /** False where the task is not worked on any more: it was cancelled. */
  async progress(taskId: string, phase: Phase, percentage: number): Promise<boolean> {
    const { rowCount } = await this.#pool.query(
      `update ingest.tasks set phase = $2, progress_percentage = greatest(progress_percentage, $3)
       where task_id = $1 and status = 'PROCESSING'`,
      [taskId, phase, percentage],
    )
    return rowCount === 1
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

  /** Once this is done an upload cannot be cancelled. Errors: `upload_cancelled`: it was before. */
  async saveCheckpoint(taskId: string, checkpoint: Checkpoint): Promise<void> {
    const { rowCount } = await this.#pool.query(
      `update ingest.tasks set checkpoint = $2 where task_id = $1 and status = 'PROCESSING'`,
      [taskId, JSON.stringify(checkpoint)],
    )
    if (rowCount !== 1) throw new LoyaltyError('upload_cancelled', 'the upload was cancelled; nothing was published')
  }

  async complete(task: UploadTask, report: UploadReport | ClientsReport | UndoReport): Promise<void> {
    await this.#finish(task, 'COMPLETED', 'done', { report, code: null, message: null })
  }

  async fail(task: UploadTask, code: string, message: string): Promise<void> {
    await this.#finish(task, 'FAILED', 'failed', { report: null, code, message })
  }

  async #finish(
    task: UploadTask,
    status: Status,
    phase: Phase,
    end: { report: UploadReport | ClientsReport | UndoReport | null; code: string | null; message: string | null },
  ): Promise<void> {
    await inTransaction(this.#pool, async (client) => {
      const { rowCount } = await client.query(
        `update ingest.tasks set status = $2::text, phase = $3, report = $4, error_code = $5, error_message = $6,
           progress_percentage = case when $2::text = 'COMPLETED' then 100 else progress_percentage end,
           finished_at = current_timestamp, waiting = null, waiting_since = null
         where task_id = $1 and status in ('PENDING', 'PROCESSING')`,
        [task.taskId, status, phase, end.report === null ? null : JSON.stringify(end.report), end.code, end.message],
      )
      // Somebody was faster: it was cancelled.
      if (rowCount === 0) return
      if (task.kind === 'undo' && status === 'COMPLETED')
        await client.query('update ingest.data_upload_batches set undone_at = current_timestamp where batch_id = $1', [
          task.batchId,
        ])
      if (task.kind !== 'upload') return
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
      kind: TaskKind
      status: Status
      phase: Phase
      progress_percentage: number
      report: UploadReport | ClientsReport | UndoReport | null
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
      kind: row.kind,
      status: row.status,
      phase: row.phase,
      progressPercentage: row.progress_percentage,
      ...reportsOf(row.kind === 'upload' ? (row.report as UploadReport | ClientsReport | null) : null),
      undo: row.kind === 'upload' ? null : (row.report as UndoReport | null),
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

  /** Uploads of transactions that have ended, in the order in which they came. */
  async ended(): Promise<{ batchId: string; fileName: string; uploadedAtMs: number }[]> {
    const { rows } = await this.#pool.query<Pick<UploadRow, 'batch_id' | 'file_name' | 'upload_timestamp'>>(
      `select batch_id, file_name, upload_timestamp from ingest.data_upload_batches
       where status in ('COMPLETED', 'FAILED') and profile->>'kind' is distinct from 'clients'
       order by upload_timestamp, batch_id`,
    )
    return rows.map((row) => ({
      batchId: row.batch_id,
      fileName: row.file_name,
      uploadedAtMs: row.upload_timestamp.getTime(),
    }))
  }

  /** The profile by which an upload was read; null where there is no such upload. */
  async profileOf(batchId: string): Promise<AnyProfile | null> {
    const { rows } = await this.#pool.query<{ profile: AnyProfile }>(
      'select profile from ingest.data_upload_batches where batch_id = $1',
      [batchId],
    )
    return rows[0]?.profile ?? null
  }

  async upload(batchId: string): Promise<UploadView | null> {
    const { rows } = await this.#pool.query<UploadRow>(`${selectUploads} where b.batch_id = $1`, [batchId])
    return rows[0] === undefined ? null : uploadOf(rows[0])
  }
}

const selectUploads = `select b.*, t.task_id, t.report, u.task_id as undo_task_id,
    u.error_code as undo_error_code, u.error_message as undo_error_message
  from ingest.data_upload_batches b join ingest.tasks t on t.batch_id = b.batch_id and t.kind = 'upload'
  left join ingest.tasks u on u.batch_id = b.batch_id and u.kind = 'undo'`
