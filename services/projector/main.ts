import { topicsOf } from '#schemas/topics.ts'
import { readConfig } from '../platform/config.ts'
import { runProgram } from '../platform/lifecycle.ts'
import { createLogger } from '../platform/logging.ts'
import { createMetrics } from '../platform/metrics.ts'
import { crashHook } from '../wiring/crash.ts'
import { openLog } from '../wiring/log.ts'
import { segmentDefinitions } from '../wiring/projections.ts'
import { clickHouseAddress, openClickHouse, openPostgres, openRegistry } from '../wiring/stores.ts'
import { startProjector } from './program.ts'
import { serveProjector } from './server.ts'

const logger = createLogger('projector', process.env.LOYALTY_LOG_LEVEL || 'info')
const compactEveryMs = 300_000

await runProgram(logger, async (lifecycle) => {
  const config = readConfig(process.env)
  const pool = openPostgres(config, logger, 12)
  lifecycle.onStop('postgres', () => pool.end())
  const clickhouse = openClickHouse(config)
  lifecycle.onStop('clickhouse', () => clickhouse.close())
  // The one program that compacts the Postgres log: it reads the compacted topics and has time to spare.
  const log = openLog(config, { clientId: 'loyalty-projector', logger, compactEveryMs })
  lifecycle.onStop('log', () => log.close())
  const metrics = createMetrics('projector')
  const hook = crashHook(process.env, ['after-intent', 'after-insert', 'inside-swap'] as const)
  const projector = startProjector({
    log,
    topics: topicsOf(config.topicPrefix),
    registry: openRegistry(config),
    pool,
    clickhouse,
    clickhouseAddress: clickHouseAddress(config),
    segments: segmentDefinitions,
    logger,
    metrics,
    ...(hook === null ? {} : { hook }),
  })
  lifecycle.onStop('projections', () => projector.stop())
  const server = await serveProjector({ projector, logger, metrics, port: config.projectorPort, bind: config.bind })
  lifecycle.onStop('server', () => server.close())
  lifecycle.ready(server)
})
