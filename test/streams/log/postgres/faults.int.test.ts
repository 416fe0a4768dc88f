import pg from 'pg'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { Assignment, Log } from '#streams/log/log.ts'
import { openPostgresLog } from '#streams/log/postgres/postgres-log.ts'
import { readAll, record, records, take, text } from '../../../contracts/log/context.ts'
import { eventually } from '../../../support/eventually.ts'
import { type RunningPostgres, startPostgres } from '../../../support/postgres.ts'
import { type PostgresProxy, startPostgresProxy } from '../../../support/postgres-proxy.ts'

/** The log of the test (`there`) reaches the server directly; the one under faults (`far`) by way of the proxy. */
describe('Postgres log under faults', () => {
  let server: RunningPostgres
  let proxy: PostgresProxy
  let there: Log
  let far: Log
  let topic: string
  let count = 0

  beforeAll(async () => {
    server = await startPostgres()
  })
  afterAll(() => server.stop())
  beforeEach(async () => {
    proxy = await startPostgresProxy(server.url)
    const options = { stoppedWriterMs: 1_000, answerMs: 5_000, pollMs: 200 }
    there = openPostgresLog({ url: server.url, ...options })
    far = openPostgresLog({ url: proxy.url, ...options })
    topic = `faults-${++count}`
    await there.admin.ensureTopics([{ topic, partitions: 2, compacted: false }])
  })
  afterEach(async () => {
    proxy.decide(() => 'pass')
    await far.close()
    await there.close()
    await proxy.stop()
  })

  const at = (word: string, fate: 'cut' | 'lose-answer' | 'stall') => (sent: Buffer) =>
    sent.includes(word) ? fate : 'pass'

  const openTransaction = async () => {
    const writer = far.transactionalWriter(`id-${topic}`)
    await writer.fence()
    await writer.append(topic, 0, [record('first')])
    return writer
  }
  const values = async (partition = 0) => (await readAll(there, topic, partition)).map(text)

  test('a commit whose answer is lost is unknown; it may have happened, and whoever fences next finds out', async () => {
    const writer = await openTransaction()
    proxy.decide(at('COMMIT', 'lose-answer'))
    await expect(writer.commit()).rejects.toMatchObject({ code: 'log_commit_unknown' })
    const successor = there.transactionalWriter(`id-${topic}`)
    await successor.fence()
    expect(await values()).toEqual(['first'])
  })

  test('a commit that never reached the server is as unknown, and did not happen', async () => {
    const writer = await openTransaction()
    proxy.decide(at('COMMIT', 'cut'))
    await expect(writer.commit()).rejects.toMatchObject({ code: 'log_commit_unknown' })
    const successor = there.transactionalWriter(`id-${topic}`)
    await successor.fence()
    expect(await values()).toEqual([])
  })

  test('a commit that is not answered in time is unknown', async () => {
    const writer = await openTransaction()
    proxy.decide(at('COMMIT', 'stall'))
    await expect(writer.commit()).rejects.toMatchObject({ code: 'log_commit_unknown' })
  })

  test('a connection lost before the commit is a clear refusal: nothing was written', async () => {
    const writer = await openTransaction()
    proxy.decide(at('PGCOPY', 'cut'))
    await expect(writer.commit()).rejects.toMatchObject({ code: 'log_unavailable', retriable: true })
    expect(await values()).toEqual([])
    await expect(writer.append(topic, 0, records(1))).rejects.toMatchObject({ code: 'log_closed' })
  })

  for (const word of ['advance-partitions', 'PGCOPY'])
    test(`a writer that stands still at ${word} with locks in its hands holds its successor up for its time-out`, async () => {
      const writer = await openTransaction()
      proxy.decide(at(word, 'stall'))
      const stalled = writer.commit().catch((error: unknown) => error)
      await eventually(async () => (await locksHeld()) > 0)
      const startedAt = performance.now()
      const successor = there.transactionalWriter(`id-${topic}`)
      await successor.fence()
      await successor.append(topic, 0, [record('successor')])
      await successor.commit()
      expect(performance.now() - startedAt).toBeLessThan(10_000)
      expect(await values()).toEqual(['successor'])
      expect(await stalled).toMatchObject({ code: 'log_unavailable' })
    })

  test('a plain append that was not answered may have been written, and the writer goes on', async () => {
    const writer = far.writer()
    await writer.append(topic, 0, [record('before')])
    proxy.decide(at('COMMIT', 'lose-answer'))
    const lost = writer.append(topic, 0, [record('lost')])
    await expect(lost).rejects.toMatchObject({ code: 'log_unavailable', retriable: true })
    proxy.decide(() => 'pass')
    await writer.append(topic, 0, [record('after')])
    expect(await values()).toEqual(['before', 'lost', 'after'])
  })

  test('a reader that loses its connections keeps its position and sees what is new', async () => {
    const reader = far.reader()
    reader.seek(topic, 0, 0)
    await there.writer().append(topic, 0, [record('first')])
    expect((await take(reader, 1)).map(text)).toEqual(['first'])
    proxy.breakAll()
    await there.writer().append(topic, 0, [record('second')])
    const seen = await eventually(async () => {
      const found = await take(reader, 1, 1_000)
      return found.length > 0 && found
    })
    expect(seen.map(text)).toEqual(['second'])
  })

  test('a reader whose notifications go nowhere still sees new records, by asking', async () => {
    proxy.decide(at('LISTEN', 'stall'))
    const reader = far.reader()
    reader.seek(topic, 1, 0)
    expect(await reader.poll(300)).toEqual([])
    await there.writer().append(topic, 1, [record('unannounced')])
    expect((await take(reader, 1, 5_000)).map(text)).toEqual(['unannounced'])
  })

  test('a reader of a topic that was deleted is told', async () => {
    const reader = far.reader()
    reader.seek(topic, 0, 0)
    await reader.poll(500)
    await there.admin.deleteTopics([topic])
    await expect(reader.poll(5_000)).rejects.toMatchObject({ code: 'log_topic_missing' })
  })

  test('a member that loses its connection is told, and joins again', async () => {
    const told: (readonly number[] | null)[] = []
    const member = await far.join({
      group: topic,
      topic,
      onAssigned: ({ partitions }: Assignment) => told.push(partitions),
      onRevoked: () => told.push(null),
    })
    await eventually(() => told.length === 1)
    proxy.breakAll()
    await eventually(() => told.length === 3)
    expect(told).toEqual([[0, 1], null, [0, 1]])
    expect(await member.stillMember()).toBe(true)
  })

  test('a member that is cut off is told before its session ends elsewhere', async () => {
    const options = { group: topic, topic, sessionTimeoutMs: 4_000 }
    const events: string[] = []
    const on = (name: string) => ({
      onAssigned: ({ partitions }: Assignment) => events.push(`${name} ${partitions.join()}`),
      onRevoked: () => events.push(`${name} lost`),
    })
    await far.join({ ...options, ...on('far') })
    await eventually(() => events.length === 1)
    proxy.decide(() => 'stall')
    await there.join({ ...options, ...on('there') })
    await eventually(() => events.includes('there 0,1'), { timeoutMs: 15_000 })
    expect(events).toEqual(['far 0,1', 'far lost', 'there 0,1'])
    proxy.decide(() => 'pass')
    proxy.breakAll()
  })

  async function locksHeld(): Promise<number> {
    const client = new pg.Client(server.url)
    await client.connect()
    try {
      const { rows } = await client.query<{ count: number }>(
        `SELECT count(*)::int AS count FROM pg_locks l JOIN pg_stat_activity a USING (pid)
         WHERE l.locktype = 'transactionid' AND a.application_name = 'log log'`,
      )
      return rows[0]!.count
    } finally {
      await client.end()
    }
  }
})
