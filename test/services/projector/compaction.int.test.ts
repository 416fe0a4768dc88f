import { type ClickHouseClient, ClickHouseLogLevel, createClient } from '@clickhouse/client'
import { Pool } from 'pg'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { encodersOf } from '#schemas/encoder.ts'
import { registerAll } from '#schemas/registry.ts'
import { topicSpecs, topicsOf } from '#schemas/topics.ts'
import { createLogger } from '#services/platform/logging.ts'
import { createMetrics } from '#services/platform/metrics.ts'
import { type Projector, startProjector } from '#services/projector/program.ts'
import type { Log, LogReader } from '#streams/log/log.ts'
import { openPostgresLog, type PostgresLog } from '#streams/log/postgres/postgres-log.ts'
import { eventually } from '../../support/eventually.ts'
import { MemoryRegistry } from '../../support/memory-registry.ts'
import { freePort, type RunningPostgres, startPostgres } from '../../support/postgres.ts'
import { publishedNames } from './world.ts'

const topics = topicsOf('test')
const group = `${topics.clients}-postgres-profiles`

/** How many records readers of the log may still read, one at a time. */
class Gate {
  left = Number.POSITIVE_INFINITY
  waiting = 0
}

/** The log, but its readers take one record a time and as many as the gate lets through. */
function slowed(log: PostgresLog, gate: Gate): Log {
  const reader = (options?: Parameters<Log['reader']>[0]): LogReader => {
    const inner = log.reader(options)
    return {
      seek: (...args) => inner.seek(...args),
      unassign: (...args) => inner.unassign(...args),
      pause: (...args) => inner.pause(...args),
      resume: (...args) => inner.resume(...args),
      close: () => inner.close(),
      async poll(maxWaitMs) {
        const batches = []
        for (const batch of await inner.poll(maxWaitMs)) {
          const [first, second] = batch.records
          if (first === undefined) continue
          const open = gate.left > 0
          if (!open) gate.waiting += 1
          const nextOffset = open ? (second?.offset ?? batch.nextOffset) : first.offset
          inner.seek(batch.topic, batch.partition, nextOffset)
          if (!open) continue
          gate.left -= 1
          batches.push({ ...batch, records: [first], nextOffset })
        }
        return batches
      },
    }
  }
  const writer = () => log.writer()
  const transactionalWriter = (id: string) => log.transactionalWriter(id)
  return {
    admin: log.admin,
    reader,
    writer,
    transactionalWriter,
    join: (each) => log.join(each),
    close: async () => {},
  }
}

describe('compaction of the Postgres log under a projector', () => {
  let server: RunningPostgres
  let clickhouse: ClickHouseClient
  let address: { url: string; database: string }
  let log: PostgresLog
  let pool: Pool
  let gate: Gate
  let projectors: Projector[]
  let databases = 0
  const registry = new MemoryRegistry()
  const fast = { keepTail: 0, minDirtyRatio: 0, tombstoneMs: 0 }

  beforeAll(async () => {
    server = await startPostgres({ fsync: 'off' })
    // Profiles are in Postgres; the other projections wait.
    address = { url: `http://127.0.0.1:${await freePort()}`, database: 'none' }
    clickhouse = createClient({ ...address, log: { level: ClickHouseLogLevel.OFF } })
  })
  afterAll(async () => {
    await clickhouse.close()
    await server.stop()
  })
  beforeEach(async () => {
    const database = `compaction_${++databases}`
    const admin = new Pool({ connectionString: server.url, max: 1 })
    await admin.query(`CREATE DATABASE ${database}`)
    await admin.end()
    const url = server.url.replace(/\/[^/]*$/, `/${database}`)
    log = openPostgresLog({ url })
    pool = new Pool({ connectionString: url, max: 12 })
    pool.on('error', () => {})
    gate = new Gate()
    projectors = []
    await log.admin.ensureTopics([...topicSpecs(topics, 1), { topic: 'unread', partitions: 1, compacted: true }])
    return async () => {
      gate.left = Number.POSITIVE_INFINITY
      await Promise.all(projectors.map((projector) => projector.stop()))
      await pool.end()
      await log.close()
    }
  })

  function start(): Projector {
    const projector = startProjector({
      ...{ log: slowed(log, gate), topics, registry, pool, clickhouse, clickhouseAddress: address, segments: [] },
      logger: createLogger('projector', 'silent'),
      metrics: createMetrics('projector'),
      reconcileEveryMs: 0,
      backOffMs: { first: 10, longest: 200 },
    })
    projectors.push(projector)
    return projector
  }

  async function profile(...ids: string[]): Promise<void> {
    const encoders = encodersOf(await registerAll(registry, topics, publishedNames))
    const records = ids.map((client_id) => ({
      key: Buffer.from(client_id),
      value: encoders.ClientProfileChanged.encode({ client_id, name: client_id, source: 's' }),
    }))
    await log.writer().append(topics.clients, 0, records)
  }
  const erase = (id: string) => log.writer().append(topics.clients, 0, [{ key: Buffer.from(id), value: null }])
  const names = async () =>
    (await pool.query<{ client_id: string }>('SELECT client_id FROM projector.clients ORDER BY 1')).rows.map(
      ({ client_id }) => client_id,
    )
  const told = async () => (await log.admin.groupOffsets(group, topics.clients)).get(0)

  /** Compacts until a tombstone that is younger than all others is gone from a topic that nobody reads. */
  async function compactPastTombstones(): Promise<void> {
    await log.writer().append('unread', 0, [{ key: Buffer.from('x'), value: null }])
    await eventually(async () => {
      await log.compact(fast)
      const reader = log.reader()
      reader.seek('unread', 0, 0)
      const found = (await reader.poll(0)).flatMap(({ records }) => records)
      await reader.close()
      return found.length === 0
    })
  }
  const tombstones = async () => {
    const { rows } = await pool.query<{ table_name: string }>('SELECT table_name FROM log.topics WHERE topic = $1', [
      topics.clients,
    ])
    const found = await pool.query(`SELECT FROM log."${rows[0]!.table_name}" WHERE value IS NULL`)
    return found.rowCount
  }

  it('leaves a tombstone to a projector that was away, and takes it when that has read it', async () => {
    const first = start()
    await profile('a', 'b')
    await eventually(async () => (await names()).length === 2)
    await first.stop()
    await erase('a')
    await compactPastTombstones()
    expect(await tombstones()).toBe(1)
    start()
    await eventually(async () => (await names()).join() === 'b')
    await eventually(async () => (await told()) === 3, { what: 'telling the log' })
    await compactPastTombstones()
    expect(await tombstones()).toBe(0)
  })

  it('leaves a tombstone to a projector that reads more slowly than the log is compacted', async () => {
    gate.left = 1
    await profile('a', 'b')
    await erase('a')
    start()
    await eventually(async () => gate.waiting > 0 && (await names()).join() === 'a')
    await compactPastTombstones()
    expect(await tombstones()).toBe(1)
    gate.left = Number.POSITIVE_INFINITY
    await eventually(async () => (await names()).join() === 'b')
  })

  it('leaves a tombstone to a rebuild that has read what it erases, although the projection is past it', async () => {
    await profile('a', 'b')
    await erase('a')
    const projector = start()
    await eventually(async () => (await names()).join() === 'b')
    await eventually(async () => (await told()) === 3)
    gate.left = 1
    const { task } = await projector.orderRebuild('postgres-profiles')
    await eventually(async () => (await pool.query('SELECT FROM projector_next.clients')).rowCount === 1)
    expect(await told()).toBeLessThan(2)
    await compactPastTombstones()
    expect(await tombstones()).toBe(1)
    gate.left = Number.POSITIVE_INFINITY
    await eventually(async () => (await projector.rebuildTask(task.taskId)).state === 'done')
    expect(await names()).toEqual(['b'])
    await eventually(async () => (await told()) === 3)
    await compactPastTombstones()
    expect(await tombstones()).toBe(0)
  })
})
