import { join, resolve } from 'node:path'
import { topicsOf } from '#schemas/topics.ts'
import { crashPoints } from '#streams/core/hooks.ts'
import { readConfig } from '../platform/config.ts'
import { runProgram } from '../platform/lifecycle.ts'
import { createLogger } from '../platform/logging.ts'
import { createMetrics } from '../platform/metrics.ts'
import { crashHook } from '../wiring/crash.ts'
import { openLog } from '../wiring/log.ts'
import { openClassifiers } from '../wiring/models.ts'
import { openTaskStore } from '../wiring/state.ts'
import { openRegistry } from '../wiring/stores.ts'
import { startProcessor } from './program.ts'

const logger = createLogger('processor', process.env.LOYALTY_LOG_LEVEL || 'info')

await runProgram(logger, async (lifecycle) => {
  const config = readConfig(process.env)
  const log = openLog(config, { clientId: 'loyalty-processor', logger })
  lifecycle.onStop('log', () => log.close())
  const crash = crashHook(process.env, crashPoints)
  const processor = await startProcessor({
    log,
    topics: topicsOf(config.topicPrefix),
    registry: openRegistry(config),
    classifiers: openClassifiers(config),
    logger,
    metrics: createMetrics('processor'),
    bind: config.bind,
    port: config.processorPort,
    stateDir: join(resolve(config.dataDir), 'state'),
    openStore: openTaskStore,
    cacheBytes: config.cacheMib * 1024 * 1024,
    settings: { maxStepRecords: config.stepRecords, deadLetterShare: config.deadLetterShare },
    sessionTimeoutMs: config.sessionTimeoutMs,
    ...(crash === null ? {} : { crash }),
  })
  lifecycle.onStop('processor', () => processor.close())
  lifecycle.ready(processor)
})
