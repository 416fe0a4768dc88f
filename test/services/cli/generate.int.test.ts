import { afterAll, beforeAll, expect, test } from 'vitest'
import { decoderOf } from '#schemas/decoder.ts'
import { topicsOf } from '#schemas/topics.ts'
import { generateToHttp } from '#services/cli/generator/to-http.ts'
import { readRange } from '#streams/log/range.ts'
import { MemoryLog } from '../../support/memory-log.ts'
import { MemoryRegistry } from '../../support/memory-registry.ts'
import { freePort, type RunningPostgres, startPostgres } from '../../support/postgres.ts'
import { type TempDir, tempDir } from '../../support/temp-dir.ts'
import { openIngest, prepareTopics } from '../ingest/support/world.ts'

const topics = topicsOf('loyalty')
let postgres: RunningPostgres
let dir: TempDir
beforeAll(async () => {
  ;[postgres, dir] = await Promise.all([startPostgres(), tempDir('loyalty-generate-')])
})
afterAll(async () => {
  await postgres.stop()
  await dir.remove()
})

test('generated traffic outlasts a restart of what takes it in: everything is there once, and the report says so', async () => {
  const log = new MemoryLog()
  const registry = new MemoryRegistry()
  await prepareTopics(log, registry, topics, 2)
  const port = await freePort()
  const settings = { monetaryBasis: 'net' as const, partitions: 2, ledgerCap: 4096, currency: 'RUB', timeZone: 'UTC' }
  const start = () =>
    openIngest({
      ...{ log, registry, postgresUrl: postgres.url, dataDir: dir.path },
      changes: { port, programme: { when: 'configure', profile: null }, settings },
    })
  let ingest = await start()
  const [midway, reached] = [Promise.withResolvers<void>(), 1_500]
  const sending = generateToHttp(
    { url: ingest.url, batch: 100, connections: 3 },
    { events: 6_000, clients: 50, seed: 5 },
    { ratePerSecond: 3_000, onProgress: (events) => events >= reached && midway.resolve() },
  )
  await midway.promise
  await ingest.close()
  ingest = await start()
  const report = await sending
  await ingest.close()
  expect(report).toMatchObject({ events: 6_000, accepted: 6_000, rejected: 0, interrupted: false })
  expect(report.retries).toBeGreaterThan(0)
  const ids = new Set<string>()
  const decoder = decoderOf(registry, 'TransactionRecorded')
  for (const [partition, end] of (await log.admin.endOffsets(topics.transactions)).entries())
    for await (const { records } of readRange(log, topics.transactions, partition, 0, end))
      for (const { value } of records) {
        const decoded = await decoder.read(value)
        if (decoded.kind === 'ok') ids.add(decoded.event.transaction_id)
      }
  expect(ids.size).toBe(report.sales + report.refunds + report.voids)
})
