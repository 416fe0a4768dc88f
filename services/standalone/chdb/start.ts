import { type ChildProcess, fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { LoyaltyError } from '#streams/core/error.ts'
import { interrupted } from '../interrupted.ts'
import type { Credentials } from './http-front.ts'

export interface ChdbOptions {
  readonly dataDir: string
  /** Default: a free one. */
  readonly port?: number
  /** Whether another free port will do where `port` is taken; default: no. */
  readonly orAnother?: boolean
  /** Asked for by basic auth or ClickHouse's own headers; absent: everybody on this machine is let in. */
  readonly credentials?: Credentials
  /** What the engine prints. */
  readonly onOutput?: (text: string) => void
  /** Calls the start off. */
  readonly signal?: AbortSignal | undefined
}

export interface RunningChdb {
  /** http://127.0.0.1:port */
  readonly url: string
  readonly pid: number
  readonly version: string
  /** Resolves when the process has ended, for whatever reason. */
  readonly ended: Promise<{ readonly code: number | null; readonly signal: string | null }>
  /** Lets running statements end, then stops the process; kills it after 15 s. Harmless when repeated. */
  stop(): Promise<void>
}

/** What the child is told. */
export interface ChildOptions {
  readonly port: number
  readonly orAnother: boolean
  readonly credentials: Credentials | null
}

/** What the child says first; `code` is that of the error that kept it from starting. */
export type Hello =
  | { readonly ready: true; readonly port: number; readonly version: string }
  | { readonly ready: false; readonly message: string; readonly code?: string }

const stopWithinMs = { whileItServes: 15_000, whileItOpens: 5_000 }

/**
 * Starts the ClickHouse engine in a child process with ClickHouse's HTTP interface on 127.0.0.1. The child has its own
 * process group, so Ctrl-C reaches the parent alone, which stops its parts in order; it ends when the parent is gone.
 *
 * Errors: `clickhouse_not_started` (details: dataDir), with what the child said; `port_in_use`; `interrupted`.
 */
export async function startChdb(options: ChdbOptions): Promise<RunningChdb> {
  const { dataDir, port = 0, orAnother = false, credentials = null, signal } = options
  const child = fork(
    fileURLToPath(new URL('./child.ts', import.meta.url)),
    [dataDir, JSON.stringify({ port, orAnother, credentials } satisfies ChildOptions)],
    { detached: true, execArgv: [], stdio: ['ignore', 'pipe', 'pipe', 'ipc'] },
  )
  let output = ''
  for (const stream of [child.stdout, child.stderr])
    stream?.setEncoding('utf8').on('data', (text: string) => {
      output = (output + text).slice(-4_000)
      options.onOutput?.(text)
    })
  const ended = new Promise<{ code: number | null; signal: string | null }>((resolve) => {
    child.once('exit', (code, signal) => resolve({ code, signal }))
  })
  const stop = async (withinMs: number) => {
    if (child.connected) child.send('stop')
    const timer = setTimeout(() => child.kill('SIGKILL'), withinMs)
    await ended
    clearTimeout(timer)
  }
  const callOff = () => void stop(stopWithinMs.whileItOpens)
  signal?.addEventListener('abort', callOff, { once: true })
  const hello = await firstMessage(child, ended)
  signal?.removeEventListener('abort', callOff)
  if (signal?.aborted) {
    await stop(stopWithinMs.whileItOpens)
    throw interrupted()
  }
  if (!hello.ready) {
    await ended
    throw notStarted(hello, port, `${hello.message} ${output}`, dataDir)
  }
  return {
    url: `http://127.0.0.1:${hello.port}`,
    pid: child.pid!,
    version: hello.version,
    ended,
    stop: () => stop(stopWithinMs.whileItServes),
  }
}

function notStarted({ code }: { code?: string }, port: number, said: string, dataDir: string): LoyaltyError {
  if (code === 'EADDRINUSE')
    return new LoyaltyError(
      'port_in_use',
      `port ${port}, on which ClickHouse is to serve, is in use; choose another one with LOYALTY_CLICKHOUSE_PORT`,
      { details: { port } },
    )
  return new LoyaltyError('clickhouse_not_started', `the ClickHouse engine did not start: ${said}`, {
    details: { dataDir },
  })
}

function firstMessage(
  child: ChildProcess,
  ended: Promise<{ code: number | null; signal: string | null }>,
): Promise<Hello> {
  return Promise.race([
    new Promise<Hello>((resolve) => child.once('message', (message) => resolve(message as Hello))),
    ended.then(({ code, signal }): Hello => ({ ready: false, message: `it ended with ${signal ?? code}` })),
    new Promise<Hello>((resolve) => {
      child.once('error', (error) => resolve({ ready: false, message: error.message }))
    }),
  ])
}
