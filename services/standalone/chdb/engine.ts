import { mkdir, rm, writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { LoyaltyError, messageOf } from '#streams/core/error.ts'
import { identifier, insertFromFile, isRead, quoted, type Statement } from './statement.ts'

/** The part of chdb's native addon that is used: its package adds queues and sessions that the HTTP interface has not. */
interface Addon {
  CreateConnection(path: string, args: readonly string[]): object
  CloseConnection(connection: object): void
  QueryAsyncConnection(
    connection: object,
    sql: string,
    format: string,
  ): Promise<{ bytes: Uint8Array; elapsed: number; rowsRead: number; bytesRead: number }>
}

export interface Request extends Statement {
  readonly database: string | null
  /** Format of the result where the SQL names none. */
  readonly format: string
  readonly settings: ReadonlyMap<string, string>
  /** Values of `{name:Type}` in ClickHouse's escaped text form. */
  readonly params: ReadonlyMap<string, string>
}

export interface Answer {
  readonly bytes: Uint8Array
  readonly readRows: number
  readonly readBytes: number
  readonly writtenRows: number
  readonly writtenBytes: number
  readonly elapsedMs: number
}

export interface Engine {
  readonly version: string
  /** Runs one statement. Errors: `clickhouse_exception` (details: exceptionCode; message as ClickHouse words it). */
  run(request: Request): Promise<Answer>
  /** Waits for running statements, then lets go of the data directory. */
  close(): Promise<void>
}

const platformPackages: Readonly<Record<string, string>> = {
  'linux-x64': '@chdb/lib-linux-x64-gnu',
  'linux-arm64': '@chdb/lib-linux-arm64-gnu',
  'darwin-x64': '@chdb/lib-darwin-x64',
  'darwin-arm64': '@chdb/lib-darwin-arm64',
}

/**
 * Opens the ClickHouse engine on a data directory. The engine is process-wide, so one process opens one directory.
 *
 * Every statement has a connection of its own (0.14 ms), which makes it session-less: settings and parameters end with
 * it. Statements run on libuv's threads, never on the event loop. Writes go one after the other; a few reads run beside
 * them, so that a long report does not hold an insert back.
 *
 * Errors: `engine_missing` when chdb is not installed for this platform.
 */
export async function openEngine(dataDir: string, options: { readers?: number } = {}): Promise<Engine> {
  const addon = loadAddon()
  await rm(join(dataDir, inserts), { recursive: true, force: true })
  await mkdir(join(dataDir, inserts), { recursive: true })
  // Held for the life of the process: the engine stops when its last connection closes.
  const root = addon.CreateConnection(dataDir, ['--async_insert=0'])
  const writes = lane(1)
  const reads = lane(options.readers ?? 2)
  const answer = await addon.QueryAsyncConnection(root, 'SELECT version()', 'TSV')

  async function run(request: Request): Promise<Answer> {
    const connection = addon.CreateConnection(dataDir, ['--implicit_select=0'])
    try {
      for (const sql of preamble(request)) await addon.QueryAsyncConnection(connection, sql, 'Null')
      return await execute(addon, connection, request, dataDir)
    } catch (cause) {
      throw clickhouseException(cause)
    } finally {
      addon.CloseConnection(connection)
    }
  }

  return {
    version: Buffer.from(answer.bytes).toString().trim(),
    run: (request) => (isRead(request.sql) ? reads : writes).enter(() => run(request)),
    async close() {
      await Promise.all([writes.drain(), reads.drain()])
      addon.CloseConnection(root)
    },
  }
}

async function execute(addon: Addon, connection: object, request: Request, dataDir: string): Promise<Answer> {
  if (request.data === null) {
    const { bytes, rowsRead, bytesRead, elapsed } = await addon.QueryAsyncConnection(
      connection,
      request.sql,
      request.format,
    )
    return { ...nothing, bytes, readRows: rowsRead, readBytes: bytesRead, elapsedMs: elapsed * 1_000 }
  }
  if (request.data.length === 0) return nothing
  const file = join(dataDir, inserts, crypto.randomUUID())
  const sql = insertFromFile(request.sql, file)
  if (sql === null)
    throw new Error('Code: 62. DB::Exception: Syntax error: data without INSERT … FORMAT. (SYNTAX_ERROR)')
  try {
    await writeFile(file, request.data)
    const { rowsRead, elapsed } = await addon.QueryAsyncConnection(connection, sql, 'Null')
    const size = request.data.length
    const rows = { readRows: rowsRead, readBytes: size, writtenRows: rowsRead, writtenBytes: size }
    return { ...nothing, ...rows, elapsedMs: elapsed * 1_000 }
  } finally {
    await rm(file, { force: true })
  }
}

/** Folder for the data of running inserts. */
const inserts = 'inserts'

const nothing: Answer = {
  bytes: new Uint8Array(),
  readRows: 0,
  readBytes: 0,
  writtenRows: 0,
  writtenBytes: 0,
  elapsedMs: 0,
}

function preamble(request: Request): string[] {
  const statements: string[] = []
  if (request.database !== null) statements.push(`USE ${identifier(request.database)}`)
  // `readonly` forbids further SETs, so it comes last.
  const settings = [...request.settings].sort(([a], [b]) => Number(a === 'readonly') - Number(b === 'readonly'))
  const assignments = [
    ...[...request.params].map(([name, value]) => `param_${plainName(name)} = ${quoted(value)}`),
    ...settings.map(([name, value]) => `${plainName(name)} = ${quoted(value)}`),
  ]
  if (assignments.length > 0) statements.push(`SET ${assignments.join(', ')}`)
  return statements
}

function plainName(name: string): string {
  if (/^[A-Za-z_][A-Za-z0-9_]*$/.test(name)) return name
  throw new Error(`Code: 115. DB::Exception: Unknown setting or parameter ${quoted(name)}. (UNKNOWN_SETTING)`)
}

function clickhouseException(cause: unknown): LoyaltyError {
  const message = messageOf(cause)
  const exceptionCode = Number(/^Code: (\d+)/.exec(message)?.[1] ?? 1002)
  return new LoyaltyError('clickhouse_exception', message, { cause, details: { exceptionCode } })
}

function loadAddon(): Addon {
  const name = platformPackages[`${process.platform}-${process.arch}`]
  try {
    if (name === undefined) throw new Error(`no chdb for ${process.platform}-${process.arch}`)
    const chdb = createRequire(import.meta.url).resolve('chdb')
    return createRequire(chdb)(name) as Addon
  } catch (cause) {
    throw new LoyaltyError(
      'engine_missing',
      'chdb is not installed for this platform; run npm install with optional dependencies, or set LOYALTY_CLICKHOUSE_URL to a ClickHouse server',
      { cause },
    )
  }
}

/** Lets at most `width` calls run at a time, in order of arrival. */
function lane(width: number) {
  const waiting: (() => void)[] = []
  const idle: (() => void)[] = []
  let running = 0
  return {
    async enter<T>(call: () => Promise<T>): Promise<T> {
      if (running >= width) await new Promise<void>((resolve) => waiting.push(resolve))
      else running++
      try {
        return await call()
      } finally {
        const next = waiting.shift()
        if (next !== undefined) next()
        else if (--running === 0) for (const resolve of idle.splice(0)) resolve()
      }
    },
    drain: () => (running === 0 ? Promise.resolve() : new Promise<void>((resolve) => idle.push(resolve))),
  }
}
