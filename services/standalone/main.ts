import { readConfig } from '../platform/config.ts'
import { runProgram } from '../platform/lifecycle.ts'
import { createLogger } from '../platform/logging.ts'
import { platformSetup } from '../wiring/setup.ts'
import { startPlatform } from './platform.ts'

const logger = createLogger('standalone', process.env.LOYALTY_LOG_LEVEL || 'info')

await runProgram(logger, async (lifecycle) => {
  const config = readConfig(process.env)
  const tell = (text: string) => logger.warn(text)
  const platform = await startPlatform({ config, env: process.env, setup: platformSetup(logger, tell), tell })
  lifecycle.onStop('platform', platform.stop)
  logger.info({ urls: platform.urls, startedInMs: platform.startedInMs }, 'the platform serves')
  lifecycle.ready({ port: platform.config.apiPort })
})
