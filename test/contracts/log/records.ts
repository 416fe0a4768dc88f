import { Partitioners } from 'kafkajs'
import { describe, expect, test } from 'vitest'
import { murmur2, partitionOf } from '#streams/core/partitioner.ts'
import { type LogContext, readAll, record, records, take, text } from './context.ts'

/** Topics, appends and what a record carries. */
export function recordsContract(context: () => LogContext): void {
  describe('topics', () => {
    test('are created once, listed, and counted', async () => {
      const topic = await context().topic('made', { partitions: 3 })
      const { admin } = context().log
      await admin.ensureTopics([{ topic, partitions: 3, compacted: false }])
      expect(await admin.partitions(topic)).toBe(3)
      expect(await admin.topics()).toContain(topic)
      expect(await admin.endOffsets(topic)).toEqual([0, 0, 0])
      expect(await admin.startOffsets(topic)).toEqual([0, 0, 0])
      expect(await admin.partitions(`${topic}-other`)).toBeNull()
    })

    test('of another number of partitions are refused', async () => {
      const topic = await context().topic('fixed', { partitions: 2 })
      const other = `${topic}-new`
      const specs = [other, topic].map((each) => ({ topic: each, partitions: 4, compacted: false }))
      await expect(context().log.admin.ensureTopics(specs)).rejects.toMatchObject({ code: 'log_topic_mismatch' })
    })

    test('created by several processes at once are created once', async () => {
      const topic = context().id('contract.race')
      const spec = { topic, partitions: 2, compacted: true }
      const logs = [context().open(), context().open(), context().open()]
      await Promise.all(logs.map((log) => log.admin.ensureTopics([spec])))
      expect(await context().log.admin.partitions(topic)).toBe(2)
    })

    test('that are deleted are gone', async () => {
      const topic = await context().topic('gone')
      await context().log.admin.deleteTopics([topic])
      await expect.poll(() => context().log.admin.partitions(topic)).toBeNull()
    })

    test('that do not exist are reported by appends and reads', async () => {
      const topic = context().id('contract.missing')
      const missing = { code: 'log_topic_missing' }
      await expect(context().log.writer().append(topic, 0, records(1))).rejects.toMatchObject(missing)
      const reader = context().log.reader()
      reader.seek(topic, 0, 0)
      await expect(take(reader, 1)).rejects.toMatchObject(missing)
    })
  })

  describe('records', () => {
    test('keep their order in each partition, over many appends', async () => {
      const topic = await context().topic('order', { partitions: 3 })
      const writer = context().log.writer()
      for (let round = 0; round < 10; round++)
        for (let partition = 0; partition < 3; partition++)
          await writer.append(topic, partition, records(7, `${partition}/`, round * 7))
      for (let partition = 0; partition < 3; partition++)
        expect((await readAll(context().log, topic, partition)).map(text)).toEqual(
          records(70, `${partition}/`).map(text),
        )
    })

    test('appended without waiting keep the order of the calls', async () => {
      const topic = await context().topic('calls')
      const writer = context().log.writer()
      const offsets = await Promise.all(records(50).map((each) => writer.append(topic, 0, [each])))
      const read = await readAll(context().log, topic)
      expect(read.map(text)).toEqual(records(50).map(text))
      expect(offsets).toEqual(read.map(({ offset }) => offset))
    })

    test('of several processes get different, growing offsets, and each process keeps its order', async () => {
      const topic = await context().topic('many')
      const writers = ['a', 'b', 'c'].map((name) => ({ name, writer: context().open().writer() }))
      await Promise.all(
        writers.map(async ({ name, writer }) => {
          for (let index = 0; index < 20; index++) await writer.append(topic, 0, [record(`${name}${index}`)])
        }),
      )
      const read = await readAll(context().log, topic)
      const offsets = read.map(({ offset }) => offset)
      expect(offsets).toEqual([...new Set(offsets)].sort((a, b) => a - b))
      for (const { name } of writers)
        expect(read.map(text).filter((each) => each.startsWith(name))).toEqual(records(20, name).map(text))
    })

    test('of several partitions go out in one call', async () => {
      const [topic, other] = [await context().topic('both', { partitions: 2 }), await context().topic('other')]
      const writer = context().log.writer()
      await writer.appendMany([
        { topic, partition: 1, records: records(3, 'x') },
        { topic: other, partition: 0, records: records(2, 'y') },
        { topic, partition: 1, records: records(1, 'z') },
      ])
      expect((await readAll(context().log, topic, 1)).map(text)).toEqual(['x0', 'x1', 'x2', 'z0'])
      expect((await readAll(context().log, other)).map(text)).toEqual(['y0', 'y1'])
      expect((await context().log.admin.endOffsets(topic))[0]).toBe(0)
    })

    test('carry key, value, headers and the time of their arrival', async () => {
      const topic = await context().topic('parts')
      const bytes = Uint8Array.from({ length: 256 }, (_, index) => index)
      const before = Date.now()
      await context()
        .log.writer()
        .append(topic, 0, [
          { key: bytes, value: bytes, headers: { 'loyalty-ä': bytes, empty: new Uint8Array() } },
          { key: null, value: null },
          { key: new Uint8Array(), value: new Uint8Array() },
        ])
      const [full, none, empty] = await readAll(context().log, topic)
      expect([full!.key, full!.value].map((each) => each && Uint8Array.from(each))).toEqual([bytes, bytes])
      expect(Object.keys(full!.headers).sort()).toEqual(['empty', 'loyalty-ä'])
      expect(Uint8Array.from(full!.headers['loyalty-ä']!)).toEqual(bytes)
      expect(full!.headers.empty).toHaveLength(0)
      expect(none).toMatchObject({ key: null, value: null, headers: {} })
      expect([empty!.key, empty!.value]).toEqual([new Uint8Array(), new Uint8Array()].map((each) => Buffer.from(each)))
      for (const { timestampMs } of [full!, none!, empty!]) {
        expect(timestampMs).toBeGreaterThanOrEqual(before - 1_000)
        expect(timestampMs).toBeLessThanOrEqual(Date.now() + 1_000)
      }
    })

    test('are copied: the caller may use its bytes again after an append', async () => {
      const topic = await context().topic('copied')
      const value = Buffer.from('before')
      const writer = context().log.transactionalWriter(context().id('copied'))
      await writer.fence()
      await writer.append(topic, 0, [{ key: null, value }])
      value.fill('x')
      await writer.commit()
      await expect.poll(async () => (await readAll(context().log, topic)).map(text)).toEqual(['before'])
      await writer.close()
    })

    test('of 900 KB pass, many in one append and in one transaction', async () => {
      const topic = await context().topic('large', { partitions: 2 })
      const large = Array.from({ length: 6 }, (_, index) => ({ key: null, value: Buffer.alloc(900 * 1024, index + 1) }))
      await context().log.writer().append(topic, 0, large)
      const writer = context().log.transactionalWriter(context().id('large'))
      await writer.fence()
      await writer.append(topic, 1, large)
      await writer.commit()
      await writer.close()
      const reader = context().log.reader()
      for (const partition of [0, 1]) reader.seek(topic, partition, 0)
      const read = await take(reader, 12)
      for (const partition of [0, 1]) {
        const values = read.filter((each) => each.partition === partition).map(({ value }) => Buffer.from(value!))
        expect(values.map((value, index) => value.equals(large[index]!.value))).toEqual(Array(6).fill(true))
      }
      await reader.close()
    })

    test('above the topic’s limit are refused and leave nothing', async () => {
      const topic = await context().topic('limit')
      const tooLarge = [{ key: null, value: Buffer.alloc(2 * 1024 * 1024) }]
      await expect(context().log.writer().append(topic, 0, tooLarge)).rejects.toMatchObject({
        code: 'log_record_too_large',
      })
      expect(await context().log.admin.endOffsets(topic)).toEqual([0])
      const wide = await context().topic('wide', { maxRecordBytes: 3 * 1024 * 1024 })
      await context().log.writer().append(wide, 0, tooLarge)
      expect((await readAll(context().log, wide))[0]!.value).toHaveLength(2 * 1024 * 1024)
    })
  })

  describe('partitions of keys', () => {
    test('hash as the Java client hashes', () => {
      const known = {
        '21': -973932308,
        foobar: -790332482,
        'a-little-bit-long-string': -985981536,
        'a-little-bit-longer-string': -1486304829,
        lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8: -58897971,
        abc: 479470107,
      }
      for (const [key, hash] of Object.entries(known)) expect([key, murmur2(Buffer.from(key))]).toEqual([key, hash])
    })

    test('are those of a Java client for 1,000 keys over 8 partitions, and records stay where they were put', async () => {
      const topic = await context().topic('keys', { partitions: 8 })
      const keys = Array.from({ length: 1_000 }, (_, index) => `client-${index * 7919}${'é'.repeat(index % 5)}`)
      const byPartition = Array.from({ length: 8 }, (_, partition) => ({
        topic,
        partition,
        records: keys.filter((key) => partitionOf(Buffer.from(key), 8) === partition).map((key) => record('v', key)),
      }))
      await context().log.writer().appendMany(byPartition)
      // The driver's own partitioner is the Java client's, written by others.
      const java = Partitioners.DefaultPartitioner()
      const partitionMetadata = Array.from({ length: 8 }, (_, partitionId) => ({
        ...{ partitionErrorCode: 0, partitionId, leader: 1, replicas: [1], isr: [1] },
      }))
      for (let partition = 0; partition < 8; partition++) {
        const read = (await readAll(context().log, topic, partition)).map(({ key }) => String(Buffer.from(key!)))
        const expected = keys.filter(
          (key) => java({ topic, partitionMetadata, message: { key, value: null } }) === partition,
        )
        expect(read).toEqual(expected)
        expect(read.length).toBeGreaterThan(60)
      }
    })
  })
}
