import type { MessagePort } from 'node:worker_threads'
import { messageOf } from '#streams/core/error.ts'
import { faultOf } from '#streams/core/fault.ts'
import type { Logger } from '../platform/logging.ts'
import type { TaskHost } from './hosts.ts'
import type { ThreadAnswer, ThreadRequest } from './thread-host.ts'

/**
 * The other side of a `ThreadHost`: answers what is asked of the host of this thread, and ends the thread once it was
 * closed. An error that reaches the top is logged and told; the thread then waits to be closed like the others.
 */
export function serveTaskHost(port: MessagePort, host: TaskHost, logger: Logger): void {
  const answer = (message: ThreadAnswer) => port.postMessage(message)
  for (const event of ['uncaughtException', 'unhandledRejection'] as const)
    process.on(event, (error: unknown) => {
      logger.fatal({ error }, messageOf(error))
      answer({ kind: 'failed', reason: messageOf(error) })
    })
  port.on('message', async ({ id, call }: ThreadRequest) => {
    try {
      answer({ kind: 'done', id, result: await host[call]() })
    } catch (error) {
      answer({ kind: 'fault', id, fault: faultOf(error, 'thread_failed') })
    }
    // Idle connections, of the registry's client for example, would keep it for seconds.
    if (call === 'close') process.exit()
  })
}
