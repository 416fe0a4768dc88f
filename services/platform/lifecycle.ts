import { messageOf } from '#streams/core/error.ts'
import type { Logger } from './logging.ts'

/** Something to close, with the name that the log gives it. */
interface Closer {
  readonly name: string
  readonly close: () => Promise<unknown> | unknown
}

/** What a main registers, so that it ends in the reverse order in which it began. */
export interface Lifecycle {
  /** Closed when the program stops, the last registered first. */
  onStop(name: string, close: Closer['close']): void
  /** Tells the supervisor, where there is one, that the program serves, and on which port. */
  ready(facts: { readonly port: number }): void
  /** Ends the program: closes everything and exits. */
  stop(reason: string, exitCode?: number): Promise<void>
}

/** What a program tells the supervisor over its channel. */
export interface ReadyMessage {
  readonly type: 'ready'
  readonly port: number
}

const stopDeadlineMs = 15_000

/**
 * Runs a program's start and ends it cleanly: at SIGTERM or SIGINT, at the supervisor's death (its channel closes), and
 * with exit code 1 when the start fails or an error reaches the top. Only mains call this.
 */
export async function runProgram(logger: Logger, start: (lifecycle: Lifecycle) => Promise<void>): Promise<void> {
  const closers: Closer[] = []
  let stopping: Promise<void> | undefined

  function stop(reason: string, exitCode = 0): Promise<void> {
    stopping ??= closeAll(logger, closers, reason).then((clean) => process.exit(clean ? exitCode : 1))
    return stopping
  }

  process.on('SIGTERM', () => void stop('SIGTERM'))
  process.on('SIGINT', () => void stop('SIGINT'))
  process.on('disconnect', () => void stop('the supervisor is gone'))
  if (process.send !== undefined && !process.connected) return stop('the supervisor is gone')
  for (const event of ['uncaughtException', 'unhandledRejection'] as const)
    process.on(event, (error: unknown) => {
      logger.fatal({ error }, messageOf(error))
      void stop(event, 1)
    })

  const lifecycle: Lifecycle = {
    onStop: (name, close) => void closers.push({ name, close }),
    ready: ({ port }) => {
      logger.info({ port }, 'ready')
      process.send?.({ type: 'ready', port } satisfies ReadyMessage)
    },
    stop,
  }
  try {
    await start(lifecycle)
  } catch (error) {
    // A start that is called off may well fail.
    if (stopping === undefined) logger.fatal({ error }, messageOf(error))
    await stop('the start failed', 1)
  }
}

/** Closes in reverse order; false when something failed or the deadline passed. */
async function closeAll(logger: Logger, closers: readonly Closer[], reason: string): Promise<boolean> {
  logger.info({ reason }, 'stopping')
  const deadline = setTimeout(() => {
    logger.error({ deadlineMs: stopDeadlineMs }, 'did not stop in time; leaving')
    process.exit(1)
  }, stopDeadlineMs)
  let clean = true
  for (const { name, close } of [...closers].reverse()) {
    try {
      await close()
    } catch (error) {
      clean = false
      logger.error({ error, part: name }, `closing ${name} failed`)
    }
  }
  clearTimeout(deadline)
  logger.info({ reason }, 'stopped')
  return clean
}
