import { type ChildProcess, fork } from 'node:child_process'
import { Pool } from 'pg'
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from 'vitest'
import { encodersOf } from '#schemas/encoder.ts'
import { registerAll } from '#schemas/registry.ts'
import { topicSpecs, topicsOf } from '#schemas/topics.ts'
import { readOffsets } from '#services/projector/progress.ts'
import { orderRebuild, type RebuildTask, readRebuild } from '#services/projector/rebuild-tasks.ts'
import type { Log } from '#streams/log/log.ts'
import { openPostgresLog } from '#streams/log/postgres/postgres-log.ts'
import { eventually } from '../../support/eventually.ts'
import { MemoryRegistry } from '../../support/memory-registry.ts'
import { changeOf, factOf, publishedNames, type Stores, startStores, stateOf } from './world.ts'

const topics = topicsOf('test')
/** Facts, states and changes of segment in ClickHouse, states and changes in profiles, each of two partitions. */
const offsetsInAll = 10
let stores: Stores
let pool: Pool
let log: Log
let database: string
let postgresUrl: string
const children: ChildProcess[] = []
let databases = 0

beforeAll(async () => {
  stores = await startStores()
})
afterAll(() => stores.stop())
beforeEach(async () => {
  database = `crash_${process.pid}_${++databases}`
  const admin = new Pool({ connectionString: stores.postgres.url, max: 1 })
  await admin.query(`CREATE DATABASE ${database}`)
  await admin.end()
  postgresUrl = stores.postgres.url.replace(/\/[^/]*$/, `/${database}`)
  pool = new Pool({ connectionString: postgresUrl, max: 4 })
  pool.on('error', () => {})
  log = openPostgresLog({ url: postgresUrl })
  await log.admin.ensureTopics(topicSpecs(topics, 2))
})
afterEach(async () => {
  for (const child of children.splice(0)) {
    child.kill('SIGKILL')
    await gone(child)
  }
  await log.close()
  await pool.end()
})

function start(point: string, projection: string): ChildProcess {
  const child = fork(
    new URL('./projector-child.ts', import.meta.url),
    [postgresUrl, stores.clickhouse.url, database, point, projection],
    { execArgv: [], stdio: ['ignore', 'inherit', 'inherit', 'ipc'] },
  )
  children.push(child)
  return child
}

async function gone(child: ChildProcess): Promise<void> {
  await eventually(() => child.exitCode !== null || child.signalCode !== null, { timeoutMs: 30_000, what: 'the death' })
}

async function publish(): Promise<void> {
  const encoders = encodersOf(await registerAll(new MemoryRegistry(), topics, publishedNames))
  const writer = log.writer()
  const clients = Array.from({ length: 40 }, (_, n) => `c${n}`)
  for (const partition of [0, 1]) {
    for (let block = 0; block < 5; block++) {
      const facts = Array.from({ length: 100 }, (_, n) => factOf(partition * 10_000 + block * 100 + n))
      const empty = {
        step: block + 1,
        part: 1,
        parts: 1,
        from_offset: 0,
        to_offset: 0,
        batches: [],
        adjustments: [],
        repeats: [],
      }
      await writer.append(topics.accepted, partition, [
        { key: null, value: encoders.TransactionsAccepted.encode({ task: partition, ...empty, facts }) },
      ])
    }
    const mine = clients.filter((_, n) => n % 2 === partition)
    const record = (id: string, value: Buffer) => ({ key: Buffer.from(id), value })
    await writer.append(
      topics.clientState,
      partition,
      mine.flatMap((id) =>
        [1, 2, 3].map((version) => record(id, encoders.ClientStateChanged.encode(stateOf(id, version)))),
      ),
    )
    await writer.append(
      topics.clientReclassified,
      partition,
      mine.map((id) => record(id, encoders.ClientReclassified.encode(changeOf(id, 1)))),
    )
  }
}

it.each([
  ['after-intent', 'clickhouse-facts'],
  ['after-insert', 'clickhouse-facts'],
  ['after-insert', 'clickhouse-segments'],
  ['after-intent', 'clickhouse-state'],
])('a projector killed %s of %s leaves everything there once', async (point, projection) => {
  await publish()
  await gone(start(point, projection))
  start('', '')
  await applied()
  await expectOnce()
})

it('a rebuild whose projector is killed while it fills the new tables is begun again', async () => {
  await publish()
  const first = start('', '')
  await applied()
  // In the way of the new tables, so that the process certainly dies before they are filled.
  const obstacle = await pool.connect()
  await obstacle.query('BEGIN; LOCK TABLE projector.client_segment_history')
  const { task } = await orderRebuild(pool, 'postgres-profiles')
  await eventually(async () => (await readRebuild(pool, task.taskId))?.attempts === 1)
  first.kill('SIGKILL')
  await gone(first)
  await obstacle.query('COMMIT')
  obstacle.release()
  start('', '')
  const done = await ended(task.taskId)
  expect(done).toMatchObject({ state: 'done', attempts: 2, error: null })
  await expectOnce()
})

it('a rebuild whose projector is killed between two exchanges is finished, not begun again', async () => {
  await publish()
  const first = start('inside-swap', 'clickhouse-facts')
  await applied()
  const { task } = await orderRebuild(pool, 'clickhouse-facts')
  await gone(first)
  expect(await readRebuild(pool, task.taskId)).toMatchObject({ state: 'building' })
  start('', '')
  expect(await ended(task.taskId)).toMatchObject({ state: 'done', attempts: 1, error: null })
  await expectOnce()
})

function ended(taskId: string): Promise<RebuildTask> {
  return eventually(
    async () => {
      const task = await readRebuild(pool, taskId)
      return task !== null && task.endedAtMs !== null && task
    },
    { timeoutMs: 30_000, what: 'the end of the rebuild' },
  )
}

async function applied(): Promise<void> {
  await eventually(
    async () => {
      const offsets = (await readOffsets(pool).catch(() => [])).filter(({ topic }) => topic !== topics.clients)
      if (offsets.length < offsetsInAll) return false
      for (const { topic, partition, nextOffset } of offsets)
        if (nextOffset < (await log.admin.endOffsets(topic))[partition]!) return false
      return true
    },
    { timeoutMs: 30_000, what: 'everything applied' },
  )
}

async function expectOnce(): Promise<void> {
  const client = stores.clickhouse.connect(database)
  const answer = await client.query({
    query: `SELECT (SELECT count() FROM transactions) AS transactions, (SELECT sum(net_minor) FROM daily_sales) AS net,
              (SELECT count() FROM client_state FINAL WHERE version = 3) AS states,
              (SELECT sum(delta) FROM segment_population) AS population`,
    format: 'JSONEachRow',
  })
  expect(await answer.json()).toEqual([{ transactions: 1_000, net: 100_000, states: 40, population: 40 }])
  const [rows] = (
    await pool.query(`SELECT (SELECT count(*)::int FROM projector.clients WHERE version = 3) AS clients,
      (SELECT count(*)::int FROM projector.client_segment_history) AS history, (SELECT count(*)::int FROM projector.intent) AS intents`)
  ).rows
  expect(rows).toEqual({ clients: 40, history: 40, intents: 0 })
}
