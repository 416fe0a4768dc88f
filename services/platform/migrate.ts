import { createHash } from 'node:crypto'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type ClickHouseClient, ClickHouseLogLevel, createClient } from '@clickhouse/client'
import type { Client, Pool, PoolClient } from 'pg'
import { LoyaltyError, messageOf } from '#streams/core/error.ts'

export interface Migration {
  /** From the file name, NNNN; they are applied in this order. */
  readonly number: number
  readonly name: string
  readonly up: string
  /** The way back; null where there is none (ClickHouse). */
  readonly down: string | null
  /** Digest of `up`: an applied migration is never edited. */
  readonly checksum: string
}

export interface MigrationReport {
  /** Names of what was done now, in order; `-name` for a step back. */
  readonly applied: readonly string[]
  /** Number of the newest migration in force; 0 when there is none. */
  readonly current: number
}

/**
 * Reads numbered SQL files: `NNNN-name.up.sql` with its `NNNN-name.down.sql`, or `NNNN-name.sql` alone.
 *
 * Errors: `migration_misnamed`, `migration_duplicate`, `migration_without_way_back` (an .up.sql without .down.sql).
 */
export async function readMigrations(directory: string): Promise<Migration[]> {
  const files = (await readdir(directory)).filter((file) => file.endsWith('.sql') && !file.endsWith('.down.sql'))
  const migrations = await Promise.all(files.map((file) => readMigration(directory, file)))
  migrations.sort((a, b) => a.number - b.number)
  const twice = migrations.find(({ number }, index) => migrations[index + 1]?.number === number)
  if (twice !== undefined)
    throw new LoyaltyError('migration_duplicate', `${directory} has two migrations with number ${twice.number}`)
  return migrations
}

async function readMigration(directory: string, file: string): Promise<Migration> {
  const match = /^(\d{4})-([a-z0-9-]+)(\.up)?\.sql$/.exec(file)
  if (match === null)
    throw new LoyaltyError('migration_misnamed', `${join(directory, file)} is not named NNNN-name[.up].sql`)
  const up = await readFile(join(directory, file), 'utf8')
  const name = `${match[1]}-${match[2]}`
  let down: string | null = null
  if (match[3] !== undefined)
    down = await readFile(join(directory, `${name}.down.sql`), 'utf8').catch((cause: unknown) => {
      throw new LoyaltyError('migration_without_way_back', `${name} has no .down.sql beside its .up.sql`, { cause })
    })
  return { number: Number(match[1]), name, up, down, checksum: createHash('sha256').update(up).digest('hex') }
}

export interface PostgresMigrationOptions {
  /** Schema of the program: created where missing, first in the search path of every migration. */
  readonly schema: string
  readonly directory: string
  /** Number to end at, forward or back; default: the newest file. 0 takes everything back, and its data with it. */
  readonly target?: number
}

/**
 * The number to end at, from what a person wrote. `directories` go together: a number is one that exists in any of them, or
 * 0. Errors: `migration_target_unknown`, and those of `readMigrations`.
 */
export async function targetOf(text: string, directories: readonly string[]): Promise<number> {
  const known = (await Promise.all(directories.map(readMigrations))).flat().map(({ number }) => number)
  const numbers = [...new Set(known)].sort((a, b) => a - b)
  const target = /^\d+$/.test(text) ? Number(text) : Number.NaN
  if (target === 0 || numbers.includes(target)) return target
  throw unknownTarget(text, numbers)
}

/**
 * Brings a Postgres schema to a target, each migration in a transaction of its own. Several programs may call it at the
 * same time: one works, the others wait and find it done. What is applied is kept in `<schema>.schema_migrations`.
 *
 * Errors: `migration_target_unknown`, `migration_changed` (an applied file was edited), `migration_unknown` (the database is
 * newer than this code), `migration_failed` (with the name; the database is as after the migration before), and those of `readMigrations`.
 */
export async function migratePostgres(pool: Pool, options: PostgresMigrationOptions): Promise<MigrationReport> {
  const migrations = await readMigrations(options.directory)
  const { target = 0 } = options
  if (!Number.isInteger(target) || target < 0)
    throw unknownTarget(
      String(target),
      migrations.map(({ number }) => number),
    )
  const client = await pool.connect()
  try {
    await client.query('SELECT pg_advisory_lock(hashtextextended($1, 0))', [`migrations of ${options.schema}`])
    try {
      return await runPostgres(client, migrations, options)
    } finally {
      await client.query('SELECT pg_advisory_unlock(hashtextextended($1, 0))', [`migrations of ${options.schema}`])
    }
  } finally {
    client.release()
  }
}

async function runPostgres(
  client: PoolClient,
  migrations: readonly Migration[],
  { schema, target }: PostgresMigrationOptions,
): Promise<MigrationReport> {
  const quoted = client.escapeIdentifier(schema)
  await client.query(`CREATE SCHEMA IF NOT EXISTS ${quoted}`)
  await client.query(
    `CREATE TABLE IF NOT EXISTS ${quoted}.schema_migrations
     (number int PRIMARY KEY, name text NOT NULL, checksum text NOT NULL, applied_at timestamptz NOT NULL DEFAULT now())`,
  )
  const stored = await appliedOf(client, schema)
  checkApplied(migrations, stored)
  const current = stored.at(-1)?.number ?? 0
  const end = target ?? migrations.at(-1)?.number ?? 0
  const forward = migrations.filter(({ number }) => number > current && number <= end)
  const back = stepsBack(migrations, current, end)
  for (const migration of forward)
    await inTransaction(client, schema, migration.name, async () => {
      await client.query(migration.up)
      await client.query(`INSERT INTO ${quoted}.schema_migrations (number, name, checksum) VALUES ($1, $2, $3)`, [
        migration.number,
        migration.name,
        migration.checksum,
      ])
    })
  for (const migration of back)
    await inTransaction(client, schema, migration.name, async () => {
      await client.query(migration.down ?? '')
      await client.query(`DELETE FROM ${quoted}.schema_migrations WHERE number = $1`, [migration.number])
    })
  const applied = [...forward.map(({ name }) => name), ...back.map(({ name }) => `-${name}`)]
  return { applied, current: Math.min(end, migrations.at(-1)?.number ?? 0) }
}

/** Migrations to take back from `current`, in order. */
export function stepsBack(migrations: readonly Migration[], current: number, target: number): Migration[] {
  return migrations.filter(({ number }) => number > target && number <= current).reverse()
}

/** What is applied in a schema, in order; nothing where it does not exist. Errors: those of the driver. */
export async function appliedOf(client: PoolClient, schema: string): Promise<Applied[]> {
  const table = `${client.escapeIdentifier(schema)}.schema_migrations`
  const there = await client.query<{ there: boolean }>('SELECT to_regclass($1) IS NOT NULL AS there', [table])
  if (!there.rows[0]!.there) return []
  return (await client.query<Applied>(`SELECT number, name, checksum FROM ${table} ORDER BY number`)).rows
}

async function inTransaction(
  client: Client | PoolClient,
  schema: string,
  name: string,
  work: () => Promise<void>,
): Promise<void> {
  await client.query('BEGIN')
  try {
    await client.query(`SET LOCAL search_path TO ${client.escapeIdentifier(schema)}, public`)
    await work()
    await client.query('COMMIT')
  } catch (cause) {
    await client.query('ROLLBACK').catch(() => {})
    throw failed(name, cause)
  }
}

export interface ClickHouseAddress {
  readonly url: string
  readonly database: string
  readonly username?: string
  readonly password?: string
}

/**
 * Brings a ClickHouse database forward, creating it where missing. ClickHouse has no transactions, so every statement is
 * idempotent (IF NOT EXISTS, OR REPLACE) and a migration that broke off is simply run again. One caller at a time.
 *
 * Errors: as `migratePostgres`; there is no way back.
 */
export async function migrateClickHouse(address: ClickHouseAddress, directory: string): Promise<MigrationReport> {
  const migrations = await readMigrations(directory)
  const { url, database, username, password } = address
  // What goes wrong is thrown; the client need not print it as well.
  const log = { level: ClickHouseLogLevel.OFF }
  const login = {
    log,
    ...(username === undefined ? {} : { username }),
    ...(password === undefined ? {} : { password }),
  }
  const server = createClient({ url, ...login })
  const client = createClient({ url, database, ...login })
  try {
    await server.command({
      query: 'CREATE DATABASE IF NOT EXISTS {database:Identifier}',
      query_params: { database },
    })
    return await runClickHouse(client, migrations)
  } finally {
    await Promise.all([server.close(), client.close()])
  }
}

async function runClickHouse(client: ClickHouseClient, migrations: readonly Migration[]): Promise<MigrationReport> {
  await client.command({
    query: `CREATE TABLE IF NOT EXISTS schema_migrations
            (number UInt32, name String, checksum String, applied_at DateTime DEFAULT now())
            ENGINE = ReplacingMergeTree ORDER BY number`,
  })
  const result = await client.query({
    query: 'SELECT number, name, checksum FROM schema_migrations FINAL ORDER BY number',
    format: 'JSONEachRow',
  })
  const stored = await result.json<Applied>()
  checkApplied(migrations, stored)
  const current = stored.at(-1)?.number ?? 0
  const pending = migrations.filter(({ number }) => number > current)
  for (const migration of pending) {
    try {
      for (const query of statementsOf(migration.up)) await client.command({ query })
    } catch (cause) {
      throw failed(migration.name, cause)
    }
    const { number, name, checksum } = migration
    await client.insert({ table: 'schema_migrations', values: [{ number, name, checksum }], format: 'JSONEachRow' })
  }
  return { applied: pending.map(({ name }) => name), current: migrations.at(-1)?.number ?? 0 }
}

/** Splits a file at semicolons that end a line. */
export function statementsOf(sql: string): string[] {
  return sql
    .split(/;[ \t]*(?:\r?\n|$)/)
    .map((statement) => statement.trim())
    .filter((statement) => statement.replace(/--[^\n]*/g, '').trim() !== '')
}

export interface Applied {
  readonly number: number
  readonly name: string
  readonly checksum: string
}

function checkApplied(migrations: readonly Migration[], applied: readonly Applied[]): void {
  for (const { number, name, checksum } of applied) {
    const file = migrations.find((migration) => migration.number === number)
    if (file === undefined)
      throw new LoyaltyError('migration_unknown', `the database has ${name}, which this version does not know; update`)
    if (file.checksum !== checksum)
      throw new LoyaltyError(
        'migration_changed',
        `${name} was edited after it was applied; add a new migration instead`,
      )
  }
}

function unknownTarget(given: string, numbers: readonly number[]): LoyaltyError {
  return new LoyaltyError(
    'migration_target_unknown',
    `there is no migration ${given === '' ? "''" : given} to end at; there are ${numbers.join(', ')}, and 0 takes everything back`,
    { details: { given, numbers } },
  )
}

function failed(name: string, cause: unknown): LoyaltyError {
  return new LoyaltyError('migration_failed', `${name}: ${messageOf(cause)}`, { cause, details: { name } })
}
