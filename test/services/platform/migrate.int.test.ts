import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Pool } from 'pg'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { migrateClickHouse, migratePostgres, readMigrations, statementsOf } from '#services/platform/migrate.ts'
import { startClickHouse, type TestClickHouse } from '../../support/clickhouse.ts'
import { type RunningPostgres, startPostgres } from '../../support/postgres.ts'
import { type TempDir, tempDir } from '../../support/temp-dir.ts'

let postgres: RunningPostgres
let clickhouse: TestClickHouse
let pool: Pool
let dir: TempDir

beforeAll(async () => {
  ;[postgres, clickhouse] = await Promise.all([startPostgres(), startClickHouse()])
  pool = new Pool({ connectionString: postgres.url })
  pool.on('error', () => {})
})
afterAll(async () => {
  await pool.end()
  await Promise.all([postgres.stop(), clickhouse.stop()])
})
beforeEach(async () => {
  dir = await tempDir()
  return () => dir.remove()
})

const write = (files: Record<string, string>) =>
  Promise.all(Object.entries(files).map(([name, sql]) => writeFile(join(dir.path, name), sql)))

async function tables(schema: string): Promise<string[]> {
  const found = await pool.query<{ table_name: string }>(
    'SELECT table_name FROM information_schema.tables WHERE table_schema = $1 ORDER BY 1',
    [schema],
  )
  return found.rows.map((row) => row.table_name)
}

describe('migrations of a Postgres schema', () => {
  const two = {
    '0001-first.up.sql': 'CREATE TABLE a (id int); CREATE TABLE b (id int);',
    '0001-first.down.sql': 'DROP TABLE a, b',
    '0002-second.up.sql': 'CREATE TABLE c (id int)',
    '0002-second.down.sql': 'DROP TABLE c',
  }

  it('go forward, back, and to a number, and are harmless when repeated', async () => {
    await write(two)
    const options = { schema: 'moves', directory: dir.path }
    expect(await migratePostgres(pool, options)).toEqual({ applied: ['0001-first', '0002-second'], current: 2 })
    expect(await migratePostgres(pool, options)).toEqual({ applied: [], current: 2 })
    expect(await tables('moves')).toEqual(['a', 'b', 'c', 'schema_migrations'])
    expect(await migratePostgres(pool, { ...options, target: 1 })).toEqual({ applied: ['-0002-second'], current: 1 })
    expect(await tables('moves')).toEqual(['a', 'b', 'schema_migrations'])
    expect(await migratePostgres(pool, { ...options, target: 0 })).toEqual({ applied: ['-0001-first'], current: 0 })
    expect(await tables('moves')).toEqual(['schema_migrations'])
  })

  it('are run by one of several programs that start together', async () => {
    await write(two)
    const reports = await Promise.all(
      [1, 2, 3].map(() => migratePostgres(pool, { schema: 'together', directory: dir.path })),
    )
    expect(reports.map(({ applied }) => applied.length).sort()).toEqual([0, 0, 2])
  })

  it('leave the schema as it was when one fails', async () => {
    await write({
      ...two,
      '0003-broken.up.sql': 'CREATE TABLE d (id int); CREATE TABLE c (id int)',
      '0003-broken.down.sql': '',
    })
    const options = { schema: 'broken', directory: dir.path }
    await expect(migratePostgres(pool, options)).rejects.toMatchObject({
      code: 'migration_failed',
      details: { name: '0003-broken' },
    })
    expect(await tables('broken')).toEqual(['a', 'b', 'c', 'schema_migrations'])
  })

  it('refuse a file that was edited after it was applied, and a database newer than the code', async () => {
    await write(two)
    const options = { schema: 'edited', directory: dir.path }
    await migratePostgres(pool, options)
    await write({ '0002-second.up.sql': 'CREATE TABLE c (id bigint)' })
    await expect(migratePostgres(pool, options)).rejects.toMatchObject({ code: 'migration_changed' })
    const older = await tempDir()
    await writeFile(join(older.path, '0001-first.up.sql'), two['0001-first.up.sql'])
    await writeFile(join(older.path, '0001-first.down.sql'), two['0001-first.down.sql'])
    await expect(migratePostgres(pool, { ...options, directory: older.path })).rejects.toMatchObject({
      code: 'migration_unknown',
    })
    await older.remove()
  })

  it('demand a way back', async () => {
    await write({ '0001-alone.up.sql': 'SELECT 1' })
    await expect(readMigrations(dir.path)).rejects.toMatchObject({ code: 'migration_without_way_back' })
  })

  it('of the projector lead back to an empty schema', async () => {
    const options = { schema: 'projector', directory: 'migrations/projector' }
    await migratePostgres(pool, options)
    expect(await tables('projector')).toContain('clients')
    await migratePostgres(pool, { ...options, target: 0 })
    expect(await tables('projector')).toEqual(['schema_migrations'])
    await migratePostgres(pool, options)
    expect(await tables('projector')).toContain('clients')
  })
})

describe('migrations of a ClickHouse database', () => {
  it('create the database, run once, and go on after one that broke off', async () => {
    const address = { url: clickhouse.url, database: 'fresh' }
    await write({
      '0001-one.sql': '-- a comment; with a semicolon\nCREATE TABLE IF NOT EXISTS a (id Int32) ENGINE = Memory;\n',
      '0002-two.sql': 'CREATE TABLE IF NOT EXISTS b (id Int32) ENGINE = Memory;\nSELECT nonsense;\n',
    })
    await expect(migrateClickHouse(address, dir.path)).rejects.toMatchObject({ code: 'migration_failed' })
    await write({ '0002-two.sql': 'CREATE TABLE IF NOT EXISTS b (id Int32) ENGINE = Memory;\n' })
    expect(await migrateClickHouse(address, dir.path)).toEqual({ applied: ['0002-two'], current: 2 })
    expect(await migrateClickHouse(address, dir.path)).toEqual({ applied: [], current: 2 })
  })

  it('split a file at semicolons that end a line', () => {
    expect(statementsOf("SELECT ';', 1;\n\n-- only a comment;\nSELECT 2")).toEqual(["SELECT ';', 1", 'SELECT 2'])
  })
})
