import { createHash } from 'node:crypto'
import { createReadStream, existsSync, openAsBlob } from 'node:fs'
import { basename } from 'node:path'
import { LoyaltyError } from '#streams/core/error.ts'
import type { ClientsReport } from '../ingest/clients/report.ts'
import type { ReadingWish } from '../ingest/reading.ts'
import type { UploadReport } from '../ingest/report.ts'
import type { Status } from '../ingest/store/uploads.ts'
import type { UndoReport } from '../ingest/undo/report.ts'
import { ask } from './ask.ts'
import { follow } from './follow.ts'
import { inOrder } from './report.ts'

/** Uploads over the API, as any other program would make them. */

/** Why a task stands still that goes on by itself once it can. */
export interface Waiting {
  readonly code: string
  readonly message: string
  /** ISO time. */
  readonly since: string
}

export interface TaskProgress {
  readonly percentage: number
  readonly phase: string
  /** Null while the task gets on. */
  readonly waiting: Waiting | null
}

interface TaskAnswer {
  readonly task_id: string
  readonly status: Status
  readonly progress_percentage: number
  readonly phase: string
  readonly report: UploadReport | null
  readonly clients_report: ClientsReport | null
  readonly undo: UndoReport | null
  readonly failure: { readonly code: string; readonly message: string } | null
  readonly waiting: Waiting | null
}

interface UploadAnswer {
  readonly associated_task_id: string
  readonly status: Status
  readonly content_sha256: string
  readonly undone_at: string | null
  readonly report: UploadReport | null
}

interface UploadAccepted {
  readonly task_id: string
  readonly batch_id: string
  readonly profile: string
  readonly profile_basis: 'given' | 'known' | 'variant' | 'content'
}

/**
 * Sends a file; resolves once it is stored, with the ids of its task and batch and the profile that it is read by. Errors:
 * `file_missing`, and those of ingestion.
 */
export async function sendFile(apiUrl: string, path: string, wish: ReadingWish) {
  if (!existsSync(path)) throw new LoyaltyError('file_missing', `there is no file ${path}`, { details: { path } })
  const form = new FormData()
  form.set('file', await openAsBlob(path), basename(path))
  const { currency, timeZone } = wish
  for (const [name, value] of Object.entries({ profile: wish.profile, currency, time_zone: timeZone }))
    if (value !== undefined) form.set(name, value)
  const answer = await ask<UploadAccepted>(`${apiUrl}/api/v1/management/data/upload`, { method: 'POST', body: form })
  const { task_id: taskId, batch_id: batchId, profile, profile_basis: basis } = answer
  return { taskId, batchId, profile, basis }
}

/**
 * Waits for the task of an upload to end, however long it stands still, and answers its report. Errors: the code under
 * which the task failed; `interrupted` (the task goes on).
 */
export function awaitTask(
  apiUrl: string,
  taskId: string,
  onProgress: (progress: TaskProgress) => void,
  signal: AbortSignal,
): Promise<UploadReport> {
  return awaitEnd(apiUrl, taskId, onProgress, signal, ({ report }) => (report === null ? undefined : inOrder(report)))
}

/** As `awaitTask`, of a file of either kind. */
export function awaitUpload(
  apiUrl: string,
  taskId: string,
  onProgress: (progress: TaskProgress) => void,
  signal: AbortSignal,
): Promise<UploadReport | ClientsReport> {
  return awaitEnd<UploadReport | ClientsReport>(apiUrl, taskId, onProgress, signal, ({ report, clients_report }) =>
    report === null ? (clients_report ?? undefined) : inOrder(report),
  )
}

/** As `awaitTask`, of an undo or a replacement. */
export function awaitUndo(
  apiUrl: string,
  taskId: string,
  onProgress: (progress: TaskProgress) => void,
  signal: AbortSignal,
): Promise<UndoReport> {
  return awaitEnd(apiUrl, taskId, onProgress, signal, ({ undo }) => undo ?? undefined)
}

function awaitEnd<Report>(
  apiUrl: string,
  taskId: string,
  onProgress: (progress: TaskProgress) => void,
  signal: AbortSignal,
  reportOf: (task: TaskAnswer) => Report | undefined,
): Promise<Report> {
  const ended = (task: TaskAnswer) => {
    if (task.status === 'FAILED')
      throw new LoyaltyError(task.failure?.code ?? 'upload_failed', task.failure?.message ?? 'the upload failed', {
        details: { taskId },
      })
    onProgress({ percentage: task.progress_percentage, phase: task.phase, waiting: task.waiting })
    return task.status === 'COMPLETED' ? reportOf(task) : undefined
  }
  return follow<TaskAnswer, Report>(`${apiUrl}/api/v1/management/tasks/${taskId}/status`, ended, signal)
}

/** The newest upload of exactly this file that did not fail and stands: its task, or null. */
export async function findUpload(apiUrl: string, path: string): Promise<string | null> {
  const hash = createHash('sha256')
  for await (const chunk of createReadStream(path)) hash.update(chunk)
  const sha256 = hash.digest('hex')
  const pageSize = 200
  for (let skip = 0; ; skip += pageSize) {
    const url = `${apiUrl}/api/v1/management/data/uploads?skip=${skip}&limit=${pageSize}`
    const { uploads } = await ask<{ uploads: UploadAnswer[] }>(url)
    const found = uploads.find(
      (upload) => upload.content_sha256 === sha256 && upload.status !== 'FAILED' && upload.undone_at === null,
    )
    if (found !== undefined) return found.associated_task_id
    if (uploads.length < pageSize) return null
  }
}
