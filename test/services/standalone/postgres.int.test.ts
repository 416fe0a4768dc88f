import { chmod, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Client } from 'pg'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { type RunningPostgres, startEmbeddedPostgres } from '#services/standalone/embedded-postgres.ts'
import { type TempDir, tempDir } from '../../support/temp-dir.ts'

let dir: TempDir
let postgres: RunningPostgres

beforeAll(async () => {
  dir = await tempDir()
  // As a home directory of root: nobody else may pass.
  await chmod(dir.path, 0o700)
  postgres = await startEmbeddedPostgres({ dataDir: join(dir.path, 'postgres') })
})
afterAll(async () => {
  await postgres.stop()
  await dir.remove()
})

async function query(sql: string): Promise<unknown[]> {
  const client = new Client({ connectionString: postgres.url })
  await client.connect()
  try {
    return (await client.query({ text: sql, rowMode: 'array' })).rows.flat() as unknown[]
  } finally {
    await client.end()
  }
}

it('serves the database loyalty over TCP on this machine only, with a password', async () => {
  expect(await query('SELECT current_database()')).toEqual(['loyalty'])
  expect(await query("SELECT current_setting('jit'), current_setting('synchronous_commit')")).toEqual(['off', 'on'])
  expect(await query("SELECT lower('ЧЕМПИОНЫ')")).toEqual(['чемпионы'])
  const stranger = new Client({ connectionString: postgres.url.replace(/:[^:@]*@/, ':wrong@') })
  await expect(stranger.connect()).rejects.toThrow(/password/)
})

it('keeps its data over a stop and another start', async () => {
  await query('CREATE TABLE kept AS SELECT 1 AS id')
  await postgres.stop()
  postgres = await startEmbeddedPostgres({ dataDir: join(dir.path, 'postgres') })
  expect(await query('SELECT id FROM kept')).toEqual([1])
})

it('recovers what was committed when the server is killed and its pid file is stale', async () => {
  await query('INSERT INTO kept VALUES (2)')
  process.kill(postgres.pid, 'SIGKILL')
  await postgres.ended
  expect(await readFile(join(dir.path, 'postgres/data/postmaster.pid'), 'utf8')).toContain(String(postgres.pid))
  await postgres.stop()
  postgres = await startEmbeddedPostgres({ dataDir: join(dir.path, 'postgres') })
  expect(await query('SELECT id FROM kept ORDER BY id')).toEqual([1, 2])
})

it('refuses a cluster that is in use', async () => {
  await expect(startEmbeddedPostgres({ dataDir: join(dir.path, 'postgres') })).rejects.toMatchObject({
    code: 'data_directory_in_use',
  })
})
