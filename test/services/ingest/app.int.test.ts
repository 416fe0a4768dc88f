import { readdir } from 'node:fs/promises'
import { connect } from 'node:net'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createIngestApp } from '#services/ingest/app.ts'
import { directoryOriginals } from '#services/ingest/originals/directory.ts'
import { loadProfile } from '#services/ingest/profile.ts'
import { ProfileBook } from '#services/ingest/profile-book.ts'
import type { ProposalContext } from '#services/ingest/proposal/proposal.ts'
import { ingestRoutes } from '#services/ingest/routes.ts'
import { ProfileStore } from '#services/ingest/store/profiles.ts'
import { UndoStore } from '#services/ingest/store/undos.ts'
import { UploadStore } from '#services/ingest/store/uploads.ts'
import { listen, type RunningServer } from '#services/platform/http.ts'
import { createLogger } from '#services/platform/logging.ts'
import { createMetrics } from '#services/platform/metrics.ts'
import { migratePostgres } from '#services/platform/migrate.ts'
import { eventually } from '../../support/eventually.ts'
import { type RunningPostgres, startPostgres } from '../../support/postgres.ts'
import { type TempDir, tempDir } from '../../support/temp-dir.ts'
import { migrationsDirectory, retailFile } from './support/world.ts'
import { xlsx } from './support/xlsx.ts'

let postgres: RunningPostgres
let dir: TempDir
let pool: pg.Pool
let store: UploadStore
let app: ReturnType<typeof createIngestApp>
let server: RunningServer
let woken = 0
const context: ProposalContext = { currency: null, timeZone: null }

beforeAll(async () => {
  postgres = await startPostgres()
  dir = await tempDir('loyalty-app-')
  pool = new pg.Pool({ connectionString: postgres.url })
  // The server is ended with connections open.
  pool.on('error', () => {})
  await migratePostgres(pool, { schema: 'ingest', directory: migrationsDirectory })
  store = new UploadStore(pool)
  app = createIngestApp({
    store,
    undos: new UndoStore(pool),
    profiles: new ProfileBook(new ProfileStore(pool)),
    context: async () => context,
    dataDir: dir.path,
    originals: directoryOriginals(dir.path),
    server: { logger: createLogger('ingest', 'silent'), metrics: createMetrics('ingest'), ready: () => [] },
    onTask: () => woken++,
  })
  server = await listen(app, { port: 0, bind: '127.0.0.1' })
})
afterAll(async () => {
  await server.close()
  await pool.end()
  await postgres.stop()
  await dir.remove()
})

const path = '/api/v1/management/data/upload'

function form(parts: Record<string, string | Blob>): FormData {
  const data = new FormData()
  for (const [name, value] of Object.entries(parts))
    if (typeof value === 'string') data.set(name, value)
    else data.set(name, value, 'C:\\tills\\März 2011.csv')
  return data
}

async function post(body: FormData | string | null, headers: Record<string, string> = {}) {
  const response = await app.request(path, { method: 'POST', body, headers })
  return { status: response.status, body: (await response.json()) as Record<string, unknown> }
}

const stored = async () => (await readdir(join(dir.path, 'uploads')).catch(() => [])).length

describe('POST upload', () => {
  test('stores the file, writes batch and task, wakes the worker and answers 202', async () => {
    const before = woken
    const file = new Blob([retailFile(3)])
    const { status, body } = await post(form({ file, profile: 'online-retail' }))
    expect([status, woken]).toEqual([202, before + 1])
    expect(body).toEqual({
      task_id: expect.any(String),
      batch_id: expect.any(String),
      message: 'File uploaded successfully and is being processed.',
      profile: 'online-retail',
      profile_basis: 'given',
    })
    const response = await app.request(`/api/v1/management/data/uploads/${body.batch_id}`)
    expect(await response.json()).toMatchObject({
      file_name: 'März 2011.csv',
      original_file_path: `uploads/${body.batch_id}.csv`,
      status: 'PENDING',
      associated_task_id: body.task_id,
      profile: 'online-retail',
      size_bytes: file.size,
      content_sha256: expect.stringMatching(/^[0-9a-f]{64}$/),
      total_rows: null,
      report: null,
    })
  })

  test('without a profile takes the one whose columns the file has, also of a compressed file, also named first', async () => {
    const data = new FormData()
    data.set('file', new Blob([new Uint8Array(gzipSync(retailFile(3)))]), 'sales.csv.gz')
    const { status, body } = await post(data)
    expect(status).toBe(202)
    expect(await store.upload(String(body.batch_id))).toMatchObject({
      profile: 'online-retail',
      storedPath: `uploads/${body.batch_id}.csv.gz`,
    })
  })

  test.each([
    ['no body', null, 'upload_malformed'],
    ['a form without file', form({ profile: 'online-retail' }), 'file_missing'],
    ['an unknown profile', form({ file: new Blob([retailFile(1)]), profile: 'nobody' }), 'profile_unknown'],
    [
      'a file that the profile does not fit',
      form({ file: new Blob(['a,b\n1,2\n']), profile: 'online-retail' }),
      'columns_missing',
    ],
    ['a file that no profile fits', form({ file: new Blob(['a,b\n1,2\n']) }), 'profile_needed'],
    [
      'a profile whose name holds U+0000',
      form({ file: new Blob([retailFile(1)]), profile: 'online-retail\0' }),
      'profile_unknown',
    ],
    ['an empty file', form({ file: new Blob([]), profile: 'online-retail' }), 'file_empty'],
    ['nothing but a header', form({ file: new Blob([retailFile(0)]), profile: 'online-retail' }), 'file_empty'],
    ['nothing but a header, of whatever profile', form({ file: new Blob([retailFile(0)]) }), 'file_empty'],
    ['a header without line break', form({ file: new Blob([retailFile(0).trim()]) }), 'file_empty'],
    [
      'bytes that are no text',
      form({ file: new Blob([new Uint8Array([0x49, 0xff, 0xfe])]), profile: 'online-retail' }),
      'file_unreadable',
    ],
    [
      'a workbook without its sheet',
      form({ file: new Blob([xlsx({ sheets: [{ rows: [['a']] }], parts: { 'xl/worksheets/sheet1.xml': null } })]) }),
      'workbook_unreadable',
    ],
  ])('%s is a 400 with a code, and nothing is kept', async (_, body, code) => {
    const before = await stored()
    const answer = await post(body)
    expect(answer.status).toBe(400)
    expect(answer.body).toEqual({
      error: 'Bad Request',
      message: expect.any(String),
      code,
      details: expect.any(Object),
      trace_id: expect.stringMatching(/^[0-9a-f]{32}$/),
    })
    expect(await stored()).toBe(before)
  })

  const retailProfile = new Blob([`\ufeff${JSON.stringify(loadProfile('online-retail'))}\n`])

  test('a profile may be sent as a file, before the file or after it', async () => {
    const file = new Blob([retailFile(3)])
    const profile = retailProfile
    for (const body of [form({ file, profile }), form({ profile, file })])
      expect(await post(body)).toMatchObject({
        status: 202,
        body: { profile: 'online-retail', profile_basis: 'given' },
      })
    const unknown = await post(form({ file, profile: new Blob(['nope']) }))
    expect(unknown).toMatchObject({ status: 400, body: { code: 'profile_unknown' } })
  })

  const twoFiles = form({ file: new Blob([retailFile(1)]) })
  twoFiles.append('file', new Blob([retailFile(2)]), 'more.csv')
  const twice = form({ file: new Blob([retailFile(1)]), profile: 'online-retail' })
  twice.append('profile', 'cdnow')
  const file = new Blob([retailFile(1)])

  test.each([
    ['a misspelt field', form({ file, profil: 'online-retail' }), 'profil'],
    ['a misspelt field before the file', form({ profil: 'online-retail', file }), 'profil'],
    ['a file of another name', form({ file, profil: retailProfile }), 'profil'],
    ['a second file', twoFiles, 'file'],
    ['a field that is there twice', twice, 'profile'],
    ['a field beyond its size', form({ file, profile: new Blob([' '.repeat(65_537)]) }), 'profile'],
  ])('%s is refused by name, and nothing is kept', async (_, body, part) => {
    const before = await stored()
    expect(await post(body)).toMatchObject({
      status: 400,
      body: {
        code: 'upload_malformed',
        details: { part, known: ['file', 'profile', 'currency', 'time_zone'] },
        message: expect.stringContaining(part),
      },
    })
    expect(await stored()).toBe(before)
  })

  test('a file name is kept without U+0000, whose text no store knows', async () => {
    const head =
      '--x\r\nContent-Disposition: form-data; name="file"; filename="a\0b.csv"\r\nContent-Type: text/csv\r\n\r\n'
    const answer = await post(`${head}${retailFile(1)}\r\n--x--\r\n`, {
      'content-type': 'multipart/form-data; boundary=x',
    })
    expect(answer.status).toBe(202)
    expect(await store.upload(String(answer.body.batch_id))).toMatchObject({ fileName: 'ab.csv' })
  })

  test('a body that is cut off is refused, and nothing is kept', async () => {
    const before = await stored()
    const head =
      '--x\r\nContent-Disposition: form-data; name="file"; filename="a.csv"\r\nContent-Type: text/csv\r\n\r\n'
    const answer = await post(`${head}${retailFile(10)}`, { 'content-type': 'multipart/form-data; boundary=x' })
    expect(answer).toMatchObject({ status: 400, body: { code: 'upload_malformed' } })
    expect(await stored()).toBe(before)
  })

  test('a connection that breaks in the middle leaves nothing behind', async () => {
    const before = await stored()
    const socket = connect(server.port, '127.0.0.1')
    socket.on('error', () => {})
    socket.write(
      `POST ${path} HTTP/1.1\r\nHost: x\r\nContent-Type: multipart/form-data; boundary=x\r\nContent-Length: 1000000\r\n\r\n` +
        `--x\r\nContent-Disposition: form-data; name="file"; filename="a.csv"\r\n\r\n${retailFile(100)}`,
    )
    await eventually(async () => (await stored()) === before + 1)
    socket.destroy()
    await eventually(async () => (await stored()) === before)
  })
})

describe('reading', () => {
  test('a task tells how far it is', async () => {
    const { body } = await post(form({ file: new Blob([retailFile(3)]), profile: 'online-retail' }))
    const response = await app.request(`/api/v1/management/tasks/${body.task_id}/status`)
    expect(await response.json()).toEqual({
      task_id: body.task_id,
      batch_id: body.batch_id,
      kind: 'upload',
      undo: null,
      status: 'PENDING',
      progress_percentage: 0,
      phase: 'queued',
      report: null,
      clients_report: null,
      failure: null,
      waiting: null,
    })
  })

  test.each([
    ['/api/v1/management/tasks/00000000-0000-4000-8000-000000000000/status', 404, 'task_not_found'],
    ['/api/v1/management/data/uploads/00000000-0000-4000-8000-000000000000', 404, 'upload_not_found'],
    ['/api/v1/management/tasks/17/status', 400, 'request_invalid'],
    ['/api/v1/management/data/uploads?limit=0', 400, 'request_invalid'],
  ])('%s is a %i', async (url, status, code) => {
    const response = await app.request(url)
    expect(response.status).toBe(status)
    expect(await response.json()).toMatchObject({ code })
  })

  test('uploads are listed newest first, by pages', async () => {
    const list = async (query: string) =>
      (await (await app.request(`/api/v1/management/data/uploads${query}`)).json()) as {
        total: number
        uploads: { batch_id: string; upload_timestamp: string }[]
      }
    const all = await list('')
    expect(all.total).toBe(all.uploads.length)
    expect(all.total).toBeGreaterThanOrEqual(3)
    const times = all.uploads.map((upload) => upload.upload_timestamp)
    expect(times).toEqual([...times].sort().reverse())
    expect((await list('?skip=1&limit=1')).uploads).toEqual([all.uploads[1]])
  })

  test('every route is described for the OpenAPI document', () => {
    expect(ingestRoutes.map((route) => `${route.method} ${route.path}`)).toEqual([
      'post /api/v1/transactions',
      'post /api/v1/clients/import',
      'post /api/v1/management/data/upload',
      'get /api/v1/management/tasks/{task_id}/status',
      'get /api/v1/management/data/uploads',
      'get /api/v1/management/data/uploads/{batch_id}',
      'post /api/v1/management/data/uploads/{batch_id}/undo',
      'post /api/v1/management/data/uploads/{batch_id}/replace-conflicts',
      'post /api/v1/management/data/uploads/{batch_id}/cancel',
      'get /api/v1/management/data/uploads/{batch_id}/undo/standing',
      'post /api/v1/management/data/preview',
      'get /api/v1/management/data/profiles',
      'get /api/v1/management/data/profiles/{name}',
      'put /api/v1/management/data/profiles/{name}',
      'delete /api/v1/management/data/profiles/{name}',
      'get /api/v1/management/dead-letters',
      'get /api/v1/management/dead-letters/groups',
      'post /api/v1/management/dead-letters/preview',
      'post /api/v1/management/dead-letters/replay',
      'post /api/v1/management/dead-letters/discard',
      'get /api/v1/management/dead-letters/actions',
      'get /api/v1/management/dead-letters/actions/{action_id}',
      'get /api/v1/management/dead-letters/{id}',
      'get /api/v1/management/data/uploads/{batch_id}/rejected',
      'get /api/v1/management/data/sources',
      'post /api/v1/management/data/sources/{name}/run',
    ])
  })
})

test('the schema goes back to nothing and forward again', async () => {
  const back = await migratePostgres(pool, { schema: 'ingest', directory: migrationsDirectory, target: 0 })
  expect(back.applied).toEqual([
    '-0010-original-removed',
    '-0009-sources',
    '-0008-dead-letters',
    '-0007-undo',
    '-0005-file-profiles',
    '-0004-trace',
    '-0003-waiting',
    '-0002-clock',
    '-0001-uploads',
  ])
  const { rows } = await pool.query(`select table_name from information_schema.tables where table_schema = 'ingest'`)
  expect(rows).toEqual([{ table_name: 'schema_migrations' }])
  expect((await migratePostgres(pool, { schema: 'ingest', directory: migrationsDirectory })).applied).toEqual([
    '0001-uploads',
    '0002-clock',
    '0003-waiting',
    '0004-trace',
    '0005-file-profiles',
    '0007-undo',
    '0008-dead-letters',
    '0009-sources',
    '0010-original-removed',
  ])
})
