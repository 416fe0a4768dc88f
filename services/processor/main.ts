import { readConfig } from '../platform/config.ts'
import { runProgram } from '../platform/lifecycle.ts'
import { createLogger } from '../platform/logging.ts'
import { createMetrics } from '../platform/metrics.ts'
import { openTaskHosts } from '../wiring/processor.ts'
import { closeHosts } from './hosts.ts'
import { startProcessor } from './program.ts'

const logger = createLogger('processor', process.env.LOYALTY_LOG_LEVEL || 'info')

await runProgram(logger, async (lifecycle) => {
  const config = readConfig(process.env)
  const hosts = await openTaskHosts(config, {
    logger,
    crash: { CRASH_AT: process.env.CRASH_AT, NODE_ENV: process.env.NODE_ENV },
    onFailure: (error) => {
      logger.fatal({ error }, error.message)
      void lifecycle.stop(error.code, 1)
    },
  })
  lifecycle.onStop('tasks', () => closeHosts(hosts))
  const { bind, processorPort: port } = config
  const processor = await startProcessor({ hosts, logger, metrics: createMetrics('processor'), bind, port })
  lifecycle.onStop('processor', () => processor.close())
  lifecycle.ready(processor)
})
