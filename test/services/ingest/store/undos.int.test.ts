import { randomUUID } from 'node:crypto'
import pg from 'pg'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { loadProfile } from '#services/ingest/profile.ts'
import type { UploadReport } from '#services/ingest/report.ts'
import { UndoStore } from '#services/ingest/store/undos.ts'
import { UploadStore } from '#services/ingest/store/uploads.ts'
import type { UndoReport } from '#services/ingest/undo/report.ts'
import { migratePostgres } from '#services/platform/migrate.ts'
import { type RunningPostgres, startPostgres } from '../../../support/postgres.ts'
import { migrationsDirectory } from '../support/world.ts'

/** What the order of tasks, and their states, allow. */

let postgres: RunningPostgres
let pool: pg.Pool
let store: UploadStore
let undos: UndoStore

beforeAll(async () => {
  postgres = await startPostgres()
  pool = new pg.Pool({ connectionString: postgres.url })
  // The server is ended with connections open.
  pool.on('error', () => {})
  await migratePostgres(pool, { schema: 'ingest', directory: migrationsDirectory })
  store = new UploadStore(pool)
  undos = new UndoStore(pool)
})
beforeEach(() => pool.query('delete from ingest.data_upload_batches'))
afterAll(async () => {
  await pool.end()
  await postgres.stop()
})

async function created(): Promise<{ batchId: string; taskId: string }> {
  const [batchId, taskId] = [randomUUID(), randomUUID()]
  const file = { fileName: 'f.csv', storedPath: 'uploads/f.csv', sizeBytes: 1, sha256: '0'.repeat(64) }
  await store.create({ batchId, taskId, ...file, profile: loadProfile('online-retail'), trace: null })
  return { batchId, taskId }
}

const ends = { transactionsFrom: [0], acceptedFrom: [0] }

async function completed(): Promise<{ batchId: string; taskId: string }> {
  const upload = await created()
  const task = (await store.claim())!
  await store.saveCheckpoint(task.taskId, ends)
  await store.complete(task, {} as UploadReport)
  return upload
}

test('nothing behind an undo is got ready before its turn: it decides what ids are', async () => {
  const { batchId } = await completed()
  const before = await created()
  const undo = await undos.orderUndo(batchId, null)
  await created()
  const first = await created()
  await pool.query(`update ingest.tasks set created_at = current_timestamp - interval '1 day' where task_id = $1`, [
    first.taskId,
  ])
  expect(await store.claim()).toMatchObject({ taskId: first.taskId, kind: 'upload' })
  expect(await store.claim([first.taskId])).toMatchObject({ taskId: before.taskId })
  expect(await store.claim([first.taskId, before.taskId])).toBeNull()
  for (const taskId of [first.taskId, before.taskId])
    await pool.query(`update ingest.tasks set status = 'COMPLETED' where task_id = $1`, [taskId])
  expect(await store.claim()).toMatchObject({ taskId: undo.taskId, batchId, kind: 'undo' })
  expect(await store.upload(batchId)).toMatchObject({ status: 'COMPLETED', undoTaskId: undo.taskId, undoneAtMs: null })
  expect(await store.claim([undo.taskId])).toBeNull()
})

test('either an upload is cancelled, or it is published, never both', async () => {
  const cancelled = await created()
  const task = (await store.claim())!
  await undos.cancel(cancelled.batchId)
  await expect(store.saveCheckpoint(task.taskId, ends)).rejects.toMatchObject({ code: 'upload_cancelled' })
  expect(await store.progress(task.taskId, 'reading', 5)).toBe(false)
  await store.complete(task, {} as UploadReport)
  expect(await store.task(task.taskId)).toMatchObject({ status: 'FAILED', errorCode: 'upload_cancelled', report: null })
  expect(await undos.cancel(cancelled.batchId)).toEqual({ taskId: cancelled.taskId })

  const published = await created()
  await store.saveCheckpoint((await store.claim())!.taskId, ends)
  await expect(undos.cancel(published.batchId)).rejects.toMatchObject({ code: 'cancel_too_late' })
})

test('an undo that failed goes on when it is ordered again, from where it had begun', async () => {
  const { batchId } = await completed()
  const { taskId } = await undos.orderUndo(batchId, null)
  expect(await undos.orderUndo(batchId, null)).toEqual({ taskId, batchId, known: true })
  const task = (await store.claim())!
  await store.saveCheckpoint(taskId, { ...ends, undone: [] })
  await store.fail(task, 'internal_error', 'broke')
  expect(await store.upload(batchId)).toMatchObject({ status: 'COMPLETED', errorCode: null, undoneAtMs: null })
  expect(await undos.orderUndo(batchId, null)).toEqual({ taskId, batchId, known: false })
  const again = (await store.claim())!
  expect(again).toMatchObject({ taskId, attempts: 1, checkpoint: { ...ends, undone: [] } })
  await store.complete(again, {} as UndoReport)
  expect((await store.upload(batchId))!.undoneAtMs).toBeGreaterThan(0)
  expect(await undos.undoneBatches()).toEqual([batchId])
})
