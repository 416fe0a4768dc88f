import { once } from 'node:events'
import { join } from 'node:path'
import pg from 'pg'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { topicsOf } from '#schemas/topics.ts'
import { ingestCrashPoints, undoCrashPoints } from '#services/ingest/crash.ts'
import { UploadStore } from '#services/ingest/store/uploads.ts'
import { openPostgresLog } from '#streams/log/postgres/postgres-log.ts'
import { MemoryRegistry } from '../../support/memory-registry.ts'
import { type RunningPostgres, startPostgres } from '../../support/postgres.ts'
import { type TempDir, tempDir } from '../../support/temp-dir.ts'
import { startIngestProcess } from './support/stages.ts'
import { ended, newDatabase, prepareTopics, retailFile, startStream, upload } from './support/world.ts'

let postgres: RunningPostgres
let dir: TempDir
beforeAll(async () => {
  postgres = await startPostgres()
  dir = await tempDir('loyalty-ingest-crash-')
})
const closers: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close()
})
afterAll(async () => {
  await postgres.stop()
  await dir.remove()
})

/** A database with the log and the stream on it. `name`: of the directory of the uploads. */
async function opened(name: string) {
  const postgresUrl = await newDatabase(postgres.url)
  const topics = topicsOf('loyalty')
  const log = openPostgresLog({ url: postgresUrl })
  closers.push(() => log.close())
  const registry = new MemoryRegistry()
  await prepareTopics(log, registry, topics, 2)
  const worker = await startStream(log, registry, topics)
  closers.push(() => worker.close())
  const pool = new pg.Pool({ connectionString: postgresUrl })
  // The server is ended with connections open.
  pool.on('error', () => {})
  closers.push(() => pool.end())
  const options = { postgresUrl, dataDir: join(dir.path, name), prefix: 'loyalty' }
  const start = (crashAt: string | null = null) =>
    startIngestProcess({ closeLater: (close) => closers.push(close) }, { ...options, crashAt })
  return { log, topics, store: new UploadStore(pool), start }
}

test.each(ingestCrashPoints)('killed %s, the next start goes on and comes to the same', async (point) => {
  const { log, topics, store, start } = await opened(point)
  const first = await start(point)
  const exit = once(first.process, 'exit')
  const { status, body } = await upload(first.url, retailFile(4_500), 'online-retail', 'file.csv')
  expect(status).toBe(202)
  expect(await exit).toEqual([null, 'SIGKILL'])

  await start()
  const task = await ended(store, body.task_id, 60_000)
  expect(task).toMatchObject({ status: 'COMPLETED', batchId: body.batch_id })
  expect(task.report).toMatchObject({
    lines: 9_000,
    rows: { accepted: 9_000, rejected: 0 },
    accepted: 4_500,
    sales: 4_500,
    duplicates: 0,
    dead_letters: 0,
    clients: 10,
    buyers: 10,
    gross_minor: 1_968_750,
    as_of: '2011-10-27',
  })
  const published = await log.admin.endOffsets(topics.transactions)
  expect(published.reduce((sum, end) => sum + end, 0)).toBe(4_500)
  expect(await log.admin.endOffsets(topics.control)).toEqual([4])
})

test.each(undoCrashPoints)(
  'an undo killed %s goes on and comes to the same; so does the file afterwards',
  async (point) => {
    const { log, topics, store, start } = await opened(`undo-${point}`)
    const before = await start()
    const { body } = await upload(before.url, retailFile(4_500), 'online-retail', 'file.csv')
    await ended(store, body.task_id, 60_000)
    const stopped = once(before.process, 'exit')
    before.process.kill('SIGKILL')
    await stopped

    const first = await start(point)
    const exit = once(first.process, 'exit')
    const order = await fetch(`${first.url}/api/v1/management/data/uploads/${body.batch_id}/undo`, { method: 'POST' })
    expect(order.status).toBe(202)
    const { task_id: taskId } = (await order.json()) as { task_id: string }
    expect(await exit).toEqual([null, 'SIGKILL'])

    const second = await start()
    expect(await ended(store, taskId, 60_000)).toMatchObject({
      ...{ status: 'COMPLETED', kind: 'undo' },
      undo: { taken_back: 4_500, events: { accepted: 4_500, duplicates: 0, dead_letters: 0 }, buyers: 0 },
    })
    const published = await log.admin.endOffsets(topics.transactions)
    expect(published.reduce((sum, end) => sum + end, 0)).toBe(9_000)
    const again = await upload(second.url, retailFile(4_500), 'online-retail', 'file.csv')
    expect((await ended(store, again.body.task_id, 60_000)).report).toMatchObject({
      ...{ accepted: 4_500, duplicates: 0, dead_letters: 0, buyers: 10, gross_minor: 1_968_750, as_of: '2011-10-27' },
    })
  },
)
