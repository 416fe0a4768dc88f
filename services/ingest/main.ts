import { readFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { topicsOf } from '#schemas/topics.ts'
import { systemClock } from '#streams/core/clock.ts'
import { readConfig } from '../platform/config.ts'
import '../platform/heap.ts'
import { runProgram } from '../platform/lifecycle.ts'
import { createLogger } from '../platform/logging.ts'
import { createMetrics } from '../platform/metrics.ts'
import { checkImportEnded } from '../standalone/import-mark.ts'
import { crashHook } from '../wiring/crash.ts'
import { clickHouseCalibrator, clickHouseFigures, openOriginals, projectionProgress } from '../wiring/ingest.ts'
import { openLog } from '../wiring/log.ts'
import { defaultModel } from '../wiring/models.ts'
import { allProjections } from '../wiring/projections.ts'
import { programmeSettings } from '../wiring/setup.ts'
import { openClickHouse, openPostgres, openRegistry } from '../wiring/stores.ts'
import { allCrashPoints } from './crash.ts'
import { processorStatus } from './processor-status.ts'
import { startIngest } from './program.ts'
import { parseSources } from './sources/config.ts'

const logger = createLogger('ingest', process.env.LOYALTY_LOG_LEVEL || 'info')

await runProgram(logger, async (lifecycle) => {
  const config = readConfig(process.env)
  const topics = topicsOf(config.topicPrefix)
  const dataDir = resolve(config.dataDir)
  checkImportEnded(dataDir)
  const pool = openPostgres(config, logger)
  lifecycle.onStop('postgres', () => pool.end())
  const clickhouse = openClickHouse(config)
  lifecycle.onStop('clickhouse', () => clickhouse.close())
  const log = openLog(config, { clientId: 'loyalty-ingest', logger })
  lifecycle.onStop('log', () => log.close())
  const ingest = await startIngest({
    log,
    topics,
    registry: openRegistry(config),
    pool,
    projections: projectionProgress(pool, topics, allProjections),
    calibrator: clickHouseCalibrator(clickhouse),
    figures: clickHouseFigures(clickhouse),
    stream: { status: processorStatus(config.processorUrl ?? `http://127.0.0.1:${config.processorPort}`) },
    settings: programmeSettings(config),
    model: await defaultModel(config),
    programme: { when: 'configure', profile: null },
    sources:
      config.sourcesFile === undefined
        ? []
        : parseSources(await readFile(config.sourcesFile, 'utf8'), (name) => process.env[name]),
    dataDir,
    originals: openOriginals(config, dataDir, join(dataDir, 'upload-copies')),
    port: config.ingestPort,
    bind: config.bind,
    clock: systemClock,
    logger,
    metrics: createMetrics('ingest'),
    crash: crashHook(process.env, allCrashPoints) ?? (() => {}),
  })
  lifecycle.onStop('ingest', () => ingest.close())
  lifecycle.ready(ingest)
})
