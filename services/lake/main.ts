import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { topicsOf } from '#schemas/topics.ts'
import { readConfig } from '../platform/config.ts'
import { runProgram } from '../platform/lifecycle.ts'
import { createLogger } from '../platform/logging.ts'
import { createMetrics } from '../platform/metrics.ts'
import { crashHook } from '../wiring/crash.ts'
import { openOriginals } from '../wiring/ingest.ts'
import { openLake, rejectedSource } from '../wiring/lake.ts'
import { openLog } from '../wiring/log.ts'
import { missing } from '../wiring/missing.ts'
import { openPostgres, openRegistry } from '../wiring/stores.ts'
import { archiveCrashPoints } from './archive.ts'
import { startLake } from './program.ts'

const logger = createLogger('lake', process.env.LOYALTY_LOG_LEVEL || 'info')

await runProgram(logger, async (lifecycle) => {
  const config = readConfig(process.env)
  const dataDir = resolve(config.dataDir)
  // The directory of ingestion may be there to be read only.
  const originals = openOriginals(config, dataDir, join(tmpdir(), `loyalty-lake-${process.pid}`))
  lifecycle.onStop('originals', () => originals.close())
  const pool = openPostgres(config, logger, 2)
  lifecycle.onStop('postgres', () => pool.end())
  const log = openLog(config, { clientId: 'loyalty-lake', logger })
  lifecycle.onStop('log', () => log.close())
  const lake = await startLake({
    log,
    topics: topicsOf(config.topicPrefix),
    topicPrefix: config.topicPrefix,
    registry: openRegistry(config),
    store: openLake(config) ?? missing('LOYALTY_LAKE'),
    rejected: rejectedSource(pool, dataDir, originals),
    rangeBytes: config.lakeFileMib * 1024 * 1024,
    waitMs: config.lakeSeconds * 1_000,
    logger,
    metrics: createMetrics('lake'),
    bind: config.bind,
    port: config.lakePort,
    sessionTimeoutMs: config.sessionTimeoutMs,
    crash: crashHook(process.env, archiveCrashPoints) ?? (() => {}),
  })
  lifecycle.onStop('lake', () => lake.close())
  lifecycle.ready(lake)
})
