import { randomBytes } from 'node:crypto'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { topicsOf } from '#schemas/topics.ts'
import { directoryStore } from '#services/lake/directory-store.ts'
import { openKafkaLog } from '#streams/log/kafka/kafka-log.ts'
import { eventually } from '../../support/eventually.ts'
import { sharedKafka } from '../../support/kafka/shared-kafka.ts'
import { Publisher } from '../../support/loyalty/publisher.ts'
import { traffic } from '../../support/loyalty/traffic.ts'
import { MemoryLog } from '../../support/memory-log.ts'
import { MemoryRegistry } from '../../support/memory-registry.ts'
import { type TempDir, tempDir } from '../../support/temp-dir.ts'
import { archiveAll, topics } from '../lake/support/world.ts'
import { lastJson, readRunFile, runLoyalty, startPlatform, stopPlatform } from './support/run-cli.ts'

const partitions = 2

let dir: TempDir
let settings: Record<string, string>
const prefix = `t${randomBytes(5).toString('hex')}`
const events = [...traffic(1), ...traffic(2)]

/** A lake of a cluster that is lost. */
beforeAll(async () => {
  dir = await tempDir('loyalty-lake-')
  const log = new MemoryLog()
  const registry = new MemoryRegistry()
  const publisher = await Publisher.open(log, registry, topics, partitions)
  await publisher.programme()
  await publisher.transactions(events)
  await archiveAll({ log, registry, store: directoryStore(`${dir.path}/lake`) })
  settings = {
    LOYALTY_LOG: 'kafka',
    LOYALTY_KAFKA_BROKERS: (await sharedKafka()).join(','),
    LOYALTY_TOPIC_PREFIX: prefix,
    LOYALTY_PARTITIONS: String(partitions),
  }
})
afterAll(() => dir?.remove())

const importInto = (data: string) =>
  runLoyalty(['import', '--from-lake', `${dir.path}/lake`, '--data-dir', `${dir.path}/${data}`, '--json'], settings)

test('`loyalty import` fills a fresh log in Kafka once, from which `loyalty start` computes the states', async () => {
  const imported = await importInto('rebuilt')
  expect(imported, imported.stderr).toMatchObject({ code: 0 })
  const counts = { transactions: events.length, control_events: 1, found: 0, lost: 0 }
  expect(lastJson(imported)).toMatchObject(counts)
  // In Kafka a log is not that of a directory.
  const again = { code: 1, stderr: expect.stringContaining('import_log_not_empty') }
  expect(await importInto('another')).toMatchObject(again)

  const log = openKafkaLog({ brokers: settings.LOYALTY_KAFKA_BROKERS!.split(','), clientId: 'import' })
  try {
    const ends = await log.admin.endOffsets(topicsOf(prefix).transactions)
    expect(ends.reduce((sum, end) => sum + end, 0)).toBe(events.length)
  } finally {
    await log.close()
  }

  const data = `${dir.path}/rebuilt`
  const platform = await startPlatform(data, settings)
  try {
    const { urls } = readRunFile(data)
    const clients = async () => {
      const found = (await (await fetch(`${urls.api}/api/v1/clients?limit=100`)).json()) as { client_id: string }[]
      return found.map(({ client_id }) => client_id).sort()
    }
    const all = [...new Set(events.map(({ client_id }) => client_id))].sort().join()
    await eventually(async () => (await clients()).join() === all, { timeoutMs: 60_000, what: 'all clients' })
  } finally {
    await stopPlatform(platform)
  }
})
