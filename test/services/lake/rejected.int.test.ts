import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { directoryOriginals } from '#services/ingest/originals/directory.ts'
import { directoryStore } from '#services/lake/directory-store.ts'
import { readUpload } from '#services/lake/manifest.ts'
import { readParquet } from '#services/lake/parquet.ts'
import { RejectedArchive } from '#services/lake/rejected.ts'
import { verifyLake } from '#services/lake/verify.ts'
import { rejectedSource } from '#services/wiring/lake.ts'
import { MemoryLog } from '../../support/memory-log.ts'
import { MemoryRegistry } from '../../support/memory-registry.ts'
import { startPostgres } from '../../support/postgres.ts'
import { tempDir } from '../../support/temp-dir.ts'
import { newDatabase, openIngest, prepareTopics, retailFile, startStream, testNowMs } from '../ingest/support/world.ts'
import { archiveAll, topics } from './support/world.ts'

const closers: (() => Promise<unknown>)[] = []
let open: { ingest: Awaited<ReturnType<typeof openIngest>>; dataDir: string; log: MemoryLog; registry: MemoryRegistry }

beforeAll(async () => {
  const postgres = await startPostgres()
  closers.push(() => postgres.stop())
  const dir = await tempDir('loyalty-lake-')
  closers.push(() => dir.remove())
  const [log, registry, dataDir] = [
    new MemoryLog({ nowMs: () => testNowMs }),
    new MemoryRegistry(),
    join(dir.path, 'data'),
  ]
  await prepareTopics(log, registry, topics, 2)
  const stream = await startStream(log, registry, topics)
  closers.push(() => stream.close())
  const ingest = await openIngest({ log, registry, postgresUrl: await newDatabase(postgres.url), dataDir })
  closers.push(() => ingest.close())
  open = { ingest, dataDir, log, registry }
})
afterAll(async () => {
  for (const close of closers.splice(0).reverse()) await close()
})

test('rejected rows of uploads are in the lake once, with the cells that their profile reads, and no others', async () => {
  const { ingest, dataDir, log, registry } = open
  const [header, first, second, ...others] = retailFile(5).trim().split('\n')
  const mailed = [
    `${header},Mail`,
    `${first!.replace(/1\.25,\d+\.0/, '1.25,')},ada@example.org`,
    `${second!.replace('1.25', 'x')},bob@example.org`,
    ...others.map((line) => `${line},eve@example.org`),
  ]
  const { body } = await ingest.upload(`${mailed.join('\n')}\n`, 'online-retail', 'mailed.csv')
  expect(await ingest.ended(body.task_id)).toMatchObject({
    status: 'COMPLETED',
  })
  const bad = await ingest.upload(`${header}\n${first}\n"unclosed,1\n`, 'online-retail', 'bad.csv')
  expect(await ingest.ended(bad.body.task_id)).toMatchObject({ status: 'FAILED' })

  const store = directoryStore(join(dataDir, '../lake'))
  await archiveAll({ log, registry, store })
  const counts: number[] = []
  const archive = () =>
    new RejectedArchive(store, rejectedSource(ingest.pool, dataDir, directoryOriginals(dataDir)), 0, (rows) =>
      counts.push(rows),
    ).look(true, () => true)
  await archive()
  await archive()
  expect(counts).toEqual([2, 0])
  expect(await readUpload(store, bad.body.batch_id)).toMatchObject({ rows: 0, missing: 'verdicts_missing', files: [] })
  const entry = await readUpload(store, body.batch_id)
  expect(entry).toMatchObject({ file_name: 'mailed.csv', rows: 2, withheld_columns: ['Mail'], missing: null })
  const content = (await store.get(entry!.files[0]!.path))!
  const columns = ['upload_id', 'row', 'reason', 'field', 'value', 'cells']
  const rows = (await Array.fromAsync(readParquet(content, columns))).flat()
  expect(rows.map(({ row, reason, field, value }) => [Number(row), reason, field, value])).toEqual([
    [1, 'missing_client', 'client', ''],
    [2, 'bad_amount', 'unit_price', 'x'],
  ])
  expect(JSON.parse(rows[1]!.cells as string)).toMatchObject({ InvoiceNo: '1', UnitPrice: 'x', CustomerID: '100.0' })
  expect(JSON.stringify(rows.map(({ cells }) => cells))).not.toContain('example.org')
  expect(await verifyLake(store, () => {})).toMatchObject({
    faults: [],
    unaccounted: { ranges: [], files: [] },
    rows: { rejected_row: 2 },
  })
})
