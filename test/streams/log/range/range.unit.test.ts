import { describe, expect, test } from 'vitest'
import { readLast, readRange } from '#streams/log/range.ts'
import { record, records, text } from '../../../contracts/log/context.ts'
import { MemoryLog } from '../../../support/memory-log.ts'

async function logWith(count: number): Promise<MemoryLog> {
  const log = new MemoryLog()
  await log.admin.ensureTopics([{ topic: 't', partitions: 1, compacted: true }])
  await log.writer().append('t', 0, records(count))
  return log
}

describe('a range of the log', () => {
  test('ends before its upper bound although more is there, and says where it stands', async () => {
    const log = await logWith(10)
    const seen: string[] = []
    let next = 0
    for await (const batch of readRange(log, 't', 0, 3, 7)) {
      seen.push(...batch.records.map(text))
      next = batch.nextOffset
    }
    expect(seen).toEqual(['r3', 'r4', 'r5', 'r6'])
    expect(next).toBe(7)
  })

  test('of nothing reads nothing', async () => {
    const log = await logWith(2)
    for await (const batch of readRange(log, 't', 0, 2, 2)) expect(batch).toBeUndefined()
    for await (const batch of readRange(log, 't', 0, 5, 2)) expect(batch).toBeUndefined()
  })

  test('that never comes to its end is reported instead of waited for', async () => {
    const log = await logWith(2)
    const drain = async () => {
      for await (const batch of readRange(log, 't', 0, 0, 5, { stallMs: 50 })) expect(batch.records).toHaveLength(2)
    }
    await expect(drain()).rejects.toMatchObject({ code: 'log_range_stalled', retriable: true })
  })

  test('gives its reader back also when it is left early', async () => {
    const log = await logWith(5)
    let closed = 0
    const reader = log.reader.bind(log)
    log.reader = (options) => {
      const made = reader(options)
      const close = made.close.bind(made)
      made.close = () => {
        closed++
        return close()
      }
      return made
    }
    for await (const batch of readRange(log, 't', 0, 0, 5)) {
      expect(batch.records).not.toHaveLength(0)
      break
    }
    expect(closed).toBe(1)
  })
})

describe('the last record', () => {
  test('is found behind any number of records that compaction took away', async () => {
    const log = await logWith(0)
    await log.writer().append('t', 0, [record('only', 'a')])
    for (let round = 0; round < 300; round++) await log.writer().append('t', 0, [record(String(round), 'b')])
    await log.writer().append('t', 0, [record('newest', 'a')])
    log.compact('t')
    expect(text((await readLast(log, 't', 0))!)).toBe('newest')
  })

  test('is found far from the end, where the tail holds no records', async () => {
    const log = await logWith(1)
    const writer = log.transactionalWriter('w')
    await writer.fence()
    await writer.append('t', 0, records(1, 'kept'))
    await writer.commit()
    await log.writer().append('t', 0, records(200, 'gone'))
    // What compaction does to superseded tombstones: a tail of offsets without records.
    log.broker.partition('t', 0).records.splice(2)
    expect(text((await readLast(log, 't', 0))!)).toBe('kept0')
  })

  test('is a copy: later reads leave it as it is', async () => {
    const log = await logWith(3)
    const last = (await readLast(log, 't', 0))!
    expect(last.value).not.toBe(log.records('t', 0).at(-1)!.value)
    expect(text(last)).toBe('r2')
  })

  test('of an empty partition is null', async () => {
    expect(await readLast(await logWith(0), 't', 0)).toBeNull()
  })
})
