import { join, resolve } from 'node:path'
import { Worker } from 'node:worker_threads'
import { topicsOf } from '#schemas/topics.ts'
import type { LoyaltyError } from '#streams/core/error.ts'
import { crashPoints, noCrash } from '#streams/core/hooks.ts'
import type { Config } from '../platform/config.ts'
import type { Logger } from '../platform/logging.ts'
import { createMetrics } from '../platform/metrics.ts'
import { type TaskHost, taskHost } from '../processor/task-host.ts'
import { ThreadHost } from '../processor/thread-host.ts'
import { crashHook } from './crash.ts'
import { openLog } from './log.ts'
import { openClassifiers } from './models.ts'
import { openTaskStore } from './state.ts'
import { openRegistry } from './stores.ts'

/** What of the environment a crash hook asks for. */
export type CrashVariables = { readonly [Name in 'CRASH_AT' | 'NODE_ENV']: string | undefined }

/** What a thread of the processor is given. */
export interface ProcessorThreadData {
  readonly config: Config
  /** From 1. */
  readonly thread: number
  readonly crash: CrashVariables
}

export interface TaskHostsOptions {
  readonly logger: Logger
  readonly crash: CrashVariables
  /** Told when a thread cannot go on or is gone: the process is to end then. */
  readonly onFailure: (error: LoyaltyError) => void
}

/** The hosts of a processor: one on this thread, or as many threads as the configuration says. Errors: `config_invalid`. */
export function openTaskHosts(config: Config, { logger, crash, onFailure }: TaskHostsOptions): TaskHost[] {
  if (config.processorThreads === 1) return [openTaskHost(config, { clientId: 'loyalty-processor', logger, crash })]
  crashHook(crash, crashPoints)
  return Array.from({ length: config.processorThreads }, (_, index) => {
    const thread = index + 1
    const workerData: ProcessorThreadData = { config, thread, crash }
    const worker = new Worker(new URL('./processor-thread.ts', import.meta.url), { workerData })
    return new ThreadHost({ thread, worker, onFailure })
  })
}

/** A host on this thread, with a log connection of its own, which is closed with it. */
export function openTaskHost(
  config: Config,
  { clientId, logger, crash }: { clientId: string; logger: Logger; crash: CrashVariables },
): TaskHost {
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
    crash: crashHook(crash, crashPoints) ?? noCrash,
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
