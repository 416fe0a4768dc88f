import { createRequire } from 'node:module'
import { topicsOf } from '#schemas/topics.ts'
import { systemClock } from '#streams/core/clock.ts'
import { readConfig } from '../platform/config.ts'
import '../platform/fetch.ts'
import { runProgram } from '../platform/lifecycle.ts'
import { createLogger } from '../platform/logging.ts'
import { createMetrics } from '../platform/metrics.ts'
import { openLog } from '../wiring/log.ts'
import { missing } from '../wiring/missing.ts'
import { openClickHouse, openPostgres, openRegistry } from '../wiring/stores.ts'
import { startApi } from './program.ts'

const logger = createLogger('api', process.env.LOYALTY_LOG_LEVEL || 'info')

await runProgram(logger, async (lifecycle) => {
  const config = readConfig(process.env)
  const pool = openPostgres(config, logger, 10)
  lifecycle.onStop('postgres', () => pool.end())
  const clickhouse = openClickHouse(config)
  lifecycle.onStop('clickhouse', () => clickhouse.close())
  const log = openLog(config, { clientId: 'loyalty-api', logger })
  lifecycle.onStop('log', () => log.close())
  const here = (port: number) => `http://127.0.0.1:${port}`
  const { version } = createRequire(import.meta.url)('../../package.json') as { version: string }
  const api = await startApi(
    {
      pool,
      clickhouse,
      log,
      registry: openRegistry(config),
      topics: topicsOf(config.topicPrefix),
      urls: {
        ingest: config.ingestUrl ?? here(config.ingestPort),
        processor: config.processorUrl ?? here(config.processorPort),
        projector: config.projectorUrl ?? here(config.projectorPort),
        registry: config.registryUrl ?? missing('LOYALTY_REGISTRY_URL'),
      },
      clock: systemClock,
      logger,
      metrics: createMetrics('api'),
      version,
    },
    { port: config.apiPort, bind: config.bind },
  )
  lifecycle.onStop('api', () => api.close())
  lifecycle.ready(api)
})
