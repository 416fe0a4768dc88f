import { Pool } from 'pg'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { type DirectoryLock, lockDirectory } from '#services/standalone/chdb/directory-lock.ts'
import { writeRunFile } from '#services/standalone/run-file.ts'
import { type RunningPostgres, startPostgres } from '../../support/postgres.ts'
import { type TempDir, tempDir } from '../../support/temp-dir.ts'
import { runHere } from './support/run-here.ts'

let postgres: RunningPostgres
let pool: Pool
let dir: TempDir

beforeAll(async () => {
  postgres = await startPostgres({ fsync: 'off' })
  pool = new Pool({ connectionString: postgres.url, application_name: 'test' })
  pool.on('error', () => {})
})
afterAll(async () => {
  await pool.end()
  await postgres.stop()
})
beforeEach(async () => {
  dir = await tempDir()
  expect(await migrate('--to', '3')).toMatchObject({ code: 0 })
  await pool.query(
    `INSERT INTO ingest.data_upload_batches (batch_id, file_name, original_file_path, profile, size_bytes, content_sha256)
     VALUES (gen_random_uuid(), 'a.csv', 'uploads/a', '{}', 1, repeat('0', 64)) ON CONFLICT DO NOTHING`,
  )
})
afterEach(async () => {
  await pool.query('TRUNCATE ingest.data_upload_batches CASCADE')
  await dir.remove()
})

const migrate = (...args: string[]) =>
  runHere(['migrate', ...args, '--json', '--data-dir', dir.path], { LOYALTY_POSTGRES_URL: postgres.url })
const uploads = async () => (await pool.query('SELECT FROM ingest.data_upload_batches')).rowCount

describe('migrating backwards', () => {
  test('says what would be lost, and loses nothing unless that is accepted', async () => {
    const { code, lastJson, err } = await migrate('--to', '0')
    expect(code).toBe(1)
    expect(lastJson).toMatchObject({ error: { code: 'data_loss_unconfirmed' } })
    expect(err).toContain('ingest.data_upload_batches (1 row)')
    expect(err).toContain('projector.clients (0 rows)')
    expect(err).toContain('--accept-data-loss')
    expect(await uploads()).toBe(1)
  })

  test('names the columns that go from tables that stay', async () => {
    const { code, err } = await migrate('--to', '2')
    expect(code).toBe(1)
    expect(err).toContain('ingest.tasks.waiting')
    expect(err).not.toContain('ingest.data_upload_batches')
    expect(await uploads()).toBe(1)
  })

  test('is done once the loss is accepted', async () => {
    const { code, lastJson } = await migrate('--to', '0', '--accept-data-loss')
    expect(code).toBe(0)
    expect(lastJson).toMatchObject({
      ingest: { applied: ['-0003-waiting', '-0002-clock', '-0001-uploads'], current: 0 },
      projector: { current: 0 },
    })
    expect((await pool.query(`SELECT to_regclass('ingest.tasks') AS tasks`)).rows).toEqual([{ tasks: null }])
    await migrate('--to', '3')
  })

  test('is refused while programs are connected to the database, wherever they run', async () => {
    const program = new Pool({ connectionString: postgres.url, application_name: 'loyalty', max: 1 })
    await program.query('SELECT 1')
    try {
      expect(await migrate('--to', '0', '--accept-data-loss')).toMatchObject({
        code: 1,
        lastJson: { error: { code: 'database_in_use', details: { connections: 1 } } },
      })
    } finally {
      await program.end()
    }
    expect(await uploads()).toBe(1)
  })

  describe('on the data directory of a running platform', () => {
    let lock: DirectoryLock
    beforeEach(async () => {
      lock = await lockDirectory(dir.path)
      const environment = { LOYALTY_POSTGRES_URL: postgres.url }
      await writeRunFile(dir.path, { pid: process.pid, started_at: '2026-03-01T10:00:00Z', urls: {}, environment })
    })
    afterEach(() => lock.release())

    test('is refused, whatever is accepted; forward is not', async () => {
      const { code, lastJson } = await migrate('--to', '0', '--accept-data-loss')
      expect(code).toBe(1)
      expect(lastJson).toMatchObject({ error: { code: 'platform_running', details: { pid: process.pid } } })
      expect(await uploads()).toBe(1)
      expect(await migrate('--to', '3')).toMatchObject({ code: 0, lastJson: { ingest: { applied: [], current: 3 } } })
    })
  })
})

test.each([['-1'], [''], ['x'], ['1.5'], ['0x1'], ['99']])('there is no migration %j to end at', async (number) => {
  const { code, lastJson, err } = await migrate('--to', number)
  expect(code).toBe(2)
  expect(lastJson).toMatchObject({ error: { code: 'migration_target_unknown' } })
  expect(err).toContain('1, 2, 3')
  expect(await uploads()).toBe(1)
})
