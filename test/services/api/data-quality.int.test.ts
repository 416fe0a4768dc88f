import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Pool } from 'pg'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { topicsOf } from '#schemas/topics.ts'
import { createApiApp } from '#services/api/app.ts'
import type { BatchReport, DayReport, QualityFigures } from '#services/api/read-models/quality-report.ts'
import { openState } from '#services/api/state.ts'
import { publishFindings } from '#services/ingest/findings.ts'
import { createLogger } from '#services/platform/logging.ts'
import { createMetrics } from '#services/platform/metrics.ts'
import { type Projector, startProjector } from '#services/projector/program.ts'
import { projectionProgress } from '#services/wiring/ingest.ts'
import { allProjections, segmentDefinitions } from '#services/wiring/projections.ts'
import { systemClock } from '#streams/core/clock.ts'
import { dayOfIso, isoOfDay } from '#streams/domain/calendar.ts'
import { eventually } from '../../support/eventually.ts'
import { MemoryLog } from '../../support/memory-log.ts'
import { MemoryRegistry } from '../../support/memory-registry.ts'
import { type TempDir, tempDir } from '../../support/temp-dir.ts'
import { runHere } from '../cli/support/run-here.ts'
import { lineHeader, lineProfile } from '../ingest/support/prepare.ts'
import { newDatabase, openIngest, prepareTopics, startStream, testNowMs } from '../ingest/support/world.ts'
import { postTransactions, tillSale } from '../ingest/tills/support.ts'
import { rebuilt, type Stores, startStores } from '../projector/world.ts'

/** Everything but the log is real: ingest, the stream processor, the projections in both engines, and the API. */

const topics = topicsOf('loyalty')
const database = 'quality'
const dayMs = 86_400_000
/** Arrival in the log, and what programs take for the time. */
let nowMs = testNowMs
const log = new MemoryLog({ nowMs: () => nowMs })
const registry = new MemoryRegistry()
let stores: Stores
let dir: TempDir
let ingest: Awaited<ReturnType<typeof openIngest>>
let projector: Projector
let api: ReturnType<typeof createApiApp>
let postgresUrl: string
const closers: (() => Promise<unknown>)[] = []

beforeAll(async () => {
  stores = await startStores()
  dir = await tempDir('loyalty-quality-')
  postgresUrl = await newDatabase(stores.postgres.url)
  await prepareTopics(log, registry, topics, 2)
  const columns = { ...lineProfile().columns, store: 'store', payment: 'payment', original: 'original' }
  const profile = lineProfile({ columns, identical_rows: 'drop', outliers: { max_amount: 1_000 } })
  await writeFile(join(dir.path, 'test-lines.json'), JSON.stringify(profile))
  const pool = new Pool({ connectionString: postgresUrl, max: 14 })
  closers.push(() => pool.end())
  const clickhouse = stores.clickhouse.connect(database)
  const logger = createLogger('quality', 'silent')
  projector = startProjector({
    ...{ log, topics, registry, pool, clickhouse, segments: segmentDefinitions, logger },
    clickhouseAddress: { url: stores.clickhouse.url, database },
    metrics: createMetrics('projector'),
    lingerMs: 10,
    reconcileEveryMs: 0,
  })
  closers.push(() => projector.stop())
  const projections = projectionProgress(pool, topics, allProjections)
  const changes = { profilesDir: dir.path, projections, clock: { nowMs: () => nowMs } }
  ingest = await openIngest({ log, registry, postgresUrl, dataDir: join(dir.path, 'data'), changes })
  closers.push(() => ingest.close())
  const worker = await startStream(log, registry, topics)
  closers.push(() => worker.close())
  const [url, metrics] = ['http://127.0.0.1:1', createMetrics('api')]
  const urls = { ingest: url, processor: url, projector: url, registry: url }
  const state = openState({
    ...{ pool, clickhouse, log, registry, topics, urls, clock: systemClock, logger, metrics, version: '9.9.9' },
  })
  closers.push(() => state.programme.close())
  api = createApiApp(state)
})
afterAll(async () => {
  for (const close of closers.reverse()) await close()
  await stores?.stop()
  await dir?.remove()
})

/** 120 sales of 14 days in two stores and none, three refunds, and rows that cannot be taken. */
function fileText(): string {
  const lines = [`${lineHeader},store,payment,original`]
  for (let i = 0; i < 120; i++) {
    const time = i === 60 ? 'someday' : `2012-01-${String(2 + (i % 14)).padStart(2, '0')} 10:00`
    const line = `R${i},${i % 9},${time},${i === 50 ? 5_000 : 10 + (i % 7)}.00,1,A,${['north', 'south', ''][i % 3]}`
    lines.push(`${line},${i % 4 === 0 ? '' : 'card'},`)
    if (i === 61) lines.push(lines.at(-1)!)
  }
  lines.push('C1,1,2012-01-14 11:00,5.00,-1,A,north,card,R10', 'C2,1,2012-01-02 11:00,5.00,-1,A,south,card,R999')
  lines.push('C3,1,2012-01-02 11:00,5.00,-1,A,south,,')
  return `${lines.join('\n')}\n`
}

/** What came, in the fewest words that the figures can be reckoned from. */
interface Came {
  readonly day: string
  readonly store: string
  readonly refund: boolean
  readonly arrived: string
  readonly receipt: string
  readonly payment: string
  readonly items: number
  readonly original: string
  readonly originalKnown: boolean
  readonly outlier: boolean
}

/** The receipts of the file, by the plainest reading of its text. */
function receiptsOf(text: string, arrived: string): Came[] {
  const rows = [...new Set(text.trimEnd().split('\n').slice(1))].map((line) => line.split(','))
  return rows.flatMap(([receipt = '', , time = '', price, , , store = '', payment = '', original = '']) => {
    if (time === 'someday') return []
    const refund = receipt.startsWith('C')
    const originalKnown = rows.some(([each]) => each === original)
    const outlier = Number(price) > 1_000
    return [
      { day: time.slice(0, 10), store, refund, arrived, receipt, payment, items: 1, original, originalKnown, outlier },
    ]
  })
}

function figuresOf(came: readonly Came[], again: readonly Came[]) {
  const count = (holds: (each: Came) => boolean) => came.filter(holds).length
  return {
    transactions: came.length,
    sales: count(({ refund }) => !refund),
    refunds: count(({ refund }) => refund),
    voids: 0,
    missing: {
      store: count(({ store }) => store === ''),
      receipt_number: count(({ receipt }) => receipt === ''),
      payment_method: count(({ payment }) => payment === ''),
      items: count(({ items }) => items === 0),
    },
    refunds_without_original: count(({ refund, original }) => refund && original === ''),
    unknown_originals: count(({ original, originalKnown }) => original !== '' && !originalKnown),
    arrival_known: came.length,
    late: count(({ day, arrived }) => dayOfIso(arrived) - dayOfIso(day) > 1),
    duplicates: again.length,
    outliers: count(({ outlier }) => outlier),
  }
}

/** By day and store, days and stores in the order of the report. */
function daysOf(came: readonly Came[], again: readonly Came[]) {
  const days = [...new Set([...came, ...again].map(({ day }) => day))].sort()
  return days.map((day) => {
    const [here, there] = [came.filter((each) => each.day === day), again.filter((each) => each.day === day)]
    return { day, ...figuresOf(here, there), stores: storesOf(here, there) }
  })
}

function storesOf(came: readonly Came[], again: readonly Came[]) {
  const names = [...new Set([...came, ...again].map(({ store }) => store))].sort((a, b) => orderOf(a) - orderOf(b))
  return names.map((name) => {
    const [here, there] = [came.filter(({ store }) => store === name), again.filter(({ store }) => store === name)]
    return { store: name === '' ? null : name, ...figuresOf(here, there) }
  })
}

/** NULL sorts last. */
const orderOf = (store: string) => ['north', 'south', ''].indexOf(store)

async function asked<Answer>(query: string): Promise<Answer> {
  const response = await api.request(`/api/v1/management/data/quality?${query}`)
  expect(response.status, await response.clone().text()).toBe(200)
  return (await response.json()) as Answer
}
const byDay = async (query = '') => (await asked<{ days: DayReport[] }>(`by=day&${query}`)).days
const ofBatch = async (id: string) => (await asked<{ batches: BatchReport[] }>(`batch_id=${id}`)).batches[0]!

/** When a file came, by the clock of the database. */
const receivedMs = async (batchId: string) => (await ingest.store.upload(batchId))!.uploadedAtMs

async function uploaded() {
  const { body } = await ingest.upload(text, 'test-lines', 'till.csv')
  expect(await ingest.ended(body.task_id)).toMatchObject({ status: 'COMPLETED', errorMessage: null })
  return body.batch_id
}

const text = fileText()
let first = ''
let second = ''
const firstReceipts = receiptsOf(text, '2012-01-15')

test('an upload and its repetition are reported by day and by upload, as the file says by itself', async () => {
  first = await uploaded()
  const days = await byDay('from=2012-01-01&to=2012-01-15')
  expect(days).toMatchObject(daysOf(firstReceipts, []))
  expect(days[0]).toMatchObject({ completeness: 0.7955, late_share: 1, duplicate_share: 0 })
  expect(days[13]!.late_share).toBe(0)

  nowMs += dayMs
  second = await uploaded()
  expect(await byDay()).toMatchObject(daysOf(firstReceipts, firstReceipts))
  const rejected = { bad_date: 1, duplicate_row: 1 }
  const rows = { read: 124, accepted: 122, rejected: 2, reasons: rejected }
  expect(await ofBatch(first)).toMatchObject({
    ...{
      received_at: new Date(await receivedMs(first)).toISOString(),
      outlier_above_minor: 100_000,
      rows,
      dead_letters: 0,
    },
    ...figuresOf(firstReceipts, []),
    stores: storesOf(firstReceipts, []),
  })
  expect(await ofBatch(second)).toMatchObject({ rows, ...figuresOf([], firstReceipts), duplicate_share: 1 })
  const north = { store: 'north', rows: { read: 41, accepted: 40, rejected: 1, reasons: { bad_date: 1 } } }
  expect((await ofBatch(second)).stores[0]).toMatchObject(north)
})

const tills: Came[] = []

test('what tills send is reported by day too: late, repeated, and outliers among those of their day', async () => {
  const receipts = Array.from({ length: 100 }, (_, i) => {
    const day = i < 3 ? '2012-01-13' : '2012-01-16'
    const amount_minor = i === 99 ? 10_000_000 : 1_000 + i
    return { transaction_id: `t${i}`, occurred_at: `${day}T09:00:00Z`, amount_minor, store_id: 'north' }
  })
  const sent = [...receipts.map(tillSale), ...receipts.slice(0, 2).map(tillSale)]
  const answer = await postTransactions(ingest.url, sent)
  expect(answer).toMatchObject({ status: 202, body: { accepted: 102 } })
  const of = (day: string, outlier = false): Came => ({
    ...{ day, store: 'north', refund: false, arrived: '2012-01-16', receipt: '', payment: '', items: 0, original: '' },
    ...{ originalKnown: false, outlier },
  })
  tills.push(...receipts.map(({ occurred_at }) => of(occurred_at.slice(0, 10))))
  const came = [...firstReceipts, ...tills]
  const again = [...firstReceipts, ...tills.slice(0, 2)]
  await eventually(async () => (await byDay('to=2012-01-16')).at(-1)?.transactions === 97, {
    timeoutMs: 15_000,
    what: 'the tills',
  })
  // Of 97 receipts of a day nothing can be told.
  expect(await byDay('from=2012-01-01')).toMatchObject(daysOf(came, again))
  const more = Array.from({ length: 10 }, (_, i) =>
    tillSale({ transaction_id: `m${i}`, occurred_at: '2012-01-16T09:00:00Z', amount_minor: 1_000, store_id: 'north' }),
  )
  await postTransactions(ingest.url, more)
  await eventually(async () => (await byDay()).at(-1)?.outliers === 1, { timeoutMs: 15_000, what: 'the outlier' })
})

test('a rebuild, a repetition of what ingest found, and an undo leave the report as it is', async () => {
  const [days, batches] = [await byDay(), [await ofBatch(first), await ofBatch(second)]]
  const same = async () => {
    expect(await byDay()).toEqual(days)
    expect([await ofBatch(first), await ofBatch(second)]).toEqual(batches)
  }
  await rebuilt(projector, 'clickhouse-facts')
  await rebuilt(projector, 'clickhouse-uploads')
  await same()
  const counted = (store_id: string | null, accepted_rows: number, rejected_rows = {}) => {
    return { store_id, others: false, accepted_rows, rejected_rows }
  }
  const found = batches[0]!.stores.map(({ store, rows }) => counted(store, rows.accepted, rows.reasons))
  const task = { batchId: first, uploadedAtMs: await receivedMs(first) }
  const outliers = {
    above_minor: 100_000,
    max_minor: null,
    mads: null,
    median_minor: null,
    mad_minor: null,
    flagged: 1,
  }
  await publishFindings({ log, topics, registry }, task, { stores: found, outliers })
  for (const batch of [first, second]) {
    const { body } = await ingest.order(batch, 'undo')
    expect(await ingest.ended(body.task_id)).toMatchObject({ status: 'COMPLETED', errorMessage: null })
  }
  await same()
})

test('uploads are listed the newest first, by the days on which they came; a store by itself', async () => {
  const list = (query = '') => asked<{ total: number; batches: BatchReport[] }>(`by=batch&${query}`)
  const ids = ({ batches }: { batches: BatchReport[] }) => batches.map(({ batch_id }) => batch_id)
  const all = await list()
  expect([all.total, ids(all)]).toEqual([2, [second, first]])
  const page = await list('skip=1&limit=1')
  expect([page.total, ids(page)]).toEqual([2, [first]])
  const [today, tomorrow] = [0, 1].map((days) => Math.floor(Date.now() / dayMs) + days).map(isoOfDay)
  expect(ids(await list(`from=2012-01-15&to=${today}`))).toEqual([second, first])
  expect(await list(`from=${tomorrow}`)).toEqual({ by: 'batch', total: 0, batches: [] })
  const south = (await byDay('to=2012-01-15&store=south')) as (QualityFigures & { stores: unknown[] })[]
  expect(south.every(({ stores }) => stores.length === 1)).toBe(true)
  const count = firstReceipts.filter(({ store }) => store === 'south').length
  expect(south.reduce((sum, { transactions }) => sum + transactions, 0)).toBe(count)
  const none = (await byDay('to=2012-01-15&store=')) as readonly QualityFigures[]
  expect(none.every(({ transactions, missing }) => transactions === missing.store)).toBe(true)
})

test('what cannot be answered is refused with its code', async () => {
  const refused = async (query: string) => {
    const response = await api.request(`/api/v1/management/data/quality?${query}`)
    return [response.status, ((await response.json()) as { code: string }).code]
  }
  expect(await refused('from=2012-01-02&to=2012-01-01')).toEqual([400, 'request_invalid'])
  expect(await refused('from=yesterday')).toEqual([400, 'request_invalid'])
  expect(await refused('batch_id=00000000-0000-4000-8000-000000000001')).toEqual([404, 'upload_not_found'])
})

test('the command line says the same', async () => {
  const env = {
    LOYALTY_DATA_DIR: dir.path,
    LOYALTY_CLICKHOUSE_URL: stores.clickhouse.url,
    LOYALTY_CLICKHOUSE_DATABASE: database,
  }
  const run = async (...args: string[]) => (await runHere(['quality', ...args, '--json'], env)).lastJson
  expect(await run()).toEqual(await asked('by=day'))
  expect(await run('--by', 'batch', '--limit', '1')).toEqual(await asked('by=batch&limit=1'))
  expect(await run('--batch', first)).toEqual(await asked(`batch_id=${first}`))
  const table = await runHere(['quality', '--batch', first], env)
  expect(table.out).toMatch(/^all +124 +2 +122 /m)
  expect(table.out).toContain('rejected  duplicate_row  1')
  expect((await runHere(['quality', '--from', '2012-01-02', '--to', '2012-01-01'], env)).code).toBe(2)
  const last = isoOfDay(dayOfIso('2012-01-16'))
  expect((await runHere(['quality', '--from', last], env)).out).toContain(last)
})
