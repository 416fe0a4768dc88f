import { randomBytes } from 'node:crypto'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { openRegistry } from '#schemas/registry.ts'
import { topicSpecs, topicsOf } from '#schemas/topics.ts'
import { directoryStore } from '#services/lake/directory-store.ts'
import { importLake } from '#services/lake/import.ts'
import { startLake } from '#services/lake/program.ts'
import { verifyLake } from '#services/lake/verify.ts'
import { createLogger } from '#services/platform/logging.ts'
import { createMetrics } from '#services/platform/metrics.ts'
import { startRegistry } from '#services/registry/program.ts'
import { openKafkaLog } from '#streams/log/kafka/kafka-log.ts'
import type { Log } from '#streams/log/log.ts'
import { readRange } from '#streams/log/range.ts'
import { eventually } from '../../support/eventually.ts'
import { sharedKafka } from '../../support/kafka/shared-kafka.ts'
import { sale } from '../../support/loyalty/publisher.ts'
import { StreamWorld } from '../../support/loyalty/stream-world.ts'
import { traffic } from '../../support/loyalty/traffic.ts'
import { type TempDir, tempDir } from '../../support/temp-dir.ts'

let world: StreamWorld
let dir: TempDir

beforeAll(async () => {
  world = await StreamWorld.open({ kafka: await sharedKafka() })
  dir = await tempDir('loyalty-lake-')
})
afterAll(async () => {
  await world?.close()
  await dir?.remove()
})

function lake() {
  return startLake({
    ...{ log: world.log, topics: world.topics, topicPrefix: world.topics.control.split('.')[0]! },
    registry: openRegistry({ url: world.env.LOYALTY_REGISTRY_URL! }),
    store: directoryStore(`${dir.path}/lake`),
    rejected: null,
    ...{ rangeBytes: 5_000, waitMs: 200, lookMs: 50, bind: '127.0.0.1', port: 0 },
    logger: createLogger('lake', 'silent'),
    metrics: createMetrics('lake'),
  })
}

/** What a partition says, but for the ids of schemas. */
async function saidIn(log: Log, topic: string, partition: number) {
  const end = (await log.admin.endOffsets(topic))[partition]!
  const found: string[] = []
  for await (const { records } of readRange(log, topic, partition, 0, end))
    for (const { key, value, headers } of records)
      found.push(
        [key, value?.subarray(5), ...Object.keys(headers).map(Buffer.from)]
          .map((b) => b && Buffer.from(b).toString('hex'))
          .join(),
      )
  return found
}

/** In transactions, of which one is given up, so that offsets are used that have no records. */
async function publishInTransactions(): Promise<number> {
  const writer = world.log.transactionalWriter(`${world.topics.transactions}-lake-test`)
  await writer.fence()
  const record = { ...world.publisher.encode(sale('c9')), headers: { 'x-till': Buffer.from('7') } }
  for (const end of ['commit', 'abort', 'commit'] as const) {
    await writer.append(world.topics.transactions, 0, [record, record])
    await writer[end]()
  }
  await writer.close()
  return 4
}

test('a log in Kafka is archived across marks and given-up transactions, and fills other topics', async () => {
  const store = directoryStore(`${dir.path}/lake`)
  const rows = async () => (await verifyLake(store, () => {})).rows.transaction
  let published = 0
  const publish = async (round: number) => {
    const events = traffic(round)
    await world.publisher.transactions(events)
    published += events.length + (await publishInTransactions())
  }
  await publish(1)
  const first = await lake()
  await eventually(async () => (await rows()) === published, { timeoutMs: 60_000, everyMs: 200 })
  await publish(2)
  await first.close()
  const second = await lake()
  await publish(3)
  await eventually(async () => (await rows()) === published, { timeoutMs: 60_000, everyMs: 200 })
  const lag = async () => {
    const { streams } = (await (await fetch(`${second.url}/status`)).json()) as { streams: { lag_records: number }[] }
    return streams.reduce((sum, { lag_records }) => sum + lag_records, 0)
  }
  await eventually(async () => (await lag()) === 0, { timeoutMs: 10_000, what: 'no lag, though marks are at the end' })
  await second.close()
  expect(await verifyLake(store, () => {})).toMatchObject({
    faults: [],
    unaccounted: { ranges: [], files: [] },
    lost: 0,
  })

  const log = openKafkaLog({ brokers: await sharedKafka(), clientId: 'import' })
  const prefix = `t${randomBytes(5).toString('hex')}`
  const topics = topicsOf(prefix)
  await log.admin.ensureTopics(topicSpecs(topics, 2))
  const registry = await startRegistry({ log, topic: topics.schemas, port: 0 })
  try {
    const deps = { store, log, topics, topicPrefix: prefix, registry: openRegistry({ url: registry.url }) }
    const rest = { onBegin: () => {}, onProgress: () => {}, signal: new AbortController().signal }
    expect(await importLake({ ...deps, ...rest, resumed: false, acceptDataLoss: false })).toMatchObject({
      transactions: published,
      control_events: 2,
    })
    for (const partition of [0, 1])
      expect(await saidIn(log, topics.transactions, partition)).toEqual(
        await saidIn(world.log, world.topics.transactions, partition),
      )
  } finally {
    await registry.close()
    await log.close()
  }
})
