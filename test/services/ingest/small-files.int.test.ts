import { afterAll, beforeAll, expect, test } from 'vitest'
import { topicsOf } from '#schemas/topics.ts'
import type { Log } from '#streams/log/log.ts'
import { openPostgresLog } from '#streams/log/postgres/postgres-log.ts'
import { MemoryRegistry } from '../../support/memory-registry.ts'
import { type RunningPostgres, startPostgres } from '../../support/postgres.ts'
import { type TempDir, tempDir } from '../../support/temp-dir.ts'
import { newDatabase, openIngest, prepareTopics, retailFile, startStream } from './support/world.ts'
import { xlsx } from './support/xlsx.ts'

/** Uploads that are over at once: the stream is through with them before anybody has begun to follow it. */

const topics = topicsOf('loyalty')
let postgres: RunningPostgres
let dir: TempDir
let log: Log
let ingest: Awaited<ReturnType<typeof openIngest>>
const closers: (() => Promise<unknown>)[] = []

beforeAll(async () => {
  postgres = await startPostgres()
  closers.push(() => postgres.stop())
  dir = await tempDir('loyalty-small-')
  closers.push(() => dir.remove())
  const database = await newDatabase(postgres.url)
  log = openPostgresLog({ url: database })
  closers.push(() => log.close())
  const registry = new MemoryRegistry()
  await prepareTopics(log, registry, topics, 2)
  ingest = await openIngest({ log, registry, postgresUrl: database, dataDir: dir.path })
  closers.push(() => ingest.close())
  const stream = await startStream(log, registry, topics)
  closers.push(() => stream.close())
})
afterAll(async () => {
  for (const close of closers.splice(0).reverse()) await close()
})

test('files of one receipt, one after the other: every report tells of its receipt, and the day moves with each', async () => {
  const reportOf = async (text: string) => {
    const task = await ingest.ended((await ingest.upload(text)).body.task_id)
    const { rows, accepted, sales, duplicates, clients, gross_minor, as_of } = task.report!
    return { rows, accepted, sales, duplicates, clients, gross_minor, as_of }
  }
  await reportOf(retailFile(30))
  const reports: unknown[] = []
  const expected: unknown[] = []
  for (let i = 0; i < 10; i++) {
    const day = `2011-03-${10 + i}`
    reports.push(await reportOf(`${retailFile(0)}${900 + i},A,Article,2,${day} 10:00:00,1.25,10${i}.0,UK\n`))
    const counts = { accepted: 1, sales: 1, duplicates: 0, clients: 1, gross_minor: 250 }
    expected.push({ rows: { accepted: 1, rejected: 0 }, ...counts, as_of: day })
  }
  expect(reports).toEqual(expected)
})

test('rows that came as CSV are the same transactions in a workbook, and its report says which sheet was read', async () => {
  await ingest.ended((await ingest.upload(retailFile(30))).body.task_id)
  const rows = `${retailFile(30)}950,A,Article,2,2011-03-20 10:00:00,1.25,100.0,UK`
    .split('\n')
    .map((line) => line.split(','))
  const workbook = new Blob([xlsx({ sheets: [{ name: 'Notes' }, { name: 'Sales', rows }] })])
  const { body } = await ingest.upload(workbook, 'online-retail', 'sales.xlsx')
  expect((await ingest.ended(body.task_id)).report).toMatchObject({
    lines: 61,
    accepted: 1,
    duplicates: 30,
    gross_minor: 250,
    input: { container: 'xlsx', sheet: { name: 'Sales', others: ['Notes'] } },
  })
  const served = await fetch(`${ingest.url}/api/v1/management/tasks/${body.task_id}/status`)
  expect(await served.json()).toMatchObject({ report: { input: { sheet: { name: 'Sales' } } } })
  const broken = await ingest.upload(workbook.slice(0, 2_000), 'online-retail', 'sales.xlsx')
  expect(broken).toMatchObject({ status: 400, body: { code: 'archive_unreadable' } })
})
