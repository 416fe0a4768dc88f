import pg from 'pg'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { openPostgresLog } from '#streams/log/postgres/postgres-log.ts'
import { readAll, records, text } from '../../../contracts/log/context.ts'
import { type RunningPostgres, startPostgres } from '../../../support/postgres.ts'

let server: RunningPostgres
beforeAll(async () => {
  server = await startPostgres()
})
afterAll(() => server.stop())

test('a log of the version before, with a row for every record, is read and gone on with', async () => {
  const before = openPostgresLog({ url: server.url })
  await before.admin.ensureTopics([{ topic: 'earlier', partitions: 2, compacted: false }])
  await before.close()
  await asBefore(3)
  const log = openPostgresLog({ url: server.url })
  expect((await readAll(log, 'earlier')).map(text)).toEqual(['r0', 'r1', 'r2'])
  expect(await log.writer().append('earlier', 0, records(4, 'r', 3))).toBe(3)
  for (let from = 0; from <= 7; from++) {
    const read = await readAll(log, 'earlier', 0, from)
    expect(read.map(({ offset }) => offset)).toEqual([0, 1, 2, 3, 4, 5, 6].slice(from))
    expect(read.map(text)).toEqual(['r0', 'r1', 'r2', 'r3', 'r4', 'r5', 'r6'].slice(from))
  }
  await log.close()
})

/** Makes the topic's table as it was made before, and puts records into it as they were put then. */
async function asBefore(count: number): Promise<void> {
  const client = new pg.Client(server.url)
  await client.connect()
  const { rows } = await client.query<{ table_name: string }>('SELECT table_name FROM log.topics')
  const table = `log."${rows[0]!.table_name}"`
  await client.query(`ALTER TABLE ${table} DROP COLUMN packed, RESET (toast_tuple_target)`)
  await client.query(
    `INSERT INTO ${table} SELECT 0, each, 1700000000000, 'k'::bytea, convert_to('r' || each, 'UTF8')
     FROM generate_series(0, $1 - 1) AS each`,
    [count],
  )
  await client.query('UPDATE log.partitions SET next_offset = $1 WHERE partition = 0', [count])
  await client.end()
}
