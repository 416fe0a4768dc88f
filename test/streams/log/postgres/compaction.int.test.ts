import pg from 'pg'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { openPostgresLog, type PostgresLog } from '#streams/log/postgres/postgres-log.ts'
import { readRange } from '#streams/log/range.ts'
import { readAll, record, records, text } from '../../../contracts/log/context.ts'
import { eventually } from '../../../support/eventually.ts'
import { type RunningPostgres, startPostgres } from '../../../support/postgres.ts'

describe('compaction and retention of the Postgres log', () => {
  let server: RunningPostgres
  let log: PostgresLog
  let topic: string
  let count = 0
  const now = { keepTail: 0, minDirtyRatio: 0 }

  beforeAll(async () => {
    server = await startPostgres()
    log = openPostgresLog({ url: server.url })
  })
  afterAll(async () => {
    await log.close()
    await server.stop()
  })
  beforeEach(() => {
    topic = `compacted-${++count}`
  })

  const compacted = () => log.admin.ensureTopics([{ topic, partitions: 2, compacted: true }])
  const found = async (partition = 0) =>
    (await readAll(log, topic, partition)).map((each) => `${each.key} ${text(each)}`)

  test('keeps the newest record of every key, at its offset, and every record without a key', async () => {
    await compacted()
    const [a1, b1] = [record('1', 'a'), record('1', 'b')]
    await log.writer().append(topic, 0, [a1, b1, record('x', null), record('2', 'a'), record('y', null)])
    await log.writer().append(topic, 1, [a1, b1])
    expect(await log.compact(now)).toEqual({ superseded: 1, expired: 0 })
    expect(await found()).toEqual(['b 1', 'null x', 'a 2', 'null y'])
    expect(await found(1)).toEqual(['a 1', 'b 1'])
    expect((await readAll(log, topic)).map(({ offset }) => offset)).toEqual([1, 2, 3, 4])
    expect(await log.admin.endOffsets(topic)).toEqual([5, 2])
    await log.writer().append(topic, 0, [record('3', 'a')])
    expect(await log.compact(now)).toEqual({ superseded: 1, expired: 0 })
    expect(await found()).toEqual(['b 1', 'null x', 'null y', 'a 3'])
  })

  test('leaves other topics alone', async () => {
    await log.admin.ensureTopics([{ topic, partitions: 1, compacted: false }])
    await log.writer().append(topic, 0, [record('1', 'a'), record('2', 'a')])
    expect(await log.compact(now)).toMatchObject({ superseded: 0 })
    expect(await found()).toEqual(['a 1', 'a 2'])
  })

  test('keeps a tombstone for its time, then drops it, and ranges still end', async () => {
    await compacted()
    await log.writer().append(topic, 0, [record('1', 'a'), record('1', 'b'), { key: Buffer.from('b'), value: null }])
    await log.compact(now)
    expect(await found()).toEqual(['a 1', 'b (null)'])
    await eventually(async () => {
      await log.writer().append(topic, 1, records(1))
      await log.writer().append(topic, 0, [record('1', 'c'), { key: Buffer.from('c'), value: null }])
      await log.compact({ ...now, tombstoneMs: 0 })
      return (await found()).length === 1
    })
    expect(await found()).toEqual(['a 1'])
    const [end] = await log.admin.endOffsets(topic)
    let next = 0
    for await (const batch of readRange(log, topic, 0, 0, end!)) next = batch.nextOffset
    expect(next).toBe(end)
  })

  test('touches nothing that the slowest group has not read, nor the newest records', async () => {
    await compacted()
    await log.writer().append(
      topic,
      0,
      [1, 2, 3, 4, 5, 6].map((each) => record(String(each), 'a')),
    )
    await log.admin.setGroupOffsets({ group: 'slow', topic, offsets: new Map([[0, 2]]) })
    await log.admin.setGroupOffsets({ group: 'fast', topic, offsets: new Map([[0, 6]]) })
    await log.compact(now)
    expect(await found()).toEqual(['a 2', 'a 3', 'a 4', 'a 5', 'a 6'])
    await log.admin.setGroupOffsets({ group: 'slow', topic, offsets: new Map([[0, 6]]) })
    await log.compact({ ...now, keepTail: 2 })
    expect(await found()).toEqual(['a 4', 'a 5', 'a 6'])
  })

  test('offsets that were stored hold for every compaction after it, and one under way ends before they are', async () => {
    await compacted()
    await log.writer().append(topic, 0, [record('1', 'a'), record('2', 'a')])
    const client = new pg.Client(server.url)
    await client.connect()
    const { rows } = await client.query<{ table_name: string }>('SELECT table_name FROM log.topics WHERE topic = $1', [
      topic,
    ])
    // Stops the compaction at its first delete, when it knows the group offsets.
    await client.query(`BEGIN; LOCK TABLE log."${rows[0]!.table_name}" IN SHARE MODE`)
    const waiting = async (event: string) => {
      const found = await client.query('SELECT FROM pg_stat_activity WHERE wait_event = $1', [event])
      return found.rowCount === 1
    }
    const compacting = log.compact(now)
    await eventually(() => waiting('relation'))
    let stored = false
    const storing = log.admin.setGroupOffsets({ group: 'late', topic, offsets: new Map([[0, 0]]) }).then(() => {
      stored = true
    })
    await eventually(() => waiting('advisory'))
    expect(stored).toBe(false)
    await client.query('COMMIT')
    await client.end()
    await Promise.all([compacting, storing])
    expect(await found()).toEqual(['a 2'])
    await log.writer().append(topic, 0, [record('3', 'a')])
    await log.compact(now)
    expect(await found()).toEqual(['a 2', 'a 3'])
  })

  test('waits until enough is new', async () => {
    await compacted()
    await log.writer().append(topic, 0, records(100))
    await log.compact({ keepTail: 0 })
    expect(await found()).toEqual(['k r99'])
    await log.writer().append(topic, 0, records(10, 'later'))
    await log.compact({ keepTail: 0 })
    expect(await found()).toHaveLength(11)
    await log.compact(now)
    expect(await found()).toEqual(['k later9'])
  })

  test('goes on while others append, and several processes may do it at once', async () => {
    await compacted()
    const other = openPostgresLog({ url: server.url })
    const writer = log.writer()
    const appended = (async () => {
      for (let round = 0; round < 20; round++) await writer.append(topic, 0, records(20, `${round}-`))
    })()
    for (let round = 0; round < 5; round++) await Promise.all([log.compact(now), other.compact(now)])
    await appended
    await log.compact(now)
    await other.close()
    expect(await found()).toEqual(['k 19-19'])
  })

  test('records past their topic’s retention go, the start moves up, and an old position is out of range', async () => {
    await log.admin.ensureTopics([{ topic, partitions: 1, compacted: false, retentionMs: 60_000 }])
    const writer = log.writer()
    await writer.append(topic, 0, records(3))
    await writer.append(topic, 0, records(5).slice(3))
    await age(topic, 3)
    expect(await log.compact()).toEqual({ superseded: 0, expired: 3 })
    expect(await log.admin.startOffsets(topic)).toEqual([3])
    expect((await readAll(log, topic, 0, 3)).map(text)).toEqual(['r3', 'r4'])
    const reader = log.reader()
    reader.seek(topic, 0, 1)
    await expect(reader.poll(5_000)).rejects.toMatchObject({
      code: 'log_offset_out_of_range',
      details: { offset: 1, startOffset: 3, endOffset: 5 },
    })
    await reader.close()
    await age(topic, 5)
    await log.compact()
    expect([await log.admin.startOffsets(topic), await log.admin.endOffsets(topic)]).toEqual([[5], [5]])
  })

  test('of a topic that was not compacted before keeps the tombstones of records that share a row', async () => {
    await log.admin.ensureTopics([{ topic, partitions: 2, compacted: false }])
    await log.writer().append(topic, 0, records(2, 'old-'))
    await compacted()
    await log.writer().append(topic, 0, [{ key: Buffer.from('k'), value: null }])
    await age(topic, 3)
    await log.compact({ ...now, tombstoneMs: 0 })
    expect((await readAll(log, topic, 0, 0)).map(({ value }) => value === null)).toEqual([false, false, true])
  })

  test('settings of a topic follow what is asked for last', async () => {
    await log.admin.ensureTopics([{ topic, partitions: 1, compacted: false }])
    await log.writer().append(topic, 0, records(2))
    await age(topic, 2)
    await log.compact()
    expect(await log.admin.startOffsets(topic)).toEqual([0])
    await log.admin.ensureTopics([{ topic, partitions: 1, compacted: false, retentionMs: 60_000 }])
    await log.compact()
    expect(await log.admin.startOffsets(topic)).toEqual([2])
  })

  test('happens by itself where an interval is set', async () => {
    await compacted()
    const own = openPostgresLog({ url: server.url, compactEveryMs: 20, compaction: now })
    await log.writer().append(topic, 0, records(5))
    await eventually(async () => (await found()).length === 1)
    await own.close()
  })

  /** Makes the first records of a topic old. */
  async function age(name: string, below: number): Promise<void> {
    const client = new pg.Client(server.url)
    await client.connect()
    const { rows } = await client.query<{ table_name: string }>('SELECT table_name FROM log.topics WHERE topic = $1', [
      name,
    ])
    await client.query(`UPDATE log."${rows[0]!.table_name}" SET timestamp_ms = 0 WHERE record_offset < $1`, [below])
    await client.end()
  }
})
