import { chmod, mkdir, readdir, readFile, rename, rm, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import pg from 'pg'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { topicsOf } from '#schemas/topics.ts'
import { parseSources } from '#services/ingest/sources/config.ts'
import type { Log } from '#streams/log/log.ts'
import { openPostgresLog } from '#streams/log/postgres/postgres-log.ts'
import { eventually } from '../../../support/eventually.ts'
import { MemoryRegistry } from '../../../support/memory-registry.ts'
import { type RunningPostgres, startPostgres } from '../../../support/postgres.ts'
import { type TempDir, tempDir } from '../../../support/temp-dir.ts'
import { clientRows, newDatabase, openIngest, prepareTopics, retailFile, startStream } from '../support/world.ts'

const topics = topicsOf('loyalty')
let postgres: RunningPostgres
let dir: TempDir
let inbox: string
let database: string
let pool: pg.Pool
let log: Log
let registry: MemoryRegistry
const closers: (() => Promise<unknown>)[] = []

beforeAll(async () => {
  postgres = await startPostgres()
})
afterAll(() => postgres.stop())
beforeEach(async () => {
  dir = await tempDir('loyalty-sources-')
  inbox = join(dir.path, 'inbox')
  await mkdir(inbox)
  database = await newDatabase(postgres.url)
  pool = new pg.Pool({ connectionString: database, max: 2 })
  pool.on('error', () => {})
  closers.push(() => pool.end())
  log = openPostgresLog({ url: database })
  closers.push(() => log.close())
  registry = new MemoryRegistry()
  await prepareTopics(log, registry, topics, 2)
  const stream = await startStream(log, registry, topics)
  closers.push(() => stream.close())
})
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close()
  await dir.remove()
})

/** Modes of files mean nothing to root. */
async function asNobody(work: () => Promise<void>): Promise<void> {
  const root = process.geteuid!() === 0
  if (root) process.seteuid!(65_534)
  try {
    await work()
  } finally {
    if (root) process.seteuid!(0)
  }
}

const never = '0 0 1 1 *'
const folder = (changes: Record<string, unknown> = {}) => ({
  name: 'nightly',
  kind: 'folder',
  path: inbox,
  schedule: never,
  files: [{ pattern: '*.csv', profile: 'online-retail' }, { pattern: '*.txt' }],
  complete: { quiet_seconds: 0 },
  ...changes,
})

async function start(...sources: Record<string, unknown>[]) {
  const ingest = await openIngest({
    log,
    registry,
    postgresUrl: database,
    dataDir: dir.path,
    changes: { sources: parseSources(JSON.stringify(sources), () => undefined), settleSourcesMs: 50 },
  })
  let open = true
  const close = async () => {
    if (open) await ingest.close()
    open = false
  }
  closers.push(close)
  const sourcesUrl = `${ingest.url}/api/v1/management/data/sources`
  return {
    ...ingest,
    close,
    run: async (name: string) => {
      const response = await fetch(`${sourcesUrl}/${name}/run`, { method: 'POST' })
      return { status: response.status, body: await response.json() }
    },
    list: async () => ((await (await fetch(sourcesUrl)).json()) as { sources: Record<string, unknown>[] }).sources,
  }
}

const filesIn = async (path: string) => (await readdir(path).catch(() => [])).sort()
const processed = () => filesIn(join(inbox, 'processed'))
const failed = () => filesIn(join(inbox, 'failed'))
const uploads = async () =>
  (await pool.query('select file_name, status from ingest.data_upload_batches order by 1')).rows

describe('a folder', () => {
  test('gives each whole file once, and has it in processed when it has been taken in', async () => {
    const ingest = await start(folder())
    await writeFile(join(inbox, 'a.csv'), retailFile(5))
    await writeFile(join(inbox, 'b.csv'), retailFile(5, 1_000))
    await writeFile(join(inbox, 'notes.md'), 'not ours')
    expect(await ingest.run('nightly')).toEqual({ status: 200, body: { taken: ['a.csv', 'b.csv'], refused: [] } })
    expect((await ingest.run('nightly')).body).toEqual({ taken: [], refused: [] })
    await eventually(async () => (await processed()).length === 2, { timeoutMs: 20_000 })
    expect(await processed()).toEqual(['a.csv', 'b.csv'])
    expect(await filesIn(inbox)).toEqual(['notes.md', 'processed'])
    expect(await uploads()).toEqual([
      { file_name: 'a.csv', status: 'COMPLETED' },
      { file_name: 'b.csv', status: 'COMPLETED' },
    ])
    const rows = await clientRows(log, registry, topics)
    expect(rows.reduce((sum, row) => sum + row.transactions, 0)).toBe(10)
    expect(await ingest.list()).toMatchObject([{ name: 'nightly', kind: 'folder', error: null, open_files: [] }])

    // The next one of the same name is another file.
    await writeFile(join(inbox, 'a.csv'), retailFile(5, 2_000))
    await ingest.run('nightly')
    await eventually(async () => (await processed()).length === 3, { timeoutMs: 20_000 })
    expect(await processed()).toEqual(['a.csv', 'a.csv.2', 'b.csv'])
  }, 60_000)

  test('leaves a file alone until nothing has changed it for a while', async () => {
    const ingest = await start(folder({ complete: { quiet_seconds: 3_600 } }))
    await writeFile(join(inbox, 'a.csv'), retailFile(5))
    // Copied with the time of its original: only the time of the change of the file itself tells.
    await utimes(join(inbox, 'a.csv'), new Date(0), new Date(0))
    expect((await ingest.run('nightly')).body).toEqual({ taken: [], refused: [] })
  })

  test('waits for the marker where its rule is one', async () => {
    const ingest = await start(folder({ complete: { marker: '.done' } }))
    await writeFile(join(inbox, 'a.csv'), retailFile(5))
    expect((await ingest.run('nightly')).body).toEqual({ taken: [], refused: [] })
    await writeFile(join(inbox, 'a.csv.done'), '')
    expect((await ingest.run('nightly')).body).toEqual({ taken: ['a.csv'], refused: [] })
    await eventually(async () => (await processed()).length === 1, { timeoutMs: 20_000 })
    expect(await filesIn(inbox)).toEqual(['processed'])
  }, 40_000)

  test('has what is refused, or fails, in failed with the reason beside it; the others go on', async () => {
    const ingest = await start(folder())
    await writeFile(join(inbox, 'a.csv'), 'x,y\n1,2\n')
    await writeFile(join(inbox, 'b.csv'), `${retailFile(3)}"unclosed`)
    await writeFile(join(inbox, 'c.csv'), retailFile(5))
    expect((await ingest.run('nightly')).body).toEqual({ taken: ['b.csv', 'c.csv'], refused: ['a.csv'] })
    await eventually(async () => (await processed()).length === 1 && (await failed()).length === 4, {
      timeoutMs: 20_000,
    })
    expect(await failed()).toEqual(['a.csv', 'a.csv.error.json', 'b.csv', 'b.csv.error.json'])
    const reason = async (name: string) =>
      JSON.parse(await readFile(join(inbox, 'failed', `${name}.error.json`), 'utf8'))
    expect(await reason('a.csv')).toMatchObject({ code: 'columns_missing', message: expect.stringMatching(/\w/) })
    expect(await reason('b.csv')).toMatchObject({ code: 'csv_unclosed_quote' })
    expect(await ingest.list()).toMatchObject([{ error: { code: 'columns_missing' } }])
  }, 40_000)

  test('that is away is told, and looked through again when it is back', async () => {
    await rename(inbox, `${inbox}-away`)
    const ingest = await start(folder())
    expect(await ingest.run('nightly')).toMatchObject({ status: 503, body: { code: 'source_unavailable' } })
    expect(await ingest.list()).toMatchObject([{ error: { code: 'source_unavailable' } }])
    await rename(`${inbox}-away`, inbox)
    expect((await ingest.run('nightly')).status).toBe(200)
    expect(await ingest.list()).toMatchObject([{ error: null }])
    expect(await ingest.run('other')).toMatchObject({ status: 404, body: { code: 'source_not_found' } })
  })

  test('whose place a file has, or the place of its sub-folders, is told, and nothing is taken twice', async () => {
    const ingest = await start(folder({ path: join(inbox, 'a.csv') }), folder({ name: 'writeless' }))
    await writeFile(join(inbox, 'a.csv'), retailFile(5))
    expect(await ingest.run('nightly')).toMatchObject({ status: 503, body: { code: 'source_unavailable' } })
    await writeFile(join(inbox, 'processed'), 'in the way')
    expect((await ingest.run('writeless')).body).toEqual({ taken: ['a.csv'], refused: [] })
    await eventually(async () => (await uploads())[0]?.status === 'COMPLETED', { timeoutMs: 20_000 })
    // The program itself may be at it, to put the file away.
    const refused = await eventually(async () => {
      const answer = await ingest.run('writeless')
      return (answer.body as { code?: string }).code !== 'source_busy' && answer
    })
    expect(refused).toMatchObject({ status: 503, body: { code: 'source_unavailable' } })
    expect(await ingest.list()).toMatchObject([{}, { error: { message: expect.stringMatching(/EEXIST|ENOTDIR/) } }])
    await rm(join(inbox, 'processed'))
    expect((await ingest.run('writeless')).body).toEqual({ taken: [], refused: [] })
    expect(await processed()).toEqual(['a.csv'])
    expect(await uploads()).toHaveLength(1)
  }, 40_000)

  test('with a file that may not be read is looked through all the same; that one stays, and is taken later', async () => {
    const ingest = await start(folder())
    for (const name of ['a.csv', 'b.csv']) await writeFile(join(inbox, name), retailFile(5))
    await chmod(join(inbox, 'a.csv'), 0o200)
    for (const path of [dir.path, inbox, join(inbox, 'b.csv')]) await chmod(path, 0o777)
    await asNobody(async () => {
      expect((await ingest.run('nightly')).body).toEqual({ taken: ['b.csv'], refused: ['a.csv'] })
      expect(await ingest.list()).toMatchObject([{ error: { code: 'source_file_unreadable' } }])
      await eventually(async () => (await processed()).length === 1, { timeoutMs: 20_000 })
    })
    await chmod(join(inbox, 'a.csv'), 0o644)
    expect((await ingest.run('nightly')).body).toEqual({ taken: ['a.csv'], refused: [] })
  }, 40_000)

  test('is looked through by its schedule, and what a stopped program took is put away by the next', async () => {
    const first = await start(folder({ schedule: '* * * * * *' }))
    await writeFile(join(inbox, 'a.csv'), retailFile(2_000))
    await eventually(async () => (await uploads()).length === 1, { timeoutMs: 20_000 })
    await first.close()
    await start(folder())
    await eventually(async () => (await processed()).length === 1, { timeoutMs: 30_000 })
    expect(await uploads()).toEqual([{ file_name: 'a.csv', status: 'COMPLETED' }])
  }, 60_000)
})

test('a query gives what is behind its watermark, and nothing twice', async () => {
  await pool.query(`create table receipts (id bigserial primary key, "InvoiceNo" text, "StockCode" text, "Description" text,
    "Quantity" int, "InvoiceDate" timestamp, "UnitPrice" numeric(10,2), "CustomerID" text, "Country" text)`)
  const add = (from: number, count: number) =>
    pool.query(
      `insert into receipts ("InvoiceNo", "StockCode", "Description", "Quantity", "InvoiceDate", "UnitPrice", "CustomerID", "Country")
       select (600000 + n)::text, 'A1', 'Tea, "green"', 2, timestamp '2011-03-01 12:30' + n * interval '1 minute', 1.25,
         (12000 + n % 7)::text, 'United Kingdom' from generate_series($1::int, $2::int) n`,
      [from, from + count - 1],
    )
  await add(1, 12)
  const query = 'select * from receipts where id > $1 order by id'
  const source = { name: 'tills', kind: 'postgres', url: database, query, profile: 'online-retail', schedule: never }
  const ingest = await start({ ...source, watermark: { column: 'id', initial: '0' } })
  expect((await ingest.run('tills')).body).toMatchObject({ taken: [expect.stringMatching(/^tills-.*\.csv$/)] })
  expect((await ingest.run('tills')).body).toEqual({ taken: [], refused: [] })
  expect(await ingest.list()).toMatchObject([{ watermark: '12', error: null }])
  await add(13, 3)
  expect((await ingest.run('tills')).body).toMatchObject({ taken: [expect.any(String)] })
  await eventually(async () => (await ingest.list())[0]!.open_files?.toString() === '', { timeoutMs: 20_000 })
  expect(await uploads()).toMatchObject([{ status: 'COMPLETED' }, { status: 'COMPLETED' }])
  const rows = await clientRows(log, registry, topics)
  expect(rows.reduce((sum, row) => sum + row.transactions, 0)).toBe(15)
  expect(rows.reduce((sum, row) => sum + row.monetary_gross_minor, 0)).toBe(15 * 250)
  expect(await ingest.list()).toMatchObject([{ watermark: '15' }])

  const wrong = await start({ ...source, name: 'wrong', watermark: { column: 'gone', initial: '0' } })
  expect(await wrong.run('wrong')).toMatchObject({
    status: 503,
    body: { code: 'source_unavailable', message: expect.stringContaining('gone') },
  })
}, 60_000)
