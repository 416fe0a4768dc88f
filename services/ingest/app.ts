import { ReadableStream } from 'node:stream/web'
import { OpenAPIHono, type z } from '@hono/zod-openapi'
import { LoyaltyError } from '#streams/core/error.ts'
import { equipServer, refuseInvalid, type ServerParts } from '../platform/http.ts'
import { acceptFile, discardFile, type IntakeDeps, storeFile } from './intake.ts'
import { preferredLanguage } from './language.ts'
import { readMultipart } from './multipart.ts'
import { addProfileRoutes, formFields, wishOf } from './profile-app.ts'
import { profileStatuses } from './profile-routes.ts'
import { getRejectedRows } from './rejected-routes.ts'
import { openJudged, rejectedCsv } from './rejected-rows.ts'
import { getTaskStatus, getUpload, listUploads, postUpload, type taskStatus, type upload } from './routes.ts'
import type { UndoStore } from './store/undos.ts'
import type { TaskView, UploadView } from './store/uploads.ts'
import { addUndoRoutes, undoStatuses } from './undo/app.ts'

export interface AppDeps extends IntakeDeps {
  readonly undos: UndoStore
  readonly server: ServerParts
  /** A task was written: the worker need not wait for its next look. */
  readonly onTask: () => void
}

/** HTTP status by error code, where it is not 500 (or 503 for what may pass). */
export const ingestStatuses: Readonly<Record<string, number>> = {
  upload_malformed: 400,
  file_missing: 400,
  file_empty: 400,
  file_unreadable: 400,
  file_not_text: 400,
  file_format_unsupported: 400,
  file_expands_too_much: 400,
  archive_not_single: 400,
  archive_unreadable: 400,
  encoding_unknown: 400,
  profile_unknown: 400,
  profile_needed: 400,
  profile_invalid: 400,
  columns_missing: 400,
  csv_row_too_long: 400,
  csv_unclosed_quote: 400,
  too_many_columns: 400,
  workbook_encrypted: 400,
  workbook_unreadable: 400,
  workbook_texts_too_large: 400,
  sheet_missing: 400,
  sheet_header_unclear: 400,
  sheet_row_too_long: 400,
  cell_too_long: 400,
  task_not_found: 404,
  source_not_found: 404,
  upload_not_found: 404,
  ...profileStatuses,
  verdicts_missing: 404,
  kept_elsewhere: 404,
  original_missing: 404,
  original_damaged: 409,
}

/** The HTTP side of ingestion. Test it with `app.request()`. */
export function createIngestApp(deps: AppDeps) {
  const app = new OpenAPIHono({ defaultHook: refuseInvalid })
  equipServer(app, { ...deps.server, statuses: { ...ingestStatuses, ...undoStatuses, ...deps.server.statuses } })

  // Not app.openapi: its validator would read the whole body into memory.
  app.post(postUpload.getRoutingPath(), async (c) => {
    const body = c.req.raw.body as ReadableStream | null
    const form = await readMultipart(c.req.header('content-type'), body, formFields, {
      store: (name, content) => storeFile(deps, name, content),
      discard: (file) => discardFile(deps, file),
    })
    if (form.file === null)
      throw new LoyaltyError('file_missing', 'the form has no file; send it in a part named "file"')
    const { taskId, batchId, profile, basis } = await acceptFile(deps, form.file, wishOf(form.fields))
    deps.onTask()
    const message = 'File uploaded successfully and is being processed.'
    return c.json({ task_id: taskId, batch_id: batchId, message, profile: profile.name, profile_basis: basis }, 202)
  })

  app.openapi(getTaskStatus, async (c) => {
    const { task_id: taskId } = c.req.valid('param')
    const task = await deps.store.task(taskId)
    if (task === null) throw new LoyaltyError('task_not_found', `there is no task ${taskId}`)
    return c.json(taskBody(task), 200)
  })

  app.openapi(listUploads, async (c) => {
    const { skip, limit } = c.req.valid('query')
    const { total, uploads } = await deps.store.list(skip, limit)
    return c.json({ total, uploads: uploads.map(uploadBody) }, 200)
  })

  app.openapi(getUpload, async (c) => {
    const { batch_id: batchId } = c.req.valid('param')
    const found = await deps.store.upload(batchId)
    if (found === null) throw new LoyaltyError('upload_not_found', `there is no upload ${batchId}`)
    return c.json(uploadBody(found), 200)
  })
  addProfileRoutes(app, deps)

  addUndoRoutes(app, deps)
  app.openapi(getRejectedRows, async (c) => {
    const { batch_id: batchId } = c.req.valid('param')
    const { lang, flags } = c.req.valid('query')
    const found = await deps.store.upload(batchId)
    if (found === null) throw new LoyaltyError('upload_not_found', `there is no upload ${batchId}`)
    const judged = await openJudged(deps.dataDir, found, flags === 'true', deps.originals)
    const language = lang ?? preferredLanguage(c.req.header('accept-language'))
    return c.body(bytesOf(rejectedCsv(judged, language)), 200, {
      'content-type': 'text/csv; charset=utf-8',
      'content-language': language,
      'content-disposition': `attachment; filename="rejected-${batchId}.csv"`,
      vary: 'accept-language',
    })
  })
  return app
}

/** Text as a body, made as it is read. */
function bytesOf(pieces: AsyncIterable<string>): globalThis.ReadableStream<Uint8Array> {
  return ReadableStream.from(pieces).pipeThrough(new TextEncoderStream()) as globalThis.ReadableStream<Uint8Array>
}

function taskBody(task: TaskView): z.input<typeof taskStatus> {
  const { waiting } = task
  const ended = task.status === 'COMPLETED' || task.status === 'FAILED'
  return {
    task_id: task.taskId,
    batch_id: task.batchId,
    kind: task.kind,
    status: task.status,
    progress_percentage: task.progressPercentage,
    phase: task.phase,
    ...(ended ? { result_url: `/api/v1/management/data/uploads/${task.batchId}` } : {}),
    report: task.report,
    clients_report: task.clientsReport,
    undo: task.undo,
    failure: task.errorCode === null ? null : { code: task.errorCode, message: task.errorMessage ?? '' },
    waiting: waiting && {
      code: waiting.code,
      message: waiting.message,
      details: waiting.details,
      since: iso(waiting.sinceMs),
    },
  }
}

/** An upload as it is answered, by the API and on the command line. */
export function uploadBody(found: UploadView): z.input<typeof upload> {
  return {
    batch_id: found.batchId,
    file_name: found.fileName,
    original_file_path: found.storedPath,
    uploaded_by_user_id: found.uploadedByUserId,
    upload_timestamp: iso(found.uploadedAtMs),
    status: found.status,
    processing_start_time: found.processingStartMs === null ? null : iso(found.processingStartMs),
    processing_end_time: found.processingEndMs === null ? null : iso(found.processingEndMs),
    total_rows: found.totalRows,
    processed_rows: found.processedRows,
    error_code: found.errorCode,
    error_message: found.errorMessage,
    associated_task_id: found.taskId,
    profile: found.profile,
    size_bytes: found.sizeBytes,
    content_sha256: found.sha256,
    report: found.report,
    clients_report: found.clientsReport,
    undone_at: found.undoneAtMs === null ? null : iso(found.undoneAtMs),
    undo_task_id: found.undoTaskId,
    undo_error: found.undoError,
  }
}

function iso(ms: number): string {
  return new Date(ms).toISOString()
}
