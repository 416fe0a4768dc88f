import { setFlagsFromString } from 'node:v8'
import { Worker } from 'node:worker_threads'
import type { LoyaltyError } from '#streams/core/error.ts'
import { crashPoints } from '#streams/core/hooks.ts'
import type { Config } from '../platform/config.ts'
import type { Logger } from '../platform/logging.ts'
import type { TaskHost } from '../processor/hosts.ts'
import { ThreadHost } from '../processor/thread-host.ts'
import { crashHook } from './crash.ts'

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

/** MiB of each half of the young generations, all threads together; no thread has less than the least. */
const youngMib = { all: 64, least: 16 }

/** The hosts of a processor: one on this thread, or as many threads as the configuration says. Errors: `config_invalid`. */
export async function openTaskHosts(
  config: Config,
  { logger, crash, onFailure }: TaskHostsOptions,
): Promise<TaskHost[]> {
  const count = config.processorThreads
  if (count === 1) {
    // The main thread of several needs nothing of what tasks are made of, neither its memory nor its time.
    const { openTaskHost } = await import('./task-host.ts')
    return [openTaskHost(config, { clientId: 'loyalty-processor', logger, crash })]
  }
  crashHook(crash, crashPoints)
  // A flag of the command line prevails over what a thread is limited to; it is read whenever one begins. With a share of
  // the tasks each needs a share of the room: no slower, and 110 MiB less with two (`npm run bench -- --only kafka-uniform`).
  setFlagsFromString(`--max-semi-space-size=${Math.max(youngMib.least, Math.floor(youngMib.all / count))}`)
  return Array.from({ length: count }, (_, index) => {
    const thread = index + 1
    const workerData: ProcessorThreadData = { config, thread, crash }
    const worker = new Worker(new URL('./processor-thread.ts', import.meta.url), { workerData })
    return new ThreadHost({ thread, worker, onFailure })
  })
}
