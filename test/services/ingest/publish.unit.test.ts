import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { encodeReplayHeaders } from '#schemas/dead-letter.ts'
import { decoderOf } from '#schemas/decoder.ts'
import { topicSpecs, topicsOf } from '#schemas/topics.ts'
import { publishEvents, slices } from '#services/ingest/publish.ts'
import { MemoryLog } from '../../support/memory-log.ts'
import { MemoryRegistry } from '../../support/memory-registry.ts'
import { tempDir } from '../../support/temp-dir.ts'
import { batchId, lineHeader, lineProfile, prepareIn } from './support/prepare.ts'

test('an upload that goes on does not take a replayed dead letter of its own for one that it published', async () => {
  const dir = await tempDir()
  try {
    const file = join(dir.path, 'file.csv')
    const rows = Array.from({ length: 40 }, (_, i) => `R${i},c1,2011-03-01 10:00,1.50,1,a`)
    await writeFile(file, `${[lineHeader, ...rows].join('\n')}\n`)
    const { events, published } = await prepareIn(dir.path, file, lineProfile())
    const topics = topicsOf('loyalty')
    const [log, registry] = [new MemoryLog(), new MemoryRegistry()]
    await log.admin.ensureTopics(topicSpecs(topics, 4))
    const decoder = decoderOf(registry, 'TransactionRecorded')
    await registry.idOf('TransactionRecorded')
    const options = {
      ...{
        log,
        topic: topics.transactions,
        directory: join(dir.path, 'events'),
        buckets: events.buckets,
        from: [0, 0, 0, 0],
      },
      isOurs: async (value: Uint8Array) => {
        const decoded = await decoder.read(value)
        return decoded.kind === 'ok' && decoded.event.batch_id === batchId
      },
    }
    await publishEvents({ ...options, resumed: false })
    const own = log.records(topics.transactions)
    expect(own).toHaveLength(published.length)

    // As it was when a program was killed after ten of them, and one of these had been replayed.
    const partition =
      own.length === 0 ? 0 : [0, 1, 2, 3].find((each) => log.records(topics.transactions, each).length > 0)!
    const killed = new MemoryLog()
    await killed.admin.ensureTopics(topicSpecs(topics, 4))
    const headers = encodeReplayHeaders({ of: '0:1', action: batchId, attempt: 2 })
    const { key, value } = own[3]!
    const first = own.slice(0, 10).map((record) => ({ key: record.key, value: record.value }))
    await killed.writer().append(topics.transactions, partition, [...first, { key, value, headers }])
    await publishEvents({ ...options, log: killed, resumed: true })
    const values = killed.records(topics.transactions).map((record) => Buffer.from(record.value!).toString('hex'))
    expect(values).toHaveLength(published.length + 1)
    expect(new Set(values).size).toBe(published.length)
  } finally {
    await dir.remove()
  }
})

test('slices go over the ends of batches in their order, and leave out what is published', async () => {
  const events = (from: number, count: number) =>
    Array.from({ length: count }, (_, i) => ({
      firstRow: from + i,
      partition: (from + i) % 2,
      key: Buffer.from('c'),
      value: Buffer.alloc(1_000),
    }))
  const taken: number[][] = []
  for await (const slice of slices([events(1, 300), events(301, 6_000), [], events(6_301, 7)], [2, 0]))
    taken.push(slice.map(({ firstRow }) => firstRow))
  const rows = Array.from({ length: 6_307 }, (_, i) => i + 1)
  expect(taken.flat()).toEqual(rows.filter((row) => row !== 2 && row !== 4))
  expect(taken).toHaveLength(2)
})
