import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest'
import { decoderOf } from '#schemas/decoder.ts'
import { topicsOf } from '#schemas/topics.ts'
import { Control } from '#services/ingest/control.ts'
import { dayOfIso, isoOfDay } from '#streams/domain/calendar.ts'
import type { Log } from '#streams/log/log.ts'
import { openPostgresLog } from '#streams/log/postgres/postgres-log.ts'
import { readRange } from '#streams/log/range.ts'
import { MemoryRegistry } from '../../support/memory-registry.ts'
import { type RunningPostgres, startPostgres } from '../../support/postgres.ts'
import { type TempDir, tempDir } from '../../support/temp-dir.ts'
import {
  clientRows,
  newDatabase,
  openIngest,
  portsOver,
  prepareTopics,
  retailFile,
  startStream,
  testNowMs,
} from './support/world.ts'

/** How a programme begins when a person was there before its first upload; the stream is the real one. */

const topics = topicsOf('loyalty')
/** Newest day of `retailFile(250)`. */
const newestDay = '2011-09-07'
const cuts = { recency_days: [30, 90], frequency: [1, 5], monetary_minor: [1_000, 2_000], basis: 'net' as const }

let postgres: RunningPostgres
let dir: TempDir
let log: Log
let registry: MemoryRegistry
let database: string
let control: Control
const closers: (() => Promise<unknown>)[] = []

beforeAll(async () => {
  postgres = await startPostgres()
})
afterAll(() => postgres.stop())
beforeEach(async () => {
  dir = await tempDir('loyalty-beginning-')
  database = await newDatabase(postgres.url)
  log = openPostgresLog({ url: database })
  closers.push(() => log.close())
  registry = new MemoryRegistry()
  await prepareTopics(log, registry, topics, 2)
  control = await Control.open(log, topics, registry)
})
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close()
  await dir.remove()
})

async function open(changes: Parameters<typeof openIngest>[0]['changes'] = {}) {
  const settings = { monetaryBasis: 'net', partitions: 2, ledgerCap: 4096 } as const
  // Configured before the first upload, as by `start`; the ticker keeps out of it.
  const ingest = await openIngest({
    log,
    registry,
    postgresUrl: database,
    dataDir: dir.path,
    changes: {
      settings: { ...settings, currency: 'GBP', timeZone: 'Europe/London', clock: 'events' },
      programme: { when: 'configure', profile: null },
      tickEveryMs: 3_600_000,
      ...changes,
    },
  })
  closers.push(() => ingest.close())
  const worker = await startStream(log, registry, topics)
  closers.push(() => worker.close())
  const reportOf = async (text: string) => {
    const task = await ingest.ended((await ingest.upload(text)).body.task_id)
    expect(task).toMatchObject({ status: 'COMPLETED' })
    return task.report!
  }
  return { ...ingest, reportOf }
}

async function startDay(iso: string) {
  await control.publish(['DayStarted', { date: dayOfIso(iso), started_at: testNowMs }])
}

/** What control holds beyond the two records that configure a programme: days as ISO dates, `cuts` for cut-points. */
async function published(): Promise<string[]> {
  const decoder = decoderOf(registry, 'ProgrammeConfigured', 'ModelActivated', 'DayStarted', 'CutPointsPublished')
  const [end = 0] = await log.admin.endOffsets(topics.control)
  const names: string[] = []
  for await (const { records } of readRange(log, topics.control, 0, 2, end))
    for (const { value } of records) {
      const decoded = await decoder.read(value)
      if (decoded.kind === 'ok') names.push(decoded.name === 'DayStarted' ? isoOfDay(decoded.event.date) : 'cuts')
    }
  return names
}

/** Every client has a purchase, so once the programme has begun every one of them has scores, as of its day. */
async function expectScored(asOf: string) {
  const rows = await clientRows(log, registry, topics)
  expect(rows).toHaveLength(10)
  for (const row of rows)
    expect([row.rfm_score, isoOfDay(row.as_of!)]).toEqual([expect.stringMatching(/^\d{3}$/), asOf])
}

test('a day started by hand before the first upload, older than its newest: the day moves, then cut-points are calibrated', async () => {
  const { reportOf } = await open()
  await startDay('2011-01-03')
  const report = await reportOf(retailFile(250))
  // As of the older day most purchases would not have happened yet.
  expect(report).toMatchObject({ as_of: newestDay, buyers: 10, cut_points: { frequency: [25, 25, 25, 25] } })
  expect(await published()).toEqual(['2011-01-03', newestDay, 'cuts'])
  expect((await control.read()).cutPoints!.calibrated_as_of).toBe(dayOfIso(newestDay))
  await expectScored(newestDay)
})

test('a day started by hand, newer than the newest of the first upload, stays; cut-points are calibrated as of it', async () => {
  const { reportOf } = await open()
  await startDay('2011-12-31')
  const report = await reportOf(retailFile(250))
  expect(report).toMatchObject({ as_of: '2011-12-31', buyers: 10, cut_points: { frequency: [25, 25, 25, 25] } })
  expect(report.cut_points!.recency_days[0]).toBeGreaterThanOrEqual(dayOfIso('2011-12-31') - dayOfIso(newestDay))
  expect(await published()).toEqual(['2011-12-31', 'cuts'])
  await expectScored('2011-12-31')
})

test('a day started by hand, and a file of the future: the day becomes today, not more', async () => {
  const { reportOf } = await open()
  await startDay('2011-01-03')
  const future = `${retailFile(0)}1,A,Article,1,2013-01-01 10:00:00,1.00,7.0,UK\n`
  // Nobody has bought yet as of today, so there is nothing to calibrate from; the next upload has.
  expect(await reportOf(future)).toMatchObject({ as_of: '2012-01-15', cut_points: null })
  expect(await reportOf(retailFile(250, 10))).toMatchObject({ as_of: '2012-01-15', cut_points: { basis: 'net' } })
  expect(await published()).toEqual(['2011-01-03', '2012-01-15', 'cuts'])
})

test('cut-points published by hand before the first upload stay: its day starts, nothing is calibrated', async () => {
  const { reportOf } = await open()
  await control.publish(['CutPointsPublished', { ...cuts, calibrated_as_of: null, published_at: testNowMs }])
  expect(await reportOf(retailFile(250))).toMatchObject({ as_of: newestDay, cut_points: cuts })
  expect(await published()).toEqual(['cuts', newestDay])
  await expectScored(newestDay)
})

test('cut-points and day by hand: the first upload calibrates nothing and never moves the day back', async () => {
  const { reportOf } = await open()
  await control.publish(['CutPointsPublished', { ...cuts, calibrated_as_of: null, published_at: testNowMs }])
  await startDay('2011-12-31')
  expect(await reportOf(retailFile(250))).toMatchObject({ as_of: '2011-12-31', cut_points: cuts })
  expect(await published()).toEqual(['cuts', '2011-12-31'])
  await expectScored('2011-12-31')
})

test('the second upload of a programme that a day by hand robbed of its beginning gives it one', async () => {
  const { reportOf } = await open({ calibrator: { calibrate: async () => null } })
  await startDay('2011-01-03')
  expect(await reportOf(retailFile(250))).toMatchObject({ as_of: newestDay, cut_points: null })
  for (const close of closers.splice(1).reverse()) await close()
  const again = await open()
  // The same file: nothing is new, and still the beginning is made up for.
  expect(await again.reportOf(retailFile(250))).toMatchObject({ accepted: 0, as_of: newestDay, cut_points: {} })
  expect(await published()).toEqual(['2011-01-03', newestDay, 'cuts'])
  await expectScored(newestDay)
})

test('by the system’s clock a day by hand is followed by every day up to today, then cut-points are calibrated', async () => {
  const settings = { monetaryBasis: 'net', partitions: 2, ledgerCap: 4096, currency: 'GBP', clock: 'system' } as const
  const { reportOf } = await open({ settings })
  await startDay('2012-01-13')
  const report = await reportOf(retailFile(250))
  expect(report).toMatchObject({ as_of: '2012-01-15', cut_points: { frequency: [25, 25, 25, 25] } })
  expect(await published()).toEqual(['2012-01-13', '2012-01-14', '2012-01-15', 'cuts'])
  await expectScored('2012-01-15')
})

test.each([
  ['a day', async () => startDay('2011-12-31'), ['2011-12-31', 'cuts'], '2011-12-31'],
  [
    'cut-points',
    async () =>
      void (await control.publish([
        'CutPointsPublished',
        { ...cuts, calibrated_as_of: null, published_at: testNowMs },
      ])),
    ['cuts', newestDay],
    newestDay,
  ],
])('%s by hand while cut-points are calibrated is respected', async (_, byHand, expected, asOf) => {
  const { calibrator } = portsOver(log, registry, topics)
  let calls = 0
  const { reportOf } = await open({
    calibrator: {
      async calibrate(day, basis) {
        if (calls++ === 0) await byHand()
        return calibrator.calibrate(day, basis)
      },
    },
  })
  expect(await reportOf(retailFile(250))).toMatchObject({ as_of: asOf })
  expect(await published()).toEqual(expected)
  await expectScored(asOf)
})
