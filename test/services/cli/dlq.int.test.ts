import { randomUUID } from 'node:crypto'
import pg from 'pg'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { topicSpecs, topicsOf } from '#schemas/topics.ts'
import { migratePostgres } from '#services/platform/migrate.ts'
import { startRegistry } from '#services/registry/program.ts'
import { openPostgresLog } from '#streams/log/postgres/postgres-log.ts'
import { type RunningPostgres, startPostgres } from '../../support/postgres.ts'
import { tempDir } from '../../support/temp-dir.ts'
import { migrationsDirectory } from '../ingest/support/world.ts'
import { runHere } from './support/run-here.ts'

/** Verbs on engines that are elsewhere, with a data directory of which the programs there know nothing. */

const topics = topicsOf('loyalty')
const closers: (() => Promise<unknown>)[] = []
let postgres: RunningPostgres
let pool: pg.Pool
let env: Record<string, string>

beforeAll(async () => {
  postgres = await startPostgres()
  closers.push(() => postgres.stop())
  pool = new pg.Pool({ connectionString: postgres.url })
  closers.push(() => pool.end())
  const log = openPostgresLog({ url: postgres.url })
  closers.push(() => log.close())
  await log.admin.ensureTopics(topicSpecs(topics, 2))
  const registry = await startRegistry({ log, topic: topics.schemas, port: 0 })
  closers.push(() => registry.close())
  const dir = await tempDir('loyalty-dlq-')
  closers.push(() => dir.remove())
  env = { LOYALTY_POSTGRES_URL: postgres.url, LOYALTY_REGISTRY_URL: registry.url, LOYALTY_DATA_DIR: dir.path }
})
afterAll(async () => {
  for (const close of closers.splice(0).reverse()) await close()
})

const migrate = (target?: number) =>
  migratePostgres(pool, {
    ...{ schema: 'ingest', directory: migrationsDirectory },
    ...(target === undefined ? {} : { target }),
  })

const verb = (...args: string[]) => runHere([...args, '--json'], env)

test('a database of an older version is told as that, whether a table or a column is missing', async () => {
  await migrate(5)
  const outdated = { code: 1, lastJson: { error: { code: 'database_outdated' } } }
  expect(await verb('dlq', 'actions')).toMatchObject(outdated)
  await migrate(3)
  expect(await verb('profiles', 'list')).toMatchObject(outdated)
  await pool.query('alter table ingest.data_upload_batches rename column upload_timestamp to at')
  expect(await verb('uploads', 'list')).toMatchObject(outdated)
  await pool.query('alter table ingest.data_upload_batches rename column at to upload_timestamp')
})

test('letters are listed and discarded, but not replayed, where it is not known what was taken back', async () => {
  await migrate()
  const [batch, task] = [randomUUID(), randomUUID()]
  await pool.query(
    `insert into ingest.data_upload_batches (batch_id, file_name, original_file_path, associated_task_id, profile, size_bytes, content_sha256)
     values ($1, 'a.csv', 'a.csv', $2, '{}', 1, '')`,
    [batch, task],
  )
  await pool.query(
    `insert into ingest.tasks (task_id, kind, batch_id, status, checkpoint) values ($1, 'undo', $2, 'PROCESSING', '{"ended": true}')`,
    [task, batch],
  )
  const lost = { code: 1, lastJson: { error: { code: 'generations_lost' } } }
  expect(await verb('dlq', 'replay', '--all')).toMatchObject(lost)
  expect(await verb('dlq', 'fix', '--all', '--set', 'currency=RUB', '--replay')).toMatchObject(lost)
  expect(await verb('dlq', 'list')).toMatchObject({ code: 0 })
  // Nor is what the program there was ordered worked on from here.
  const ordered = randomUUID()
  await pool.query(
    `insert into ingest.dead_letter_actions (action_id, kind, selector, starts, ends) values ($1, 'replay', '{"all": true}', '[0, 0]', '[0, 0]')`,
    [ordered],
  )
  expect((await verb('dlq', 'discard', '--all', '--because', 'no use')).code).toBe(1)
  const { rows } = await pool.query('select status from ingest.dead_letter_actions where action_id = $1', [ordered])
  expect(rows).toEqual([{ status: 'PROCESSING' }])
  await pool.query('delete from ingest.dead_letter_actions')
  expect(await verb('dlq', 'discard', '--all', '--because', 'no use')).toMatchObject({ code: 0 })
  const named = ['dlq', 'discard', '--id', '99:1', '--id', '0:7', '--because', 'no use']
  const none = { code: 0, lastJson: { status: 'COMPLETED', counts: { selected: 0, not_open: 2 } } }
  expect(await verb(...named)).toMatchObject(none)
  expect((await runHere(named, env)).out).toContain('2 that were named by id are not there')
})
