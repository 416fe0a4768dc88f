import { type ChildProcess, fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { LoyaltyError } from '#streams/core/error.ts'
import type { Credentials } from './http-front.ts'

export interface ChdbOptions {
  readonly dataDir: string
  /** Default: a free one. */
  readonly port?: number
  /** Asked for by basic auth or ClickHouse's own headers; absent: everybody on this machine is let in. */
  readonly credentials?: Credentials
  /** What the engine prints. */
  readonly onOutput?: (text: string) => void
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

type Hello = { ready: true; port: number; version: string } | { ready: false; message: string }

/**
 * Starts the ClickHouse engine in a child process with ClickHouse's HTTP interface on 127.0.0.1. The child has its own
 * process group, so Ctrl-C reaches the parent alone, which stops its parts in order; it ends when the parent is gone.
 *
 * Errors: `clickhouse_not_started` (details: dataDir), with what the child said.
 */
export async function startChdb(options: ChdbOptions): Promise<RunningChdb> {
  const { credentials } = options
  const login = credentials === undefined ? [] : [JSON.stringify([credentials.user, credentials.password])]
  const child = fork(
    fileURLToPath(new URL('./child.ts', import.meta.url)),
    [options.dataDir, String(options.port ?? 0), ...login],
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
  const hello = await firstMessage(child, ended)
  if (!hello.ready) {
    await ended
    throw new LoyaltyError(
      'clickhouse_not_started',
      `the ClickHouse engine did not start: ${hello.message} ${output}`,
      {
        details: { dataDir: options.dataDir },
      },
    )
  }
  return {
    url: `http://127.0.0.1:${hello.port}`,
    pid: child.pid!,
    version: hello.version,
    ended,
    async stop() {
      if (child.connected) child.send('stop')
      const timer = setTimeout(() => child.kill('SIGKILL'), 15_000)
      await ended
      clearTimeout(timer)
    },
  }
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
