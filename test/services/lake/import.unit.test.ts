import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { decoderOf } from '#schemas/decoder.ts'
import type { ClientStateChanged } from '#schemas/events.ts'
import { directoryStore } from '#services/lake/directory-store.ts'
import type { LakeStore } from '#services/lake/store.ts'
import { partitionOf } from '#streams/core/partitioner.ts'
import { eventually } from '../../support/eventually.ts'
import { Publisher, sale } from '../../support/loyalty/publisher.ts'
import { jan10, strays, traffic } from '../../support/loyalty/traffic.ts'
import { MemoryLog } from '../../support/memory-log.ts'
import { MemoryRegistry } from '../../support/memory-registry.ts'
import { type TempDir, tempDir } from '../../support/temp-dir.ts'
import { clientRows, startStream } from '../ingest/support/world.ts'
import { archiveAll, freshLog, importInto, topics } from './support/world.ts'

let log: MemoryLog
let registry: MemoryRegistry
let publisher: Publisher
let dir: TempDir
let store: LakeStore
const closers: (() => Promise<unknown>)[] = []

beforeEach(async () => {
  log = new MemoryLog()
  registry = new MemoryRegistry()
  publisher = await Publisher.open(log, registry, topics, 3)
  await publisher.programme()
  await publisher.model('1')
  await publisher.cutPoints([12, 32, 71, 179], [1, 2, 3, 6], [24_322, 47_528, 91_493, 201_891])
  await publisher.day(jan10 + 1)
  dir = await tempDir('loyalty-lake-')
  closers.push(() => dir.remove())
  store = directoryStore(dir.path)
})
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close()
})

/** Everything a till may send, to the right partitions and to wrong ones, poison, and a schema that nobody knows. */
async function publish(): Promise<void> {
  for (const round of [1, 2, 3]) {
    await publisher.transactions(traffic(round))
    await publisher.misplaced(strays(round))
  }
  await publisher.raw(0, { key: Buffer.from('x'), value: Buffer.from('no frame') })
  await publisher.raw(1, { key: null, value: null })
  // In the other registry this id has a meaning.
  await publisher.raw(2, { key: Buffer.from('c1'), value: Buffer.from([0, 0, 0, 0, 11, 2, 65]) })
  await publisher.raw(0, { ...publisher.encode(sale('c2')), headers: { 'x-till': Buffer.from([0xff]) } })
}

interface Place {
  readonly log: MemoryLog
  readonly registry: MemoryRegistry
}

/** What the real stream makes of a log: the rows of its clients, and reasons of dead letters with how many there are. */
async function statesOf({ log, registry }: Place) {
  const stream = await startStream(log, registry, topics)
  closers.push(() => stream.close())
  const settled = async () => {
    const ends = await log.admin.endOffsets(topics.transactions)
    const { tasks } = stream
    return (
      tasks.length === ends.length &&
      tasks.every(({ partition, position }) => (position?.transactions ?? 0) >= ends[partition]! && !position?.sweep) &&
      ends.join() === (await log.admin.endOffsets(topics.transactions)).join()
    )
  }
  await eventually(settled, { timeoutMs: 30_000, what: 'the end of the log' })
  const rows = (await clientRows(log, registry, topics)).map(said).sort((a, b) => (a.client_id < b.client_id ? -1 : 1))
  const letters: Record<string, number> = {}
  for (const { headers } of log.records(topics.deadLetters)) {
    const reason = Buffer.from(headers['loyalty-reason']!).toString()
    letters[reason] = (letters[reason] ?? 0) + 1
  }
  return { rows, letters }
}

/** A row without what is history: how often it was written, and when. */
function said({ version: _, as_of: __, model_id: ___, ...row }: ClientStateChanged) {
  return row
}

/** What the records of a partition say, whatever the ids of their schemas. */
async function saidIn({ log, registry }: Place, partition: number) {
  const decoder = decoderOf(registry, 'TransactionRecorded')
  return Promise.all(
    log.records(topics.transactions, partition).map(async ({ key, value, headers }) => {
      const decoded = await decoder.read(value)
      const content = decoded.kind === 'ok' ? decoded.event : value && Buffer.from(value).subarray(5).toString('hex')
      return { key: key && Buffer.from(key).toString(), content, headers: Object.keys(headers), kind: decoded.kind }
    }),
  )
}

describe('an import from a lake', () => {
  it('gives the same records, states and dead letters, in a registry with other ids', async () => {
    await publish()
    const before = await statesOf({ log, registry })
    expect(before.rows.length).toBeGreaterThan(30)
    expect(Object.keys(before.letters).sort()).toEqual([
      ...['conflicting_duplicate', 'undecodable', 'unknown_schema', 'wrong_currency'],
    ])
    await archiveAll({ log, registry, store, rangeBytes: 3_000 })
    const rebuilt = await freshLog(3)
    const report = await importInto(rebuilt, store)
    const counts = (place: Place) => [0, 1, 2].map((p) => place.log.records(topics.transactions, p).length)
    expect(counts(rebuilt)).toEqual(counts({ log, registry }))
    expect(report).toMatchObject({ control_events: 4, found: 0, lost: 0, partitions: { lake: 3, log: 3 } })
    expect(report.transactions).toBe(log.records(topics.transactions).length)
    for (const partition of [0, 1, 2])
      expect(await saidIn(rebuilt, partition)).toEqual(await saidIn({ log, registry }, partition))
    const after = await statesOf(rebuilt)
    expect(after.rows).toEqual(before.rows)
    // A conflicting one that stood in a wrong partition is there with its copy, and is passed on once more.
    const again = { conflicting_duplicate: before.letters.conflicting_duplicate! + 3 }
    expect(after.letters).toEqual({ ...before.letters, ...again })
  })

  it.each([1, 2, 5])('gives the same states with %i partitions', async (partitions) => {
    await publish()
    const before = await statesOf({ log, registry })
    await archiveAll({ log, registry, store, rangeBytes: 3_000 })
    const rebuilt = await freshLog(partitions)
    expect(await importInto(rebuilt, store)).toMatchObject({ partitions: { lake: 3, log: partitions } })
    expect((await statesOf(rebuilt)).rows).toEqual(before.rows)
    const misplaced = rebuilt.log.broker
      .topic(topics.transactions)
      .partitions.flatMap(({ records }, partition) =>
        records.filter(({ key }) => key && partitionOf(key, partitions) !== partition),
      )
    if (partitions > 1) expect(misplaced.length).toBeGreaterThan(0)
  })

  it('leaves a dead letter one, though its schema was registered later', async () => {
    const late = { type: 'record', name: 'loyalty.events.TransactionRecorded', fields: [] as unknown[] }
    const framed = publisher.encode(sale('late'))
    const value = Buffer.from(framed.value!)
    value.writeUInt32BE(12, 1)
    await publisher.raw(partitionOf(framed.key!, 3), { ...framed, value })
    const before = await statesOf({ log, registry })
    expect(before.letters).toEqual({ unknown_schema: 1 })
    while ((await registry.register('later', JSON.stringify({ ...late, doc: String(Math.random()) }))) < 12);
    await archiveAll({ log, registry, store })
    const rebuilt = await freshLog(3)
    await importInto(rebuilt, store)
    expect(await statesOf(rebuilt)).toEqual(before)
  })

  it('goes on where it was interrupted, and does not fill a log that has something else', async () => {
    await publish()
    await archiveAll({ log, registry, store, rangeBytes: 1_000 })
    const whole = await freshLog(3)
    await importInto(whole, store)
    const rebuilt = await freshLog(3)
    for (const after of [1, 150]) {
      const interruption = new AbortController()
      const broken = limited(rebuilt.log, after, () => interruption.abort())
      const resumed = after !== 1
      await expect(
        importInto({ log: broken, registry: rebuilt.registry }, store, { resumed, signal: interruption.signal }),
      ).rejects.toMatchObject({ code: 'log_unavailable' })
      expect(rebuilt.log.records(topics.control)).toEqual([])
    }
    await expect(importInto(rebuilt, store)).rejects.toMatchObject({ code: 'import_log_not_empty' })
    const { found } = await importInto(rebuilt, store, { resumed: true })
    expect(found).toBeGreaterThan(0)
    for (const partition of [0, 1, 2]) expect(await saidIn(rebuilt, partition)).toEqual(await saidIn(whole, partition))
    expect(rebuilt.log.records(topics.control)).toHaveLength(4)
    // As after a crash behind its last record: nothing more.
    await importInto(rebuilt, store, { resumed: true })
    expect(rebuilt.log.records(topics.control)).toHaveLength(4)
  })

  it('tells where there is no lake, or a damaged one', async () => {
    const rebuilt = await freshLog(3)
    await expect(importInto(rebuilt, store)).rejects.toMatchObject({ code: 'lake_missing' })
    await publish()
    await archiveAll({ log, registry, store })
    for await (const path of store.list('event_type=transaction/')) {
      await store.put(path, Buffer.from('PAR1'))
      break
    }
    await expect(importInto(rebuilt, store)).rejects.toMatchObject({ code: 'lake_broken' })
  })
})

/** A log that takes so many appends and then is away. */
function limited(log: MemoryLog, records: number, onEnd: () => void): MemoryLog {
  let left = records
  const connection = log.connect()
  const writer = connection.writer.bind(connection)
  connection.writer = () => {
    const whole = writer()
    return {
      ...whole,
      append: (...args) => whole.append(...args),
      close: () => whole.close(),
      appendMany: async (batches) => {
        const part = batches.map((batch) => ({ ...batch, records: batch.records.slice(0, left) }))
        await whole.appendMany(part.filter((batch) => batch.records.length > 0))
        left -= Math.max(...part.map((batch) => batch.records.length))
        onEnd()
        throw Object.assign(new Error('away'), { code: 'log_unavailable' })
      },
    }
  }
  return connection
}
