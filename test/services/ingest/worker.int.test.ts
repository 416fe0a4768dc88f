import { randomUUID } from 'node:crypto'
import { mkdir, readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import pg from 'pg'
import { describe, expect, test } from 'vitest'
import { Control } from '#services/ingest/control.ts'
import { type IngestCrashPoint, ingestCrashPoints } from '#services/ingest/crash.ts'
import { loadProfile } from '#services/ingest/profile.ts'
import { createLogger } from '#services/platform/logging.ts'
import { createMetrics } from '#services/platform/metrics.ts'
import { LoyaltyError } from '#streams/core/error.ts'
import { isoOfDay } from '#streams/domain/calendar.ts'
import type { Log } from '#streams/log/log.ts'
import { eventually } from '../../support/eventually.ts'
import { MemoryStage } from './support/stages.ts'
import { retailFile, startStream } from './support/world.ts'

const stage = MemoryStage.ofFile('worker')
const { topics } = stage
const open = stage.ingest.bind(stage)
const stream = stage.stream.bind(stage)

/** The log as a reader sees it while another writer's transaction is open at the end of the transactions. */
function heldLog(): Log & { held: boolean } {
  const { log } = stage
  const { admin } = log
  let before: number[] | null = null
  const held = {
    held: false,
    admin: {
      ...admin,
      endOffsets: async (topic: string) => {
        if (!held.held || topic !== topics.transactions) return admin.endOffsets(topic)
        before ??= await admin.endOffsets(topic)
        return before
      },
    },
    reader: log.reader.bind(log),
    writer: log.writer.bind(log),
    transactionalWriter: log.transactionalWriter.bind(log),
    join: log.join.bind(log),
    close: log.close.bind(log),
  }
  return held
}

async function control() {
  return (await Control.open(stage.log, topics, stage.registry)).read()
}

describe('an upload', () => {
  test('a first upload configures the programme, calibrates, starts the day of its newest receipt and is complete', async () => {
    const ingest = await open()
    await stream()
    const { status, body } = await ingest.upload(retailFile(250))
    expect(status).toBe(202)
    const task = await ingest.ended(body.task_id)
    expect(task).toMatchObject({ status: 'COMPLETED', phase: 'done', progressPercentage: 100, batchId: body.batch_id })
    expect(task.report).toMatchObject({
      lines: 500,
      rows: { accepted: 500, rejected: 0 },
      accepted: 250,
      sales: 250,
      refunds: 0,
      duplicates: 0,
      dead_letters: 0,
      rejected: {},
      clients: 10,
      buyers: 10,
      currency: 'GBP',
      as_of: '2011-09-07',
      cut_points: { basis: 'net', frequency: [25, 25, 25, 25] },
    })
    expect(task.report!.input).toEqual({
      container: 'none',
      encoding: 'utf-8',
      encoding_by: 'profile',
      delimiter: ',',
    })
    expect(Object.keys(task.report!.seconds)).toEqual(
      expect.arrayContaining(['reading', 'publishing', 'streaming', 'calibrating', 'sweeping', 'projecting', 'total']),
    )
    const { programme, day, cutPoints, model } = await control()
    expect(programme).toMatchObject({ currency: 'GBP', time_zone: 'Europe/London', clock: 'events', partitions: 2 })
    expect(isoOfDay(day!)).toBe('2011-09-07')
    expect(cutPoints!.calibrated_as_of).toBe(day)
    expect(model).toMatchObject({ model_id: 'rule', model_version: '1' })
    expect(await ingest.store.upload(body.batch_id)).toMatchObject({
      fileName: 'file.csv',
      status: 'COMPLETED',
      totalRows: 500,
      processedRows: 500,
      errorMessage: null,
      taskId: body.task_id,
    })
    // A task is complete before it has tidied up.
    await eventually(async () => (await readdir(join(stage.path, 'spill'))).length === 0)
    expect(await readdir(join(stage.path, 'uploads'))).toEqual([`${body.batch_id}.csv`])
  })

  test('the metrics count the events that it published, by append', async () => {
    const metrics = createMetrics('ingest')
    const ingest = await open({ metrics })
    await stream()
    await ingest.ended((await ingest.upload(retailFile(60))).body.task_id)
    await ingest.ended((await ingest.upload(retailFile(5, 1_000))).body.task_id)
    const text = await metrics.registry.metrics()
    expect(text).toContain('loyalty_records_total{topic="loyalty.transactions",service="ingest"} 65\n')
    expect(text).toContain('loyalty_batch_records_sum{service="ingest",kind="publish"} 65\n')
    expect(text).toContain('loyalty_batch_records_sum{service="ingest",kind="file"} 130\n')
    expect(text).toMatch(/loyalty_step_seconds_count\{service="ingest",kind="publish"\} [1-9]/)
    expect(text).toMatch(/loyalty_step_seconds_count\{service="ingest",kind="sweeping"\} 2\n/)
  })

  test('log lines of the work carry the trace of the request that brought it, also when it is got ready before its turn', async () => {
    const lines: Record<string, unknown>[] = []
    const logger = createLogger('ingest', 'info', { write: (line: string) => void lines.push(JSON.parse(line)) })
    // Nobody answers for the stream, so that the second upload is got ready while the first one waits.
    const status = { tasks: async () => null }
    const ingest = await open({ logger, stream: { status, everyMs: 20, unreachableAfterMs: 40 } })
    const send = (number: number, headers: Record<string, string>) =>
      ingest.upload(retailFile(5, number), 'online-retail', 'file.csv', headers)
    const first = (await send(1, { traceparent: `00-${'a'.repeat(32)}-${'1'.repeat(16)}-01` })).body.task_id
    const other = { traceparent: `00-${'b'.repeat(32)}-${'1'.repeat(16)}-01`, 'x-correlation-id': 'order-7' }
    const second = (await send(100, other)).body.task_id
    await eventually(() => lines.some(({ code }) => code === 'upload_waits'))
    await stream()
    await ingest.ended(first)
    await ingest.ended(second)
    // Each once: a wait is told again when what is waited for changes.
    const told = (id: string) => [
      ...new Set(
        lines.flatMap(({ task_id, message, trace_id, correlation_id }) =>
          task_id === id ? [`${String(message).split(':')[0]} ${trace_id} ${correlation_id}`] : [],
        ),
      ),
    ]
    const a = `${'a'.repeat(32)} ${first}`
    const b = `${'b'.repeat(32)} order-7`
    await eventually(() => told(second).length === 4)
    expect(told(first)).toEqual([`upload begun ${a}`, `upload waits ${a}`, `upload completed ${a}`])
    const ready = [`upload is got ready before its turn ${b}`, `upload waits ${b}`]
    expect(told(second)).toEqual([...ready, `upload begun ${b}`, `upload completed ${b}`])
  })

  test('the same file again changes nothing but the counts of duplicates', async () => {
    const ingest = await open()
    await stream()
    const first = await ingest.ended((await ingest.upload(retailFile(60))).body.task_id)
    const before = stage.log.records(topics.control).length
    const rows = stage.log.records(topics.clientState).length
    const second = await ingest.ended((await ingest.upload(retailFile(60))).body.task_id)
    expect(second.report).toMatchObject({ accepted: 0, duplicates: 60, sales: 0, clients: 0, gross_minor: 0 })
    expect(second.report!.as_of).toBe(first.report!.as_of)
    expect(second.report!.segments).toEqual(first.report!.segments)
    expect(stage.log.records(topics.control)).toHaveLength(before)
    expect(stage.log.records(topics.clientState)).toHaveLength(rows)
  })

  test('a later upload moves the day forward, an older one does not move it back, the future does not count', async () => {
    const ingest = await open()
    await stream()
    const header = retailFile(0)
    const on = async (date: string, receipt: number) => {
      const file = `${header}${receipt},A,Article,1,${date} 10:00:00,1.00,7.0,UK\n`
      return (await ingest.ended((await ingest.upload(file)).body.task_id)).report!.as_of
    }
    expect(await on('2011-05-01', 1)).toBe('2011-05-01')
    expect(await on('2011-06-01', 2)).toBe('2011-06-01')
    expect(await on('2011-03-01', 3)).toBe('2011-06-01')
    expect(await on('2013-01-01', 4)).toBe('2012-01-15')
    expect((await control()).day).not.toBeNull()
    expect(stage.log.records(topics.control)).toHaveLength(6)
  })

  test.each(['nothing', 'after-day'])(
    'a receipt of the future moves the day to today, and the report says so; interrupted: %s',
    async (point) => {
      let armed = false
      const crash = (at: IngestCrashPoint) => {
        if (!armed || at !== point) return
        armed = false
        throw new LoyaltyError('interrupted', `at ${at}`, { retriable: true })
      }
      const lines: Record<string, unknown>[] = []
      const logger = createLogger('ingest', 'warn', { write: (line: string) => void lines.push(JSON.parse(line)) })
      const ingest = await open({ crash, logger })
      await stream()
      const first = await ingest.ended((await ingest.upload(retailFile(250))).body.task_id)
      expect(first.report).not.toHaveProperty('warnings')
      armed = true
      // After the day of the tests, and yet before the one of the database, by which an upload has its time.
      const future = `${retailFile(2, 1_000)}1,A,Article,1,2021-01-01 10:00:00,1.00,7.0,UK\n`
      const { report } = await ingest.ended((await ingest.upload(future)).body.task_id)
      const details = { day: '2012-01-15', most_of_the_data_until: '2011-09-07', transactions: 1 }
      expect(report).toMatchObject({ as_of: '2012-01-15', warnings: [{ code: 'day_ahead_of_data', details }] })
      await eventually(() => lines.some(({ code }) => code === 'day_ahead_of_data'))
    },
  )

  test('by the system’s clock a programme begins with the day of today, and files do not move it', async () => {
    const ingest = await open({ settings: { clock: 'system', monetaryBasis: 'gross', partitions: 2, ledgerCap: 4096 } })
    await stream()
    const first = await ingest.ended((await ingest.upload(retailFile(20))).body.task_id)
    expect(first.report).toMatchObject({ as_of: '2012-01-15', cut_points: { basis: 'gross' } })
    const records = stage.log.records(topics.control).length
    const second = await ingest.ended((await ingest.upload(retailFile(20, 1_000))).body.task_id)
    expect(second.report).toMatchObject({ as_of: '2012-01-15', accepted: 20 })
    expect(stage.log.records(topics.control)).toHaveLength(records)
  })

  test('a file without a buyer begins nothing; the programme begins with a later upload', async () => {
    const ingest = await open()
    await stream()
    const refund = `${retailFile(0)}C1,A,Article,-1,2011-07-01 10:00:00,1.00,7.0,UK\n`
    const first = await ingest.ended((await ingest.upload(refund)).body.task_id)
    expect(first.report).toMatchObject({ accepted: 1, refunds: 1, as_of: null, cut_points: null, buyers: 0 })
    const second = await ingest.ended((await ingest.upload(retailFile(5))).body.task_id)
    expect(second.report).toMatchObject({ accepted: 5, as_of: '2011-01-05', buyers: 5 })
  })

  test('its events are waited for also while a transaction that is open before them keeps them from readers', async () => {
    const held = heldLog()
    const ingest = await open({ log: held })
    const first = await startStream(stage.log, stage.registry, topics)
    await ingest.ended((await ingest.upload(retailFile(5))).body.task_id)
    await first.close()
    held.held = true
    const { body } = await ingest.upload(retailFile(5, 100))
    const before = new Set(['queued', 'reading', 'grouping', 'publishing'])
    await eventually(async () => !before.has((await ingest.store.task(body.task_id))!.phase))
    await stream()
    expect((await ingest.ended(body.task_id)).report).toMatchObject({ accepted: 5, sales: 5 })
  })

  test('a file in another currency is refused as a whole: nothing is published', async () => {
    const ingest = await open({ settings: { currency: 'RUB', monetaryBasis: 'net', partitions: 2, ledgerCap: 4096 } })
    await stream()
    const task = await ingest.ended((await ingest.upload(retailFile(5))).body.task_id)
    expect(task).toMatchObject({ status: 'FAILED', phase: 'failed', errorCode: 'wrong_currency' })
    expect(task.errorMessage).toContain('RUB')
    expect(stage.log.records(topics.transactions)).toEqual([])
  })

  test('a file that turns out to hold nothing but a header fails, and says so', async () => {
    const ingest = await open()
    // Stored by a version that did not look for rows at the door.
    const [batchId, taskId] = [randomUUID(), randomUUID()]
    const storedPath = join('uploads', `${batchId}.csv`)
    await mkdir(join(stage.path, 'uploads'), { recursive: true })
    await writeFile(join(stage.path, storedPath), retailFile(0))
    const file = { fileName: 'file.csv', storedPath, sizeBytes: 1, sha256: '0'.repeat(64), trace: null }
    await ingest.store.create({ ...file, batchId, taskId, profile: loadProfile('online-retail') })
    const task = await ingest.ended(taskId)
    expect(task).toMatchObject({ status: 'FAILED', errorCode: 'file_empty' })
    expect(task.errorMessage).toContain('no rows below')
  })

  test('a fault in the middle of the file publishes nothing', async () => {
    const ingest = await open()
    const task = await ingest.ended((await ingest.upload(`${retailFile(3000)}"unclosed`)).body.task_id)
    expect(task).toMatchObject({ status: 'FAILED', errorCode: 'csv_unclosed_quote' })
    expect(stage.log.records(topics.transactions)).toEqual([])
  })

  test('a log that is away makes uploads wait, not fail', async () => {
    const ingest = await open()
    await stream()
    stage.log.broker.unavailable = true
    const { body } = await ingest.upload(retailFile(5))
    await expect
      .poll(
        async () =>
          (await ingest.pool.query('select attempts from ingest.tasks where task_id = $1', [body.task_id])).rows[0]
            .attempts,
        { timeout: 10_000 },
      )
      .toBeGreaterThan(1)
    expect(await ingest.store.task(body.task_id)).toMatchObject({
      status: 'PROCESSING',
      waiting: { code: 'log_unavailable', message: expect.any(String) },
    })
    stage.log.broker.unavailable = false
    const task = await ingest.ended(body.task_id)
    expect(task).toMatchObject({ waiting: null, report: { accepted: 5, duplicates: 0 } })
  })

  test('of two programs one works, and the other takes over when it stops', async () => {
    const first = await open()
    const second = await open()
    await stream()
    const one = await first.ended((await first.upload(retailFile(5))).body.task_id)
    expect(one.status).toBe('COMPLETED')
    await first.close()
    const other = await second.ended((await second.upload(retailFile(5, 100))).body.task_id)
    expect(other.report).toMatchObject({ accepted: 5 })
  })
})

describe('an interrupted upload', () => {
  test.each(ingestCrashPoints)('%s: begun again, it comes to the same', async (point) => {
    let left = 1
    const crash = (at: IngestCrashPoint) => {
      if (at === point && left-- === 1) throw new LoyaltyError('interrupted', `at ${at}`, { retriable: true })
    }
    const ingest = await open({ crash })
    await stream()
    const task = await ingest.ended((await ingest.upload(retailFile(4_500))).body.task_id)
    expect(left).toBeLessThan(1)
    expect(task.report).toMatchObject({ lines: 9_000, accepted: 4_500, duplicates: 0, as_of: '2011-10-27', buyers: 10 })
    expect(stage.log.records(topics.transactions)).toHaveLength(4_500)
    expect(stage.log.records(topics.control)).toHaveLength(4)
  })
})

test('a database that ends every connection in the middle makes the upload wait, not fail', async () => {
  let broken = false
  const crash = (at: IngestCrashPoint) => {
    if (at === 'after-rows') broken = true
  }
  const ingest = await open({ crash })
  await stream()
  const { body } = await ingest.upload(retailFile(2_000))
  await eventually(() => broken)
  const killer = new pg.Client({ connectionString: stage.postgresUrl })
  await killer.connect()
  await killer.query(
    `select pg_terminate_backend(pid) from pg_stat_activity where datname = $1 and pid <> pg_backend_pid()`,
    [new URL(stage.postgresUrl).pathname.slice(1)],
  )
  await killer.end()
  expect((await ingest.ended(body.task_id)).report).toMatchObject({ accepted: 2_000, duplicates: 0 })
})
