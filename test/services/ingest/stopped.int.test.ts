import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest'
import { topicsOf } from '#schemas/topics.ts'
import { Control } from '#services/ingest/control.ts'
import { processorStatus } from '#services/ingest/processor-status.ts'
import type { TaskView } from '#services/ingest/store/uploads.ts'
import { createLogger } from '#services/platform/logging.ts'
import type { RunningProcessor } from '#services/processor/program.ts'
import type { ClassifierLoader } from '#streams/classifier/classifier.ts'
import { isoOfDay } from '#streams/domain/calendar.ts'
import type { Log } from '#streams/log/log.ts'
import { openPostgresLog } from '#streams/log/postgres/postgres-log.ts'
import { MemoryStateStore } from '#streams/state/memory-state-store.ts'
import { eventually } from '../../support/eventually.ts'
import { type ProcessorHere, processorHere } from '../../support/loyalty/processor-here.ts'
import { ruleClassifier, ruleLoader } from '../../support/loyalty/rule-classifier.ts'
import { MemoryRegistry } from '../../support/memory-registry.ts'
import { freePort, type RunningPostgres, startPostgres } from '../../support/postgres.ts'
import { type TempDir, tempDir } from '../../support/temp-dir.ts'
import { newDatabase, openIngest, prepareTopics, retailFile } from './support/world.ts'

/** What uploads do, and say, while the real stream processor has stopped or is away. */

const topics = topicsOf('loyalty')
const poisonRecords = 50
let postgres: RunningPostgres
let dir: TempDir
let log: Log
let registry: MemoryRegistry
let ingest: Awaited<ReturnType<typeof openIngest>>
let port: number
const closers: (() => Promise<unknown>)[] = []

beforeAll(async () => {
  postgres = await startPostgres()
})
afterAll(() => postgres.stop())
beforeEach(async () => {
  dir = await tempDir('loyalty-stopped-')
  const database = await newDatabase(postgres.url)
  log = openPostgresLog({ url: database })
  closers.push(() => log.close())
  registry = new MemoryRegistry()
  await prepareTopics(log, registry, topics, 2)
  port = await freePort()
  // Two instances can have one name: here two addresses of this machine.
  const resolve = async () => ['127.0.0.1', '127.0.0.2'].map((address) => ({ address, family: 4 }))
  const status = processorStatus(`http://processor:${port}`, resolve)
  ingest = await openIngest({
    log,
    registry,
    postgresUrl: database,
    dataDir: dir.path,
    changes: { stream: { status, everyMs: 50, unreachableAfterMs: 500 } },
  })
  closers.push(() => ingest.close())
})
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close()
  await dir.remove()
})

/**
 * A real processor that few dead letters stop. A step has room for the poison alone: otherwise it could take what comes
 * behind the poison along and stop after that.
 */
async function processor(changes: Partial<ProcessorHere> = {}): Promise<RunningProcessor> {
  const running = await processorHere({
    log,
    topics,
    registry,
    classifiers: ruleLoader(),
    logger: createLogger('processor', 'silent'),
    port,
    stateDir: join(dir.path, 'state'),
    openStore: () => new MemoryStateStore(),
    settings: { lingerMs: 0, backoffMs: 1, maxBackoffMs: 20, deadLetterWindow: 10, maxStepRecords: poisonRecords },
    ...changes,
  })
  let open = true
  const close = async () => {
    if (open) await running.close()
    open = false
  }
  closers.push(close)
  return { ...running, close }
}

async function poison(partition: number) {
  const writer = log.writer()
  const junk = Array.from({ length: poisonRecords }, () => ({ key: null, value: Buffer.from('no event') }))
  await writer.append(topics.transactions, partition, junk)
  await writer.close()
}

async function uploaded(text: string): Promise<string> {
  return (await ingest.upload(text)).body.task_id
}

async function statusOf(taskId: string): Promise<Record<string, unknown>> {
  const response = await fetch(`${ingest.url}/api/v1/management/tasks/${taskId}/status`)
  return (await response.json()) as Record<string, unknown>
}

async function untilWaiting(taskId: string, code: string) {
  return eventually(
    async () => {
      const status = await statusOf(taskId)
      return (status.waiting as { code: string } | null)?.code === code ? status : null
    },
    { timeoutMs: 20_000, what: `${code} of ${taskId}` },
  )
}

async function completed(taskId: string): Promise<TaskView> {
  const task = await ingest.ended(taskId)
  expect(task).toMatchObject({ status: 'COMPLETED', waiting: null, errorCode: null })
  return task
}

async function published(): Promise<number> {
  return (await log.admin.endOffsets(topics.transactions)).reduce((sum, end) => sum + end, 0)
}

test('a stopped task: the upload says so and goes on after a restart; those behind it are read, published, refused', async () => {
  const first = await processor()
  await completed(await uploaded(retailFile(50)))
  await poison(1)
  const offset = (await log.admin.endOffsets(topics.transactions))[1]!
  const waiting = await uploaded(retailFile(50, 1_000))
  expect(await untilWaiting(waiting, 'processor_stopped')).toMatchObject({
    status: 'PROCESSING',
    phase: 'streaming',
    failure: null,
    waiting: {
      message: expect.stringMatching(/stopped at partition 1 before offset \d+ \(too_many_dead_letters: .*restart/s),
      details: { stopped: [{ partition: 1, offset, code: 'too_many_dead_letters', message: expect.any(String) }] },
      since: expect.stringMatching(/^\d{4}-.*Z$/),
    },
  })
  const bad = await uploaded(`${retailFile(3)}"unclosed`)
  const behind = await uploaded(retailFile(50, 2_000))
  expect(await ingest.ended(bad)).toMatchObject({ status: 'FAILED', errorCode: 'csv_unclosed_quote' })
  expect(await untilWaiting(behind, 'upload_waits')).toMatchObject({
    status: 'PROCESSING',
    waiting: { details: { task_id: waiting, code: 'processor_stopped' } },
  })
  expect(await published()).toBe(150 + poisonRecords)
  expect(await statusOf(waiting)).toMatchObject({ status: 'PROCESSING', waiting: { code: 'processor_stopped' } })

  await first.close()
  await processor()
  const [one, two] = [await completed(waiting), await completed(behind)]
  expect(one.report).toMatchObject({ accepted: 50, duplicates: 0, dead_letters: 0 })
  expect(two.report).toMatchObject({ accepted: 50, duplicates: 0, dead_letters: 0 })
  const { rows } = await ingest.pool.query('select task_id, attempts from ingest.tasks order by finished_at')
  expect(rows.slice(2)).toEqual([
    { task_id: waiting, attempts: 1 },
    { task_id: behind, attempts: 1 },
  ])
  expect(await published()).toBe(150 + poisonRecords)
}, 60_000)

test('before a programme has begun, what comes behind its first upload is read, but not published', async () => {
  const first = await processor()
  await poison(0)
  const waiting = await uploaded(retailFile(50))
  await untilWaiting(waiting, 'processor_stopped')
  const behind = await uploaded(retailFile(250, 1_000))
  await untilWaiting(behind, 'upload_waits')
  expect(await ingest.store.upload((await ingest.store.task(behind))!.batchId)).toMatchObject({ totalRows: 500 })
  expect(await published()).toBe(50 + poisonRecords)
  await first.close()
  await processor()
  // The first alone made the cut-points, as of its own last day.
  expect((await completed(waiting)).report).toMatchObject({
    as_of: '2011-02-19',
    cut_points: { frequency: [5, 5, 5, 5] },
  })
  expect((await completed(behind)).report).toMatchObject({ as_of: '2011-09-07' })
  const { cutPoints } = await (await Control.open(log, topics, registry)).read()
  expect(isoOfDay(cutPoints!.calibrated_as_of!)).toBe('2011-02-19')
}, 60_000)

test('a task that stops in a sweep is told of too', async () => {
  const broken: ClassifierLoader = {
    load: async ({ version }) => ({
      ...ruleClassifier(version),
      classify: async () => {
        throw new Error('the classifier is broken')
      },
    }),
  }
  const first = await processor({ classifiers: broken })
  const taskId = await uploaded(retailFile(50))
  expect(await untilWaiting(taskId, 'processor_stopped')).toMatchObject({
    phase: 'sweeping',
    waiting: { message: expect.stringContaining('the classifier is broken') },
  })
  await first.close()
  await processor()
  expect((await completed(taskId)).report).toMatchObject({ accepted: 50, as_of: '2011-02-19' })
}, 60_000)

test('of two instances one has stopped: told, while the partition of the other goes on', async () => {
  const one = await processor()
  const two = await processor({ bind: '127.0.0.2' })
  await completed(await uploaded(retailFile(50)))
  const owned = async (address: string) => {
    const { tasks } = (await (await fetch(`http://${address}:${port}/status`)).json()) as {
      tasks: { partition: number; state: string }[]
    }
    return tasks.filter(({ state }) => state === 'running').map(({ partition }) => partition)
  }
  const parts = await eventually(
    async () => {
      const shares = await Promise.all(['127.0.0.1', '127.0.0.2'].map(owned))
      return shares.every((share) => share.length === 1) ? shares.flat() : null
    },
    { timeoutMs: 20_000, what: 'a partition for each' },
  )
  await poison(parts[1]!)
  const taskId = await uploaded(retailFile(50, 1_000))
  expect(await untilWaiting(taskId, 'processor_stopped')).toMatchObject({
    waiting: { details: { stopped: [{ partition: parts[1] }] } },
  })
  // Whoever takes the partition over goes on behind what is in the dead letters.
  await two.close()
  await completed(taskId)
  await one.close()
}, 60_000)

test('no processor at all: the upload is taken, waits and says for what, and goes on when there is one', async () => {
  const taskId = await uploaded(retailFile(50))
  expect(await untilWaiting(taskId, 'processor_unreachable')).toMatchObject({
    status: 'PROCESSING',
    phase: 'streaming',
    waiting: { details: { partitions: [0, 1] }, message: expect.stringContaining('LOYALTY_PROCESSOR_URL') },
  })
  await processor()
  expect((await completed(taskId)).report).toMatchObject({ accepted: 50 })
}, 60_000)
