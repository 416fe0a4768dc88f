import { createReadStream } from 'node:fs'
import { stat } from 'node:fs/promises'
import { Readable } from 'node:stream'
import type { OpenAPIHono } from '@hono/zod-openapi'
import { LoyaltyError } from '#streams/core/error.ts'
import { removeEndedClientFiles } from '../clients/originals.ts'
import { traceOfRequest } from '../intake.ts'
import { keptElsewhere } from '../kept-elsewhere.ts'
import type { Originals } from '../originals/originals.ts'
import type { Ordered, UndoStore } from '../store/undos.ts'
import type { UploadStore } from '../store/uploads.ts'
import { standingPath } from './job.ts'
import { getStanding, postCancel, postReplaceConflicts, postUndo } from './routes.ts'

export interface UndoAppDeps {
  readonly store: UploadStore
  readonly undos: UndoStore
  readonly dataDir: string
  readonly originals: Pick<Originals, 'remove'>
  readonly onTask: () => void
}

/** HTTP status by error code. */
export const undoStatuses: Readonly<Record<string, number>> = {
  undo_not_found: 404,
  undo_of_undo: 409,
  undo_of_clients: 409,
  upload_not_ended: 409,
  nothing_to_undo: 409,
  upload_undone: 409,
  cancel_too_late: 409,
}

export function addUndoRoutes(app: OpenAPIHono, deps: UndoAppDeps): void {
  const { undos, onTask } = deps
  const answered = ({ taskId, batchId, known }: Ordered, message: string) => {
    if (!known) onTask()
    const told = known ? 'It was ordered before; the task says how far it is.' : message
    return [{ task_id: taskId, batch_id: batchId, message: told }, known ? 200 : 202] as const
  }

  app.openapi(postUndo, async (c) => {
    const order = await undos.orderUndo(c.req.valid('param').batch_id, traceOfRequest())
    return c.json(...answered(order, 'The upload is being taken back.'))
  })

  app.openapi(postReplaceConflicts, async (c) => {
    const order = await undos.orderReplacement(c.req.valid('param').batch_id, traceOfRequest())
    return c.json(...answered(order, 'Conflicting receipts are being replaced by those of the upload.'))
  })

  app.openapi(postCancel, async (c) => {
    const { batch_id: batchId } = c.req.valid('param')
    const { taskId } = await undos.cancel(batchId)
    // A cancelled file of clients is kept no longer than one that was taken in; a place that is away is looked at when the
    // program starts next.
    await removeEndedClientFiles(deps.originals, deps.store).catch(() => {})
    return c.json({ task_id: taskId, batch_id: batchId, message: 'The upload was cancelled.' }, 200)
  })

  app.openapi(getStanding, async (c) => {
    const { batch_id: batchId } = c.req.valid('param')
    const found = await deps.store.upload(batchId)
    if (found === null) throw new LoyaltyError('upload_not_found', `there is no upload ${batchId}`)
    const path = found.undoTaskId === null ? null : standingPath(deps.dataDir, found.undoTaskId)
    if (path === null || (await stat(path).catch(() => null)) === null)
      throw path !== null && found.undoneAtMs !== null
        ? keptElsewhere('transactions that stay', batchId, path)
        : new LoyaltyError('undo_not_found', 'the upload was not taken back, or the undo has not got so far')
    c.header('content-type', 'text/csv; charset=utf-8')
    c.header('content-disposition', `attachment; filename="standing-${batchId}.csv"`)
    return c.body(Readable.toWeb(createReadStream(path)) as ReadableStream)
  })
}
