import { ClickHouseLogLevel, createClient } from '@clickhouse/client'
import { topicsOf } from '#schemas/topics.ts'
import { startApi } from '#services/api/program.ts'
import type { IngestDeps } from '#services/ingest/program.ts'
import { createLogger } from '#services/platform/logging.ts'
import { createMetrics } from '#services/platform/metrics.ts'
import { systemClock } from '#streams/core/clock.ts'
import type { Log } from '#streams/log/log.ts'
import { openPostgresLog } from '#streams/log/postgres/postgres-log.ts'
import { MemoryRegistry } from '../../../support/memory-registry.ts'
import { freePort, startPostgres } from '../../../support/postgres.ts'
import { tempDir } from '../../../support/temp-dir.ts'
import { openIngest, prepareTopics } from '../../ingest/support/world.ts'

export interface ApiOverIngest {
  readonly url: string
  readonly log: Log
  close(): Promise<void>
}

export interface ApiOverIngestOptions {
  readonly currency?: string
  readonly timeZone?: string
  readonly tillLimits?: IngestDeps['tillLimits']
}

/** The API's own server before a real ingest program, on the log of PostgreSQL; nothing else runs. */
export async function startApiOverIngest(options: ApiOverIngestOptions = {}): Promise<ApiOverIngest> {
  const { currency = 'GBP', timeZone = 'Europe/London', tillLimits } = options
  const closers: (() => Promise<unknown>)[] = []
  const topics = topicsOf('loyalty')
  const postgres = await startPostgres()
  closers.push(() => postgres.stop())
  const dir = await tempDir('loyalty-api-tills-')
  closers.push(() => dir.remove())
  const log = openPostgresLog({ url: postgres.url })
  closers.push(() => log.close())
  const registry = new MemoryRegistry()
  await prepareTopics(log, registry, topics, 2)
  const ingest = await openIngest({
    log,
    registry,
    postgresUrl: postgres.url,
    dataDir: dir.path,
    changes: {
      programme: { when: 'configure', profile: null },
      settings: { monetaryBasis: 'net', partitions: 2, ledgerCap: 4096, currency, timeZone },
      tillLimits,
    },
  })
  closers.push(() => ingest.close())
  const nowhere = `http://127.0.0.1:${await freePort()}`
  const clickhouse = createClient({ url: nowhere, log: { level: ClickHouseLogLevel.OFF } })
  closers.push(() => clickhouse.close())
  const api = await startApi(
    {
      pool: ingest.pool,
      clickhouse,
      log,
      registry,
      topics,
      urls: { ingest: ingest.url, processor: nowhere, projector: nowhere, registry: nowhere },
      clock: systemClock,
      logger: createLogger('api', 'silent'),
      metrics: createMetrics('api'),
      version: '9.9.9',
    },
    { port: 0, bind: '127.0.0.1' },
  )
  closers.push(() => api.close())
  const close = async () => {
    for (const each of closers.splice(0).reverse()) await each()
  }
  return { url: api.url, log, close }
}
