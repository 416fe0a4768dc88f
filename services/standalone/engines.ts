import { type ChildProcess, fork } from 'node:child_process'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { messageOf } from '#streams/core/error.ts'
import { startChdb } from './chdb/start.ts'
import { startEmbeddedPostgres } from './embedded-postgres.ts'

/** Engines that are given from outside are used and left alone; the others are started in the data directory. */
export interface EngineSettings {
  readonly dataDir: string
  readonly postgresUrl: string | undefined
  readonly clickhouseUrl: string | undefined
  /** Threads of the processor, each of which has connections to the log. */
  readonly processorThreads: number
}

/** Tells what happens to an engine, for the log of the supervisor. */
export type EngineEvent = (text: string) => void

/** An engine that is there: where, and how to end it. */
export interface Engine {
  readonly url: string
  stop(): Promise<void>
}

/** Where ClickHouse is to serve, and whether another port will do where that one is taken. */
export interface PortWish {
  readonly wanted: number
  readonly orAnother: boolean
}

interface RunningEngine {
  readonly url: string
  readonly pid: number
  readonly ended: Promise<{ readonly code: number | null; readonly signal: string | null }>
  stop(): Promise<void>
}

/** A thread of the processor takes up to ten of them; all other programs together, with one of it, stay below a hundred. */
const connections = { ofOneThread: 100, ofAnother: 10 }

const backoffMs = { first: 500, max: 15_000 }

/**
 * The database: external, or an embedded server that is started again on its port should it end by itself. `signal` calls
 * the start off.
 */
export async function openPostgresEngine(
  settings: EngineSettings,
  tell: EngineEvent,
  signal?: AbortSignal,
): Promise<Engine> {
  if (settings.postgresUrl !== undefined) return external(settings.postgresUrl)
  const dataDir = join(settings.dataDir, 'postgres')
  const guard = startGuard()
  const most = connections.ofOneThread + (settings.processorThreads - 1) * connections.ofAnother
  const start = async (again?: number) => {
    const options = again === undefined ? { signal } : { port: again }
    const server = await startEmbeddedPostgres({ dataDir, settings: { max_connections: String(most) }, ...options })
    guard.send({ pid: server.pid })
    return server
  }
  try {
    const kept = await keepRunning('PostgreSQL', start, tell)
    return { url: kept.url, stop: () => kept.stop().finally(() => release(guard)) }
  } catch (error) {
    await release(guard)
    throw error
  }
}

/** The statistics engine: external, or the embedded one, on the port wished for or any free one. `signal` as above. */
export async function openClickHouseEngine(
  settings: EngineSettings,
  tell: EngineEvent,
  port: PortWish = { wanted: 0, orAnother: true },
  signal?: AbortSignal,
): Promise<Engine> {
  if (settings.clickhouseUrl !== undefined) return external(settings.clickhouseUrl)
  const dataDir = join(settings.dataDir, 'clickhouse')
  const start = (again?: number) => {
    const options = again === undefined ? { port: port.wanted, orAnother: port.orAnother, signal } : { port: again }
    return startChdb({ dataDir, ...options })
  }
  return keepRunning('ClickHouse', start, tell)
}

function external(url: string): Engine {
  return { url, stop: async () => {} }
}

/** Starts an engine and, whenever it ends unasked, starts it again on the same port with back-off. */
async function keepRunning(
  name: string,
  start: (port?: number) => Promise<RunningEngine>,
  tell: EngineEvent,
): Promise<Engine> {
  let engine = await start()
  const { url } = engine
  const stopping = new AbortController()
  const { signal } = stopping

  async function startAgain(): Promise<void> {
    for (let delayMs = backoffMs.first; ; delayMs = Math.min(delayMs * 2, backoffMs.max)) {
      tell(`${name} ended by itself; starting it again in ${delayMs} ms`)
      await delay(delayMs, undefined, { signal }).catch(() => {})
      if (signal.aborted) return
      try {
        engine = await start(Number(new URL(url).port))
        return
      } catch (error) {
        tell(`${name} could not be started: ${messageOf(error)}`)
      }
    }
  }

  async function watch(): Promise<void> {
    while (!signal.aborted) {
      await engine.ended
      // Also gives back the lock on its directory.
      await engine.stop()
      if (!signal.aborted) await startAgain()
    }
    await engine.stop()
  }

  const watching = watch()
  return {
    url,
    async stop() {
      stopping.abort()
      await engine.stop()
      await watching
    },
  }
}

function startGuard(): ChildProcess {
  const entry = fileURLToPath(new URL('./guard.ts', import.meta.url))
  return fork(entry, [], { detached: true, execArgv: [], stdio: ['ignore', 'ignore', 'ignore', 'ipc'] })
}

async function release(guard: ChildProcess): Promise<void> {
  if (!guard.connected) return
  const ended = new Promise((resolve) => guard.once('exit', resolve))
  guard.send({ pid: null })
  guard.disconnect()
  await ended
}
