import { topicsOf } from '#schemas/topics.ts'
import { readConfig } from '../platform/config.ts'
import { runProgram } from '../platform/lifecycle.ts'
import { createLogger } from '../platform/logging.ts'
import { createMetrics } from '../platform/metrics.ts'
import { openLog } from '../wiring/log.ts'
import { startRegistry } from './program.ts'

const logger = createLogger('registry', process.env.LOYALTY_LOG_LEVEL || 'info')

await runProgram(logger, async (lifecycle) => {
  const config = readConfig(process.env)
  const log = openLog(config, { clientId: 'loyalty-registry', logger })
  lifecycle.onStop('log', () => log.close())
  const metrics = createMetrics('registry')
  const { schemas } = topicsOf(config.topicPrefix)
  const { registryPort: port, bind: host } = config
  const registry = await startRegistry({ log, topic: schemas, port, host, telemetry: { logger, metrics } })
  lifecycle.onStop('registry', () => registry.close())
  lifecycle.ready(registry)
})
