import { parentPort, workerData } from 'node:worker_threads'
import { createLogger } from '../platform/logging.ts'
import { serveTaskHost } from '../processor/thread-server.ts'
import type { ProcessorThreadData } from './processor.ts'
import { openTaskHost } from './task-host.ts'

/** Thread of a processor: a member of the group with tasks of its own, which does what the main thread asks. */
const { config, thread, crash } = workerData as ProcessorThreadData
const logger = createLogger('processor', config.logLevel).child({ thread })

if (parentPort !== null)
  serveTaskHost(parentPort, openTaskHost(config, { clientId: `loyalty-processor-${thread}`, logger, crash }), logger)
