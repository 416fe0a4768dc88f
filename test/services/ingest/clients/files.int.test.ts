import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest'
import { decoderOf } from '#schemas/decoder.ts'
import type { ClientProfileChanged } from '#schemas/events.ts'
import { topicsOf } from '#schemas/topics.ts'
import { directoryOriginals } from '#services/ingest/originals/directory.ts'
import { LoyaltyError } from '#streams/core/error.ts'
import { partitionOf } from '#streams/core/partitioner.ts'
import { readRange } from '#streams/log/range.ts'
import { eventually } from '../../../support/eventually.ts'
import { MemoryLog } from '../../../support/memory-log.ts'
import { MemoryRegistry } from '../../../support/memory-registry.ts'
import { type RunningPostgres, startPostgres } from '../../../support/postgres.ts'
import { type TempDir, tempDir } from '../../../support/temp-dir.ts'
import { newDatabase, openIngest, prepareTopics, testNowMs } from '../support/world.ts'

/** Files of clients, from the upload to the topic. */

const topics = topicsOf('loyalty')
const configured = {
  settings: { currency: 'RUB', timeZone: 'Europe/Moscow', monetaryBasis: 'net', partitions: 2, ledgerCap: 4096 },
  programme: { when: 'configure', profile: null },
} as const
let postgres: RunningPostgres
let log: MemoryLog
let registry: MemoryRegistry
let dir: TempDir
const closers: (() => Promise<unknown>)[] = []

beforeAll(async () => {
  postgres = await startPostgres()
})
afterAll(() => postgres.stop())
beforeEach(async () => {
  log = new MemoryLog({ nowMs: () => testNowMs })
  registry = new MemoryRegistry()
  dir = await tempDir('loyalty-clients-')
  closers.push(() => dir.remove())
  await prepareTopics(log, registry, topics, 2)
})
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close()
})

async function open(changes: Parameters<typeof openIngest>[0]['changes'] = configured) {
  const postgresUrl = await newDatabase(postgres.url)
  const ingest = await openIngest({ log, registry, postgresUrl, dataDir: dir.path, changes })
  closers.push(() => ingest.close())
  return ingest
}

/** Uploads a file without naming a profile. */
async function sent(url: string, text: string) {
  const form = new FormData()
  form.set('file', new Blob([text]), 'clients.csv')
  const response = await fetch(`${url}/api/v1/management/data/upload`, { method: 'POST', body: form })
  return (await response.json()) as { task_id: string; batch_id: string; profile: string; profile_basis: string }
}

/** Every record of the topic, partition by partition. */
async function records(): Promise<ClientProfileChanged[]> {
  const decoder = decoderOf(registry, 'ClientProfileChanged')
  const found: ClientProfileChanged[] = []
  for (const [partition, end] of (await log.admin.endOffsets(topics.clients)).entries())
    for await (const batch of readRange(log, topics.clients, partition, 0, end))
      for (const { key, value } of batch.records) {
        const decoded = await decoder.read(value)
        if (decoded.kind !== 'ok') throw new Error('a record that is no client')
        expect(Buffer.from(key!).toString()).toBe(decoded.event.client_id)
        expect(partitionOf(key!, 2)).toBe(partition)
        found.push(decoded.event)
      }
  return found
}

const header =
  'client_id;name;email;phone;birth_date;registered_at;city;consent_email;consent_sms;bonus_balance;bonus_at'

test('a file with Russian consents and a bonus is known by its header and becomes records; bad rows are told without values', async () => {
  const ingest = await open()
  const { task_id, batch_id, ...accepted } = await sent(
    ingest.url,
    [
      header,
      '1;Анна;anna@example.org;+79161234567;29.02.1980;2020-01-05T10:00:00+03:00;Тверь;Да;нет;125.50;2026-01-01',
      '2;Борис;secret-none;;;;;;;;',
      '3;Вера;;;1980-13-01;;;;;;',
      '4;Глеб;;;;;;наверное;;;',
      ';Дарья;;;;;;;;;',
      '5;Старое имя;;;;;;;;;',
      '5;Новое имя;;;;;;;;;',
    ].join('\n'),
  )
  expect(accepted).toMatchObject({ profile: 'clients', profile_basis: 'known' })
  expect(await ingest.ended(task_id)).toMatchObject({ status: 'COMPLETED', report: null })
  const status = await fetch(`${ingest.url}/api/v1/management/tasks/${task_id}/status`)
  const { clients_report: report } = (await status.json()) as { clients_report: Record<string, unknown> }
  expect(report).toMatchObject({
    ...{ kind: 'clients', lines: 7, rows: { accepted: 3, rejected: 4 }, clients: 2 },
    rejected: { bad_field: 2, bad_date: 1, missing_client: 1 },
    verdicts: [
      { row: 2, code: 'bad_field', field: 'email', value: null },
      { row: 3, code: 'bad_date', field: 'birth_date' },
      { row: 4, code: 'bad_field', field: 'consent.email' },
      { row: 5, code: 'missing_client', field: 'client' },
    ],
    warnings: [{ code: 'client_repeated', details: { rows: 1 } }],
  })
  expect(JSON.stringify(report)).not.toContain('secret')
  const found = (await records()).sort((a, b) => (a.client_id < b.client_id ? -1 : 1))
  expect(found).toMatchObject([
    {
      ...{ client_id: '1', name: 'Анна', city: 'Тверь', communication_preferences: { email: true, sms: false } },
      ...{ opening_bonus_minor: 12_550, opening_bonus_at: Date.parse('2026-01-01T00:00:00+03:00') },
      source: `upload:${batch_id}`,
    },
    { client_id: '5', name: 'Новое имя' },
  ])
  expect(await ingest.store.upload(batch_id)).toMatchObject({ status: 'COMPLETED', totalRows: 7 })
  await eventually(async () => !existsSync(join(dir.path, 'spill', batch_id)))
  // Of the file itself its hash and its counts are kept.
  await eventually(async () => readdirSync(join(dir.path, 'uploads')).length === 0)
  const upload = await fetch(`${ingest.url}/api/v1/management/data/uploads/${batch_id}`)
  expect(await upload.json()).toMatchObject({
    ...{ original_file_path: null, content_sha256: expect.stringMatching(/^[0-9a-f]{64}$/), total_rows: 7 },
  })

  expect(await ingest.order(batch_id, 'undo')).toMatchObject({ status: 409, body: { code: 'undo_of_clients' } })
  const rejected = await fetch(`${ingest.url}/api/v1/management/data/uploads/${batch_id}/rejected`)
  expect(await rejected.json()).toMatchObject({ code: 'verdicts_missing' })
})

test('resumed after it broke off it writes the rest once, and nothing over what came meanwhile', async () => {
  let brokeOff = false
  let mayGoOn = false
  const ingest = await open({
    ...configured,
    crash: (point) => {
      const breaks = point === 'inside-publishing' ? !brokeOff : point === 'after-rows' && brokeOff && !mayGoOn
      if (!breaks) return
      brokeOff = true
      throw new LoyaltyError('broken_off', 'the test breaks it off', { retriable: true })
    },
  })
  const ids = Array.from({ length: 40 }, (_, at) => `c${at}`)
  const { task_id } = await sent(ingest.url, [header, ...ids.map((id) => `${id};file;;;;;;;;;`)].join('\n'))
  await eventually(async () => (await ingest.store.task(task_id))?.waiting?.code === 'broken_off')
  const before = (await records()).map((record) => record.client_id)
  expect(before.length).toBeGreaterThan(0)
  expect(before.length).toBeLessThan(ids.length)
  const newer = [before[0]!, ids.find((id) => !before.includes(id))!]
  const response = await fetch(`${ingest.url}/api/v1/clients/import`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(newer.map((id) => ({ client_id: id, name: 'newer' }))),
  })
  expect(response.status).toBe(202)
  mayGoOn = true
  expect(await ingest.ended(task_id)).toMatchObject({ status: 'COMPLETED', clientsReport: { clients: 40 } })
  const all = await records()
  const last = new Map(all.map(({ client_id, name }) => [client_id, name]))
  expect([...last].filter(([, name]) => name === 'newer').map(([id]) => id)).toEqual(expect.arrayContaining(newer))
  expect(last.size).toBe(40)
  // One of the two that are newer was in the log before: it alone has two records.
  expect(all).toHaveLength(41)
})

test('without a programme it fails, says what to do and forgets the file; a preview shows no value; a faulty header is named', async () => {
  const ingest = await open({})
  const text = `${header}\n1;Анна;;;;;;;;;\n2;;secret-none;;;;;;;;\n1;Анна;;;;;;;;;\n`
  const { task_id } = await sent(ingest.url, text)
  expect(await ingest.ended(task_id)).toMatchObject({ status: 'FAILED', errorCode: 'programme_missing' })
  await eventually(async () => readdirSync(join(dir.path, 'uploads')).length === 0)
  expect(await records()).toEqual([])
  const form = new FormData()
  form.set('file', new Blob([text]), 'clients.csv')
  const preview = await fetch(`${ingest.url}/api/v1/management/data/preview`, { method: 'POST', body: form })
  const shown = (await preview.json()) as { columns: { field: string; examples: string[] }[] }
  expect([preview.status, shown]).toMatchObject([
    200,
    { basis: 'known', good_enough: true, totals: { kind: 'clients', lines: 3, rows: { accepted: 2 }, clients: 1 } },
  ])
  expect(shown).toMatchObject({ verdicts: [{ row: 2, code: 'bad_field', field: 'email', value: null }] })
  expect(shown.columns.map(({ field }) => field)).toContain('consent.email')
  expect(JSON.stringify(shown)).not.toMatch(/Анна|secret/)
  expect(readdirSync(join(dir.path, 'spill'))).toEqual([])
  const lacking = await ingest.upload('client_id,name\n1,Anna\n', 'clients')
  expect(lacking).toMatchObject({ status: 400, body: { code: 'columns_missing' } })
})

test('one that is cancelled is forgotten as well', async () => {
  const ingest = await open({
    ...configured,
    crash: (point) => {
      if (point === 'after-rows') throw new LoyaltyError('broken_off', 'the test holds it up', { retriable: true })
    },
  })
  const { task_id, batch_id } = await sent(ingest.url, `${header}\n1;Анна;;;;;;;;;\n`)
  await eventually(async () => (await ingest.store.task(task_id))?.waiting?.code === 'broken_off')
  expect(readdirSync(join(dir.path, 'uploads'))).toHaveLength(1)
  expect(await ingest.order(batch_id, 'cancel')).toMatchObject({ status: 200 })
  expect(readdirSync(join(dir.path, 'uploads'))).toEqual([])
})

test('a file that could not be deleted goes at the next start, and no start deletes one again', async () => {
  const database = await newDatabase(postgres.url)
  const files = directoryOriginals(dir.path)
  let away = true
  let asked: string[] = []
  const originals = {
    ...files,
    async remove(path: string) {
      asked.push(path)
      if (away) throw new LoyaltyError('upload_store_unavailable', 'the test takes it away', { retriable: true })
      await files.remove(path)
    },
  }
  const start = async () => {
    asked = []
    const ingest = await openIngest({
      ...{ log, registry, postgresUrl: database, dataDir: dir.path },
      changes: { ...configured, originals },
    })
    let closing: Promise<void> | undefined
    const close = () => {
      closing ??= ingest.close()
      return closing
    }
    closers.push(close)
    return { ...ingest, close }
  }
  const first = await start()
  const { task_id, batch_id } = await sent(first.url, `${header}\n1;Анна;;;;;;;;;\n`)
  expect(await first.ended(task_id)).toMatchObject({ status: 'COMPLETED' })
  await eventually(() => asked.length > 0)
  expect(readdirSync(join(dir.path, 'uploads'))).toHaveLength(1)
  await first.close()

  away = false
  const second = await start()
  expect([asked, readdirSync(join(dir.path, 'uploads'))]).toEqual([[`uploads/${batch_id}.csv`], []])
  await second.close()
  await start()
  expect(asked).toEqual([])
})
