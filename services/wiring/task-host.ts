import { join, resolve } from 'node:path'
import { topicsOf } from '#schemas/topics.ts'
import { crashPoints, noCrash } from '#streams/core/hooks.ts'
import type { Config } from '../platform/config.ts'
import type { Logger } from '../platform/logging.ts'
import { createMetrics } from '../platform/metrics.ts'
import type { TaskHost } from '../processor/hosts.ts'
import { taskHost } from '../processor/task-host.ts'
import { crashHook } from './crash.ts'
import { openLog } from './log.ts'
import { openClassifiers } from './models.ts'
import type { CrashVariables } from './processor.ts'
import { openTaskStore } from './state.ts'
import { openRegistry } from './stores.ts'

/** A host on this thread, with a log connection of its own, which is closed with it. Errors: `config_invalid`. */
export function openTaskHost(
  config: Config,
  { clientId, logger, crash }: { clientId: string; logger: Logger; crash: CrashVariables },
): TaskHost {
  const hook = crashHook(crash, crashPoints) ?? noCrash
  const log = openLog(config, { clientId, logger })
  const host = taskHost({
    log,
    topics: topicsOf(config.topicPrefix),
    registry: openRegistry(config),
    classifiers: openClassifiers(config),
    logger,
    metrics: createMetrics('processor', { ofProcess: false }),
    stateDir: join(resolve(config.dataDir), 'state'),
    openStore: openTaskStore,
    cacheBytes: config.cacheMib * 1024 * 1024,
    settings: { maxStepRecords: config.stepRecords, deadLetterShare: config.deadLetterShare },
    sessionTimeoutMs: config.sessionTimeoutMs,
    crash: hook,
  })
  let closing: Promise<void> | undefined
  return {
    ...host,
    close() {
      closing ??= host.close().finally(() => log.close())
      return closing
    },
  }
}
