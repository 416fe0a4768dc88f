import pg from 'pg'
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest'
import { topicsOf } from '#schemas/topics.ts'
import { Control } from '#services/ingest/control.ts'
import { ensureProgramme } from '#services/ingest/programme.ts'
import { Ticker } from '#services/ingest/ticker.ts'
import { migratePostgres } from '#services/platform/migrate.ts'
import { dayOfIso, isoOfDay } from '#streams/domain/calendar.ts'
import { eventually } from '../../support/eventually.ts'
import { Publisher } from '../../support/loyalty/publisher.ts'
import { MemoryLog } from '../../support/memory-log.ts'
import { MemoryRegistry } from '../../support/memory-registry.ts'
import { type RunningPostgres, startPostgres } from '../../support/postgres.ts'
import { migrationsDirectory, newDatabase, prepareTopics, startStream } from './support/world.ts'

const topics = topicsOf('loyalty')
let postgres: RunningPostgres
let pool: pg.Pool
let log: MemoryLog
let registry: MemoryRegistry
let control: Control
let nowMs = 0
const notices: string[] = []

beforeAll(async () => {
  postgres = await startPostgres()
})
afterAll(() => postgres.stop())
beforeEach(async () => {
  pool = new pg.Pool({ connectionString: await newDatabase(postgres.url) })
  // The server is ended with connections open.
  pool.on('error', () => {})
  await migratePostgres(pool, { schema: 'ingest', directory: migrationsDirectory })
  log = new MemoryLog()
  registry = new MemoryRegistry()
  await prepareTopics(log, registry, topics, 2)
  control = await Control.open(log, topics, registry)
  nowMs = Date.UTC(2012, 0, 15, 12)
  notices.length = 0
})
afterEach(() => pool.end())

const clock = { nowMs: () => nowMs }

function configure(changes: Record<string, unknown> = {}) {
  const settings = { monetaryBasis: 'net', partitions: 2, ledgerCap: 4096, ...changes } as const
  const notice = (text: string) => void notices.push(text)
  return ensureProgramme({ control, pool, clock, settings, model: null, notice }, null)
}

function ticker() {
  return new Ticker({ log, topics, registry, control, clock, pool, warn: ({ code }) => void notices.push(code) }, 0)
}

async function startDay(iso: string) {
  await control.publish(['DayStarted', { date: dayOfIso(iso), started_at: nowMs }])
}

async function today(): Promise<string | null> {
  const { day } = await control.read()
  return day === null ? null : isoOfDay(day)
}

test('a programme is configured once, however many programs want to, and says what was chosen for want of settings', async () => {
  const made = await Promise.all([configure(), configure({ currency: 'GBP' }), configure()])
  expect(new Set(made.map((programme) => programme.programme_id)).size).toBe(1)
  expect(log.records(topics.control)).toHaveLength(1)
  const again = await configure({ currency: 'USD' })
  expect(again).toEqual(made[0])
})

test('without settings and profile: roubles, Moscow days, the system’s clock, and a notice', async () => {
  expect(await configure()).toMatchObject({ currency: 'RUB', time_zone: 'Europe/Moscow', clock: 'system' })
  expect(notices).toEqual([expect.stringContaining('Europe/Moscow')])
})

test('with settings there is nothing to notice', async () => {
  expect(await configure({ currency: 'GBP', timeZone: 'Europe/London', clock: 'events' })).toMatchObject({
    currency: 'GBP',
    time_zone: 'Europe/London',
    clock: 'events',
  })
  expect(notices).toEqual([])
})

test('by the system’s clock each day begins, missed ones in order, in the days of the programme', async () => {
  await configure({ currency: 'RUB', timeZone: 'Asia/Tokyo' })
  const system = ticker()
  await system.tick()
  expect(await today()).toBeNull()
  await startDay('2012-01-15')
  await system.tick()
  expect(await today()).toBe('2012-01-15')
  nowMs = Date.UTC(2012, 0, 18, 15, 0)
  await system.tick()
  await system.tick()
  expect(await today()).toBe('2012-01-19')
  expect(log.records(topics.control)).toHaveLength(6)
})

test('by the clock of events the newest accepted day begins, never one after today, and none twice', async () => {
  await configure({ currency: 'GBP', timeZone: 'Etc/UTC', clock: 'events' })
  const worker = await startStream(log, registry, topics)
  const publisher = await Publisher.open(log, registry, topics, 2)
  const sale = async (id: string, iso: string) => {
    const before = await log.admin.endOffsets(topics.accepted)
    await publisher.transactions([
      {
        transaction_id: id,
        client_id: `client-${id}`,
        kind: 'SALE',
        occurred_at: Date.parse(`${iso}T10:00:00Z`),
        amount_minor: 100,
        currency: 'GBP',
        source: 'pos:test',
      },
    ])
    await eventually(async () => String(await log.admin.endOffsets(topics.accepted)) !== String(before))
  }
  try {
    const events = ticker()
    await sale('a', '2011-05-01')
    await events.tick()
    expect(await today()).toBeNull()
    await startDay('2011-05-01')
    await sale('b', '2011-05-03')
    await sale('c', '2011-05-02')
    await events.tick()
    expect(await today()).toBe('2011-05-03')
    expect(notices).toEqual([])
    await sale('d', '2013-01-01')
    await ticker().tick()
    expect(await today()).toBe('2012-01-15')
    expect(notices).toEqual(['day_ahead_of_data'])
    const records = log.records(topics.control).length
    await sale('e', '2011-12-31')
    await events.tick()
    await ticker().tick()
    expect(log.records(topics.control)).toHaveLength(records)
  } finally {
    await worker.close()
  }
})
