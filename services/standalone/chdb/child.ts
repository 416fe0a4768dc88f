/**
 * The process that holds the ClickHouse engine: a crash of native code, or a query that eats the memory, ends this
 * process and not the platform. Started by start.ts with an IPC channel; it ends when told to, and with its parent, also
 * when that happens while the engine opens.
 *
 * Arguments: data directory, ChildOptions as JSON.
 */
import { once } from 'node:events'
import type { Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setPriority } from 'node:os'
import { messageOf } from '#streams/core/error.ts'
import { lockDirectory } from './directory-lock.ts'
import { type Engine, openEngine } from './engine.ts'
import { httpFront } from './http-front.ts'
import type { ChildOptions, Hello } from './start.ts'

const [dataDir = '', options = '{}'] = process.argv.slice(2)
const { port, orAnother, credentials } = JSON.parse(options) as ChildOptions
const ending = new AbortController()
process.on('message', (message) => {
  if (message === 'stop') ending.abort()
})
// Before the engine has threads, which inherit it: neither a merge nor a report shall keep purchases waiting.
setPriority(10)
process.on('disconnect', () => ending.abort())
if (!process.connected) ending.abort()

async function run({ signal }: AbortController): Promise<void> {
  // A parent that was killed takes its child along within a moment; a restart right after it waits for that.
  const lock = await lockDirectory(dataDir, { waitMs: 10_000, signal })
  try {
    const engine = await openEngine(dataDir)
    try {
      if (!signal.aborted) await serve(engine, signal)
    } finally {
      await engine.close()
    }
  } finally {
    await lock.release()
  }
}

async function serve(engine: Engine, signal: AbortSignal): Promise<void> {
  const server = httpFront(engine, credentials)
  await listen(server, port).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'EADDRINUSE' || !orAnother) throw error
    return listen(server, 0)
  })
  say({ ready: true, port: (server.address() as AddressInfo).port, version: engine.version })
  if (!signal.aborted) await once(signal, 'abort')
  server.close()
  server.closeIdleConnections()
}

async function listen(server: Server, wanted: number): Promise<void> {
  server.listen(wanted, '127.0.0.1')
  await once(server, 'listening')
}

function say(hello: Hello): void {
  if (process.connected) process.send?.(hello)
}

run(ending).then(
  () => process.exit(0),
  (error: unknown) => {
    const { code } = error as NodeJS.ErrnoException
    const hello: Hello = { ready: false, message: messageOf(error), ...(code === undefined ? {} : { code }) }
    if (process.connected) process.send?.(hello, () => process.exit(1))
    else process.exit(1)
  },
)
