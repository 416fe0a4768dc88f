import { createReadStream } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { createGunzip } from 'node:zlib'
import type { ClickHouseClient } from '@clickhouse/client'
import type { Pool } from 'pg'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { segmentPopulations } from '#clickhouse/queries/segment-populations.ts'
import { decoderOf } from '#schemas/decoder.ts'
import { openRegistry } from '#schemas/registry.ts'
import { topicsOf } from '#schemas/topics.ts'
import { awaitTask, sendFile } from '#services/cli/upload.ts'
import { Control } from '#services/ingest/control.ts'
import { loadProfile } from '#services/ingest/profile.ts'
import { readConfig } from '#services/platform/config.ts'
import { createLogger } from '#services/platform/logging.ts'
import { type Platform, startPlatform } from '#services/standalone/platform.ts'
import { openLog } from '#services/wiring/log.ts'
import { platformSetup } from '#services/wiring/setup.ts'
import { openClickHouse, openPostgres } from '#services/wiring/stores.ts'
import { dayOfIso, isoOfDay } from '#streams/domain/calendar.ts'
import type { Log, LogRecord } from '#streams/log/log.ts'
import { readRange } from '#streams/log/range.ts'
import { decodePosition } from '#streams/runtime/position.ts'
import { type TempDir, tempDir } from '../../support/temp-dir.ts'
import { cleanEnvironment, freePorts } from './support/run-cli.ts'
import { runHere } from './support/run-here.ts'

const sample = join(import.meta.dirname, '../../../samples/online_retail.csv.gz')
const firstDay = '2010-12-01'
const days = 40
const lastDay = isoOfDay(dayOfIso(firstDay) + days - 1)
/** Where the replay is ended, to go on with the same command. */
const endedAfter = 9
const calibrateAfter = 14
const minutes = 60_000

interface DayLine {
  readonly date: string
  readonly transactions: number
  readonly buyers: number
  readonly changes: number
  readonly segments: Readonly<Record<string, number>>
  readonly calibrated: { readonly recency_days: number[] } | null
}

interface Opened {
  readonly platform: Platform
  readonly dataDir: string
  readonly pool: Pool
  readonly clickhouse: ClickHouseClient
  readonly log: Log
}

const closers: (() => Promise<unknown>)[] = []
const topics = topicsOf('loyalty')
let dir: TempDir
let slice: string

async function open(name: string): Promise<Opened> {
  const dataDir = join(dir.path, name)
  const env = cleanEnvironment({ ...freePorts, LOYALTY_DATA_DIR: dataDir, LOYALTY_PARTITIONS: '4' })
  const logger = createLogger('test', 'silent')
  const setup = platformSetup(
    logger,
    () => {},
    async () => loadProfile('online-retail'),
  )
  const platform = await startPlatform({ config: readConfig(env), env, setup, tell: () => {} })
  closers.push(() => platform.stop())
  const pool = openPostgres(platform.config, logger, 2)
  closers.push(() => pool.end())
  const clickhouse = openClickHouse(platform.config)
  closers.push(() => clickhouse.close())
  const log = openLog(platform.config, { clientId: 'test', logger })
  closers.push(() => log.close())
  return { platform, dataDir, pool, clickhouse, log }
}

/** The rows of the sample up to a day, its header first. */
async function sliceOfSample(until: string): Promise<string> {
  const lines: string[] = []
  const input = createReadStream(sample).pipe(createGunzip())
  for await (const line of createInterface({ input })) {
    const date = /,(\d{4}-\d\d-\d\d) \d\d:\d\d:\d\d,/.exec(line)?.[1]
    if (date === undefined || date <= until) lines.push(line)
    else break
  }
  input.destroy()
  return `${lines.join('\n')}\n`
}

async function recordsOf(log: Log, topic: string): Promise<LogRecord[][]> {
  const ends = await log.admin.endOffsets(topic)
  return Promise.all(
    ends.map(async (end, partition) => {
      const found: LogRecord[] = []
      for await (const { records } of readRange(log, topic, partition, 0, end)) found.push(...records)
      return found
    }),
  )
}

/** Every client's row but for what says when it was written: a day that changes nothing of a client writes none. */
async function states(pool: Pool): Promise<Record<string, unknown>[]> {
  const { rows } = await pool.query<Record<string, unknown>>('SELECT * FROM projector.clients ORDER BY client_id')
  const aside = ['version', 'as_of']
  return rows.map((row) => Object.fromEntries(Object.entries(row).filter(([name]) => !aside.includes(name))))
}

let streamed: Opened
let lines: DayLine[]
let report: Record<string, unknown>

beforeAll(async () => {
  dir = await tempDir('loyalty-stream-demo-')
  slice = join(dir.path, 'slice.csv')
  await writeFile(slice, await sliceOfSample(lastDay))
  streamed = await open('streamed')
  const command = ['stream-demo', slice, '--days-per-second', '1000', '--json', '--data-dir', streamed.dataDir]
  const first = await runHere([...command, '--days', String(endedAfter), '--calibrate-after', String(calibrateAfter)])
  const second = await runHere(command)
  expect([first.code, second.code], first.err + second.err).toEqual([0, 0])
  const linesOf = (out: string) =>
    out
      .trimEnd()
      .split('\n')
      .slice(0, -1)
      .map((line) => JSON.parse(line) as DayLine)
  // The last day before the end comes again, which changes nothing.
  lines = [...linesOf(first.out).slice(0, -1), ...linesOf(second.out)]
  report = second.lastJson as Record<string, unknown>
}, 5 * minutes)

afterAll(async () => {
  for (const close of closers.splice(0).reverse()) await close()
  await dir?.remove()
}, minutes)

describe('a replay of forty days', () => {
  it('tells of every day once, days without trade among them, and goes on where it was ended', () => {
    expect(lines.map(({ date }) => date)).toEqual(
      Array.from({ length: days }, (_, day) => isoOfDay(dayOfIso(firstDay) + day)),
    )
    expect(lines.find(({ date }) => date === '2010-12-25')).toMatchObject({ transactions: 0 })
    expect(lines.filter(({ calibrated }) => calibrated !== null).map(({ date }) => date)).toEqual(['2010-12-15'])
    expect(report).toMatchObject({ as_of: lastDay, calibrated_as_of: '2010-12-15', buyers: lines.at(-1)!.buyers })
  })

  it('takes every receipt in under its own day, and lets no day begin before the one before it was taken in', async () => {
    const { log, platform } = streamed
    const registry = openRegistry({ url: platform.urls.registry })
    const control = decoderOf(registry, 'ProgrammeConfigured', 'DayStarted', 'CutPointsPublished', 'ModelActivated')
    const ticks: { readonly offset: number; readonly day: number; readonly atMs: number }[] = []
    for (const { offset, value, timestampMs } of (await recordsOf(log, topics.control))[0]!) {
      const decoded = await control.read(value)
      if (decoded.kind === 'ok' && decoded.name === 'DayStarted')
        ticks.push({ offset, day: decoded.event.date, atMs: timestampMs })
    }
    expect(ticks.map(({ day }) => isoOfDay(day))).toEqual(lines.map(({ date }) => date))
    const blocks = decoderOf(registry, 'TransactionsAccepted')
    let facts = 0
    for (const records of await recordsOf(log, topics.accepted))
      for (const { headers, value, timestampMs } of records) {
        const decoded = await blocks.read(value)
        if (decoded.kind !== 'ok') throw new Error(decoded.kind)
        const known = ticks.filter(({ offset }) => offset < decodePosition(headers).control)
        for (const { day } of decoded.event.facts) {
          facts++
          expect(known.at(-1)?.day).toBe(day)
          const next = ticks.find((tick) => tick.day > day)
          if (next !== undefined) expect(next.atMs).toBeGreaterThanOrEqual(timestampMs)
        }
      }
    expect(facts).toBe(lines.reduce((sum, { transactions }) => sum + transactions, 0))
    expect(facts).toBeGreaterThan(1_500)
  })

  it('leaves a history in which every change that a receipt caused is of the day of that receipt', async () => {
    const { clickhouse, pool } = streamed
    const query = `SELECT count() AS changes, countIf(change.day != fact.day) AS strange
      FROM (SELECT client_id, day, arrayJoin(transaction_ids) AS transaction_id FROM segment_changes FINAL
            WHERE cause IN ('purchase', 'refund')) AS change
      INNER JOIN transactions AS fact ON fact.client_id = change.client_id AND fact.transaction_id = change.transaction_id`
    const found = await (await clickhouse.query({ query, format: 'JSONEachRow' })).json<Record<string, string>>()
    expect(Number(found[0]!.strange)).toBe(0)
    expect(Number(found[0]!.changes)).toBeGreaterThan(500)
    const { rows } = await pool.query<{ day: string; n: number }>(
      'SELECT as_of::text AS day, count(*)::int AS n FROM projector.client_segment_history GROUP BY as_of ORDER BY as_of',
    )
    const changed = lines.filter(({ changes }) => changes > 0)
    expect(rows).toEqual(changed.map(({ date, changes }) => ({ day: date, n: changes })))
  })

  it('leaves populations by day that are those it showed while it ran', async () => {
    const range = { fromDay: dayOfIso(firstDay), toDay: dayOfIso(lastDay) }
    const { sql, params } = segmentPopulations(range)
    const answer = await streamed.clickhouse.query({ query: sql, query_params: params, format: 'JSONEachRow' })
    const found = await answer.json<{ day: string; segment: string; clients: string }>()
    const populations = new Map(found.map(({ day, segment, clients }) => [`${day} ${segment}`, Number(clients)]))
    for (const { date, segments } of lines)
      for (const [segment, clients] of Object.entries(segments))
        expect([date, segment, populations.get(`${date} ${segment}`) ?? 0]).toEqual([date, segment, clients])
    // In the month after their first purchase clients are new: the first of them move on within these days.
    expect(lines.at(-1)!.segments.new).toBeLessThan(lines.at(-1)!.buyers)
    expect(lines.at(-1)!.segments.at_risk).toBeGreaterThan(0)
  })

  it('refuses another file in the same programme', async () => {
    const other = join(dir.path, 'other.csv')
    await writeFile(other, await sliceOfSample('2010-12-02'))
    const run = await runHere(['stream-demo', other, '--json', '--data-dir', streamed.dataDir])
    expect(run.code).toBe(1)
    expect(run.lastJson).toMatchObject({ error: { code: 'programme_begun' } })
  })
})

describe('the same days as one file, with the same cut-points', () => {
  let uploaded: Opened
  beforeAll(async () => {
    uploaded = await open('uploaded')
    const registry = (platform: Platform) => openRegistry({ url: platform.urls.registry })
    const { cutPoints } = await (await Control.open(streamed.log, topics, registry(streamed.platform))).read()
    await (await Control.open(uploaded.log, topics, registry(uploaded.platform))).publish([
      'CutPointsPublished',
      cutPoints!,
    ])
    const { taskId } = await sendFile(uploaded.platform.urls.api, slice, { profile: 'online-retail' })
    await awaitTask(uploaded.platform.urls.api, taskId, () => {}, new AbortController().signal)
  }, 3 * minutes)

  it('leave the same state of every client', async () => {
    const found = await states(streamed.pool)
    expect(found.length).toBeGreaterThan(900)
    expect(found).toEqual(await states(uploaded.pool))
  })

  it('are a programme that has begun, which a replay refuses', async () => {
    const run = await runHere(['stream-demo', slice, '--json', '--data-dir', uploaded.dataDir])
    expect(run.code).toBe(1)
    expect(run.lastJson).toMatchObject({ error: { code: 'programme_begun' } })
  })
})
