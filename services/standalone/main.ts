import { readConfig } from '../platform/config.ts'
import { runProgram } from '../platform/lifecycle.ts'
import { createLogger } from '../platform/logging.ts'
import { platformSetup } from '../wiring/setup.ts'
import { startPlatform } from './platform.ts'

const logger = createLogger('standalone', process.env.LOYALTY_LOG_LEVEL || 'info')

await runProgram(logger, async (lifecycle) => {
  const config = readConfig(process.env)
  const tell = (text: string) => logger.warn(text)
  const calledOff = new AbortController()
  const { signal } = calledOff
  const setup = platformSetup(logger, tell)
  const starting = startPlatform({ config, env: process.env, setup, tell, signal })
  lifecycle.onStop('platform', async () => {
    calledOff.abort()
    // A start that failed has stopped what it started.
    await starting.then(
      (platform) => platform.stop(),
      () => {},
    )
  })
  const platform = await starting
  logger.info({ urls: platform.urls, startedInMs: platform.startedInMs }, 'the platform serves')
  lifecycle.ready({ port: platform.config.apiPort })
})
