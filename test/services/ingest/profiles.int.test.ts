import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import pg from 'pg'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { createIngestApp } from '#services/ingest/app.ts'
import { directoryOriginals } from '#services/ingest/originals/directory.ts'
import type { FilePreview } from '#services/ingest/preview.ts'
import { listProfiles, loadProfile } from '#services/ingest/profile.ts'
import { ProfileBook } from '#services/ingest/profile-book.ts'
import type { ProposalContext } from '#services/ingest/proposal/proposal.ts'
import { ProfileStore } from '#services/ingest/store/profiles.ts'
import { UndoStore } from '#services/ingest/store/undos.ts'
import { UploadStore } from '#services/ingest/store/uploads.ts'
import { createLogger } from '#services/platform/logging.ts'
import { createMetrics } from '#services/platform/metrics.ts'
import { migratePostgres } from '#services/platform/migrate.ts'
import { type RunningPostgres, startPostgres } from '../../support/postgres.ts'
import { type TempDir, tempDir } from '../../support/temp-dir.ts'
import { encoded } from './support/bytes.ts'
import { lineHeader, lineProfile } from './support/prepare.ts'
import { migrationsDirectory, retailFile } from './support/world.ts'

let postgres: RunningPostgres
let dir: TempDir
let pool: pg.Pool
let store: UploadStore
let app: ReturnType<typeof createIngestApp>
let context: ProposalContext

beforeAll(async () => {
  postgres = await startPostgres()
  dir = await tempDir('loyalty-profiles-')
  pool = new pg.Pool({ connectionString: postgres.url })
  // The server is ended with connections open.
  pool.on('error', () => {})
  await migratePostgres(pool, { schema: 'ingest', directory: migrationsDirectory })
  store = new UploadStore(pool)
  app = createIngestApp({
    undos: new UndoStore(pool),
    store,
    profiles: new ProfileBook(new ProfileStore(pool)),
    context: async () => context,
    dataDir: dir.path,
    originals: directoryOriginals(dir.path),
    server: { logger: createLogger('ingest', 'silent'), metrics: createMetrics('ingest'), ready: () => [] },
    onTask: () => {},
  })
})
afterAll(async () => {
  await pool.end()
  await postgres.stop()
  await dir.remove()
})
beforeEach(async () => {
  context = { currency: 'RUB', timeZone: 'Europe/Moscow' }
  await pool.query('delete from ingest.file_profiles')
})

const base = '/api/v1/management/data'

interface Answer<Body> {
  readonly status: number
  readonly body: Body
}

async function send<Body = { code: string; details: Record<string, unknown> }>(
  path: string,
  init: RequestInit = {},
): Promise<Answer<Body>> {
  const response = await app.request(`${base}${path}`, init)
  const text = await response.text()
  return { status: response.status, body: (text === '' ? null : JSON.parse(text)) as Body }
}

function post<Body = { code: string; details: Record<string, unknown> }>(
  path: string,
  content: string | Uint8Array,
  fields: Record<string, string> = {},
): Promise<Answer<Body>> {
  const form = new FormData()
  for (const [name, value] of Object.entries(fields)) form.set(name, value)
  form.set('file', new Blob([content as Uint8Array<ArrayBuffer>]), 'sales.csv')
  return send(path, { method: 'POST', body: form })
}

const put = (name: string, profile: unknown) =>
  send(`/profiles/${name}`, {
    method: 'PUT',
    body: JSON.stringify(profile),
    headers: { 'content-type': 'application/json' },
  })

const russian = encoded(
  [
    'Дата;Номер чека;Карта клиента;Сумма',
    '01.03.2024 10:15;1001;7;1 250,50',
    '13.03.2024 10:20;1002;8;340,00',
    '14.03.2024 10:20;1003;;340,00',
    '15.03.2024 10:20;1004;8;-40,00',
  ].join('\r\n'),
  'windows-1251',
)

describe('a preview', () => {
  test('shows mapping, first verdicts and totals of a file that nobody described, and keeps nothing', async () => {
    const before = await store.list(0, 1)
    const { status, body } = await post<FilePreview>('/preview', russian)
    expect(status).toBe(200)
    expect(body).toMatchObject({
      basis: 'content',
      known: null,
      good_enough: true,
      confirm: [],
      input: { encoding: 'windows-1251', delimiter: ';' },
      totals: {
        lines: 4,
        rows: { accepted: 3, rejected: 1 },
        rejected: { missing_client: 1 },
        transactions: 3,
        sales: 2,
        refunds: 1,
        clients: 2,
        gross_minor: 159_050,
        refunded_minor: 4_000,
        currency: 'RUB',
      },
    })
    expect(body.columns.map(({ field, examples }) => [field, examples[0]])).toEqual([
      ['occurred_at', '01.03.2024 10:15'],
      ['receipt_number', '1001'],
      ['client', '7'],
      ['amount', '1 250,50'],
    ])
    expect(body.verdicts).toEqual([
      {
        row: 3,
        code: 'missing_client',
        field: 'client',
        value: '',
        sentence: expect.objectContaining({ ru: expect.any(String) }),
      },
    ])
    expect((await store.list(0, 1)).total).toBe(before.total)
    expect(await readdir(join(dir.path, 'spill'))).toEqual([])
    expect(await readdir(join(dir.path, 'uploads')).catch(() => [])).toEqual([])
  })

  test('says what is missing where the profile cannot be completed, and takes it from the form', async () => {
    context = { currency: null, timeZone: null }
    const open = await post<FilePreview>('/preview', russian)
    expect(open).toMatchObject({ status: 200, body: { good_enough: false, totals: null, verdicts: [] } })
    expect(open.body.confirm.map(({ field }) => field).sort()).toEqual(['currency', 'time_zone'])
    const said = await post<FilePreview>('/preview', russian, { currency: 'KZT', time_zone: 'Asia/Almaty' })
    expect(said.body).toMatchObject({ good_enough: true, totals: { currency: 'KZT', transactions: 3 } })
  })

  test('by a given profile, named or as JSON, counts what an upload would', async () => {
    const named = await post<FilePreview>('/preview', retailFile(300), { profile: 'online-retail' })
    expect(named.body).toMatchObject({ basis: 'given', known: 'online-retail', good_enough: true })
    expect(named.body.totals).toMatchObject({ lines: 600, transactions: 300, clients: 10, currency: 'GBP' })
    const own = JSON.stringify(lineProfile())
    const bad = `${lineHeader}\n1,7,2024-03-13 10:00,5.00,1,a\n1,7,yesterday,5.00,1,b\n2,8,2024-03-13 10:00,5.00,1,a\n`
    const inline = await post<FilePreview>('/preview', bad, { profile: own })
    expect(inline.body.totals).toMatchObject({ rejected: { bad_date: 1, incomplete_receipt: 1 }, transactions: 1 })
    expect(inline.body.columns.map(({ field }) => field)).toContain('client')
    expect(inline.body.verdicts).toMatchObject([
      { row: 1, code: 'incomplete_receipt' },
      { row: 2, code: 'bad_date', field: 'occurred_at', value: 'yesterday' },
    ])
  })

  test('shows the first that are rejected, however late they stand', async () => {
    const rows = Array.from({ length: 500 }, (_, at) => `${at},${at % 10 === 9 ? '' : 7},2024-03-13 10:00,5.00,1,a`)
    const { body } = await post<FilePreview>('/preview', `${lineHeader}\n${rows.join('\n')}\n`, {
      profile: JSON.stringify(lineProfile()),
    })
    expect(body.verdicts.map(({ row }) => row)).toEqual(Array.from({ length: 20 }, (_, at) => (at + 1) * 10))
  })

  test.each([
    ['a faulty profile', { profile: '{"name": "x"}' }, 'request_invalid'],
    ['a profile that is no JSON', { profile: '{name}' }, 'request_invalid'],
    ['an unknown profile', { profile: 'nobody' }, 'profile_unknown'],
    ['a profile of another encoding', { profile: 'online-retail' }, 'file_unreadable'],
    ['a currency that is none', { currency: 'rubles' }, 'request_invalid'],
    ['a zone that is none', { time_zone: 'Mars/Base' }, 'request_invalid'],
    ['a profile and a currency', { profile: 'online-retail', currency: 'RUB' }, 'request_invalid'],
  ])('%s is a 400 with a code, and nothing is kept', async (_, fields, code) => {
    expect(await post('/preview', russian, fields as Record<string, string>)).toMatchObject({
      status: 400,
      body: { code },
    })
    expect(await readdir(join(dir.path, 'spill'))).toEqual([])
  })

  test('an empty file and a form without file have their codes', async () => {
    expect(await post('/preview', '')).toMatchObject({ status: 400, body: { code: 'file_empty' } })
    const form = new FormData()
    form.set('profile', 'online-retail')
    expect(await send('/preview', { method: 'POST', body: form })).toMatchObject({ body: { code: 'file_missing' } })
  })

  test('takes a profile as a file, and refuses a field that it does not know', async () => {
    const form = (field: string) => {
      const form = new FormData()
      form.set('file', new Blob([retailFile(3)]), 'sales.csv')
      form.set(field, new Blob(['nope']), 'nope.json')
      return send('/preview', { method: 'POST', body: form })
    }
    expect(await form('profile')).toMatchObject({ status: 400, body: { code: 'profile_unknown' } })
    expect(await form('profil')).toMatchObject({
      status: 400,
      body: { code: 'upload_malformed', details: { part: 'profil' } },
    })
  })

  test('of more at once than are taken the last is asked to come again', async () => {
    const answers = await Promise.all([1, 2, 3].map(() => post('/preview', retailFile(300))))
    expect(answers.map(({ status }) => status).sort()).toEqual([200, 200, 429])
    expect((await post('/preview', retailFile(3))).status).toBe(200)
  })
})

describe('an upload without a profile', () => {
  const uploaded = async (batchId: string) =>
    (await pool.query('select profile from ingest.data_upload_batches where batch_id = $1', [batchId])).rows[0].profile

  test('is read by the proposal where that is certain, and keeps the profile that was used', async () => {
    const { status, body } = await post<Record<string, string>>('/upload', russian)
    expect([status, body.profile_basis]).toEqual([202, 'content'])
    const profile = await uploaded(body.batch_id!)
    expect(profile).toMatchObject({
      name: body.profile,
      columns: { client: 'Карта клиента' },
      numbers: { decimal: ',' },
    })
    const preview = await post<FilePreview>('/preview', russian)
    expect(profile).toEqual(preview.body.profile)
  })

  test('with a known header is read by that profile, with formats of its own', async () => {
    const text = retailFile(3).replaceAll(',', ';').replaceAll('1.25', '1,25')
    const { body } = await post<Record<string, string>>('/upload', text)
    expect(body).toMatchObject({ profile: 'online-retail', profile_basis: 'variant' })
    expect(await uploaded(body.batch_id!)).toMatchObject({
      system: loadProfile('online-retail').system,
      format: { delimiter: ';' },
      numbers: { decimal: ',' },
    })
  })

  test('is refused with the proposal and what is to be confirmed; nothing is kept', async () => {
    context = { currency: null, timeZone: null }
    const before = (await store.list(0, 1)).total
    const { status, body } = await post<{ code: string; message: string; details: Record<string, unknown> }>(
      '/upload',
      russian,
    )
    expect([status, body.code]).toEqual([400, 'profile_needed'])
    expect(body.message).toContain('--profile FILE.json')
    expect(body.details.proposal).toMatchObject({
      good_enough: false,
      profile: { columns: { client: 'Карта клиента' } },
      confirm: [{ field: 'currency' }, { field: 'time_zone' }],
    })
    expect(JSON.stringify(body)).not.toContain('1 250,50')
    expect((await store.list(0, 1)).total).toBe(before)
  })

  test('that proposal, completed, is taken as a profile of its own', async () => {
    context = { currency: null, timeZone: null }
    const refused = await post<{ details: { proposal: { profile: object } } }>('/upload', russian)
    const own = { ...refused.body.details.proposal.profile, currency: 'RUB', time_zone: 'Europe/Moscow' }
    const { status, body } = await post<Record<string, string>>('/upload', russian, { profile: JSON.stringify(own) })
    expect([status, body.profile_basis]).toEqual([202, 'given'])
  })
})

describe('file profiles', () => {
  const own = lineProfile({ system: { name: 'shops', identity: ['receipt_number'] } })
  const { name: _, ...unnamed } = own
  const names = async () => (await send<{ profiles: { name: string; saved: boolean }[] }>('/profiles')).body.profiles

  test('are saved by name, listed with those that ship, shown and deleted', async () => {
    expect(await put('our-shops', unnamed)).toMatchObject({ status: 201, body: { name: 'our-shops', saved: true } })
    expect(await put('our-shops', { ...unnamed, title: 'new' })).toMatchObject({
      status: 200,
      body: { profile: { title: 'new' }, saved_at: expect.stringMatching(/^\d{4}-/) },
    })
    expect((await names()).map(({ name, saved }) => [name, saved])).toEqual([
      ...listProfiles().map((name) => [name, false]),
      ['our-shops', true],
    ])
    expect(await send('/profiles/our-shops')).toMatchObject({ status: 200, body: { profile: { title: 'new' } } })
    expect(await send('/profiles/our-shops', { method: 'DELETE' })).toEqual({ status: 204, body: null })
    expect(await names()).toHaveLength(listProfiles().length)
  })

  test('a saved one is chosen for its header, and by its name', async () => {
    await put('our-shops', unnamed)
    const text = `${lineHeader}\n1,7,2024-03-13 10:00,5.00,1,a\n`
    expect((await post('/upload', text)).body).toMatchObject({ profile: 'our-shops', profile_basis: 'known' })
    expect((await post('/upload', text, { profile: 'our-shops' })).body).toMatchObject({ profile_basis: 'given' })
  })

  test.each([
    ['GET', 'nobody', 404, 'profile_not_found', undefined],
    ['DELETE', 'nobody', 404, 'profile_not_found', undefined],
    ['DELETE', 'cdnow', 409, 'profile_shipped', undefined],
    ['PUT', 'cdnow', 409, 'profile_shipped', unnamed],
    ['PUT', 'Our Shops', 400, 'request_invalid', unnamed],
    ['PUT', 'our-shops', 400, 'request_invalid', own],
    ['PUT', 'our-shops', 400, 'request_invalid', { ...unnamed, currency: 'rubles' }],
  ])('%s %s is refused: %i %s', async (method, name, status, code, body) => {
    const init =
      body === undefined ? {} : { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } }
    expect(await send(`/profiles/${name}`, { method, ...init })).toMatchObject({ status, body: { code } })
    expect(await names()).toHaveLength(listProfiles().length)
  })

  test('one that would count a system’s receipts by another key is refused: tills and files would differ', async () => {
    await put('one', unnamed)
    const other = { ...unnamed, system: { ...own.system, identity: ['day', 'receipt_number'] } }
    expect(await put('two', other)).toMatchObject({ status: 409, body: { code: 'profile_key_differs' } })
    expect((await put('one', other)).status).toBe(200)
  })
})
