import { readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { deadLetterRecord } from '#schemas/dead-letter.ts'
import { directoryStore } from '#services/lake/directory-store.ts'
import { headersOf, headersText } from '#services/lake/headers.ts'
import { dayOf } from '#services/lake/layout.ts'
import { absoluteLake, lakeLocation } from '#services/lake/location.ts'
import { readEntries } from '#services/lake/manifest.ts'
import { readParquet, rowsOfParquet, writeParquet } from '#services/lake/parquet.ts'
import type { LakeStore } from '#services/lake/store.ts'
import { verifyLake } from '#services/lake/verify.ts'
import { Publisher, sale } from '../../support/loyalty/publisher.ts'
import { MemoryLog } from '../../support/memory-log.ts'
import { MemoryRegistry } from '../../support/memory-registry.ts'
import { type TempDir, tempDir } from '../../support/temp-dir.ts'
import { archiveAll, rowsOf, streamsOf, topics } from './support/world.ts'

const dayMs = 86_400_000
const morning = Date.UTC(2024, 2, 1, 8)

let nowMs: number
let log: MemoryLog
let registry: MemoryRegistry
let publisher: Publisher
let dir: TempDir
let store: LakeStore

beforeEach(async () => {
  nowMs = morning
  log = new MemoryLog({ nowMs: () => nowMs })
  registry = new MemoryRegistry()
  publisher = await Publisher.open(log, registry, topics, 2)
  await publisher.programme()
  dir = await tempDir('loyalty-lake-')
  store = directoryStore(dir.path)
})
afterEach(() => dir.remove())

const first = streamsOf(2).find(({ eventType }) => eventType === 'transaction')
const letters = streamsOf(2).find(({ eventType }) => eventType === 'dead_letter')!
const control = streamsOf(2).find(({ eventType }) => eventType === 'control')!
const verify = () => verifyLake(store, () => {})
const archive = (changes: Partial<Parameters<typeof archiveAll>[0]> = {}) =>
  archiveAll({ log, registry, store, ...changes })

/** Offsets of a partition of transactions that are in the lake, as they lie in it. */
async function offsets() {
  return (await rowsOf(store, first!, ['offset'])).map(({ offset }) => Number(offset))
}

const sales = (count: number) => Array.from({ length: count }, (_, i) => publisher.encode(sale(`c${i % 9}`)))
const append = (records: ReturnType<typeof sales>) => log.writer().append(topics.transactions, 0, records)

describe('a lake', () => {
  it('has every record as it was, what could be decoded of it, and the day of its arrival', async () => {
    const odd = { name: Buffer.from('Käufer'), raw: Buffer.from([0xff, 0xfe]) }
    const framed = publisher.encode(sale('7', { transaction_id: 't', store_id: 's1', amount_minor: 990 }))
    await append([{ ...framed, headers: odd }])
    nowMs += dayMs
    await append([{ key: null, value: Buffer.from('no frame') }])
    await append([{ key: Buffer.from([0x80]), value: Buffer.from([0, 0, 0, 9, 9, 1]) }])
    await append([{ key: Buffer.from('x'), value: null }])
    await archive()
    const columns = ['offset', 'timestamp', 'key', 'headers', 'value', 'schema_id', 'client_id', 'kind', 'amount_minor']
    const rows = await rowsOf(store, first!, columns)
    expect(rows.map(({ day, timestamp }) => [day, (timestamp as Date).getTime()])).toEqual([
      ['2024-03-01', morning],
      ...Array.from({ length: 3 }, () => ['2024-03-02', morning + dayMs]),
    ])
    const records = log.records(topics.transactions, 0)
    const raw = rows.map(({ key, value, headers }) => ({ key, value, headers: headersOf(headers as string | null) }))
    const asBytes = (bytes: Uint8Array | null) => bytes && Buffer.from(bytes).toString('hex')
    expect(raw.map(({ key, value }) => [asBytes(key as Uint8Array), asBytes(value as Uint8Array)])).toEqual(
      records.map(({ key, value }) => [asBytes(key), asBytes(value)]),
    )
    expect(Object.entries(raw[0]!.headers).map(([name, bytes]) => [name, asBytes(bytes)])).toEqual(
      Object.entries(odd).map(([name, bytes]) => [name, asBytes(bytes)]),
    )
    expect(rows[0]).toMatchObject({ client_id: '7', kind: 'SALE', amount_minor: 990n, schema_id: 1n })
    expect(rows.slice(1).map(({ client_id, schema_id }) => [client_id, schema_id])).toEqual([
      [null, null],
      [null, 2_313n],
      [null, null],
    ])
    const [event] = await rowsOf(store, control, ['event', 'event_json'])
    expect(event).toMatchObject({ event: 'ProgrammeConfigured' })
    expect(JSON.parse(event!.event_json as string)).toMatchObject({ currency: 'GBP', partitions: 2 })
    const entries = await Array.fromAsync(readEntries(store, first!))
    expect(entries).toMatchObject([{ records: 4, schema_ids: [1], unknown_schema_ids: [2_313], lost: null }])
    expect(await verify()).toMatchObject({
      faults: [],
      unaccounted: { ranges: [], files: [] },
      rows: { transaction: 4, control: 1 },
    })
  })

  it('goes on behind what it has, in ranges of about the size asked for', async () => {
    await append(sales(30))
    await archive({ rangeBytes: 1_000 })
    const ranges = (await Array.fromAsync(readEntries(store, first!))).length
    await append(sales(5))
    await archive()
    await archive()
    expect(await offsets()).toEqual(Array.from({ length: 35 }, (_, i) => i))
    expect((await Array.fromAsync(readEntries(store, first!))).length).toBe(ranges + 1)
    expect((await verify()).faults).toEqual([])
  })

  it.each(['after-begun', 'after-file', 'after-entry'] as const)(
    'has nothing twice and nothing missing when it was left %s, though the log and the size of files have changed',
    async (point) => {
      await append(sales(20))
      nowMs += dayMs
      await append(sales(20))
      let left = 1
      const crash = (at: string) => {
        if (at === point && left-- === 1) throw new Error('left here')
      }
      await expect(archive({ crash })).rejects.toThrow('left here')
      await append(sales(7))
      await archive({ rangeBytes: 700 })
      expect(await offsets()).toEqual(Array.from({ length: 47 }, (_, i) => i))
      expect(await verify()).toMatchObject({
        faults: [],
        unaccounted: { ranges: [], files: [] },
        rows: { transaction: 47 },
      })
    },
  )

  it.each(['begun/', 'progress.json', '.parquet', 'entries/'])(
    'has nothing twice where a program that was paused before it wrote %s goes on after others took over',
    async (part) => {
      await append(sales(20))
      const meanwhile = async () => {
        for (const count of [10, 8]) {
          await append(sales(count))
          await archive({ rangeBytes: 700 })
        }
      }
      await archive({ store: pausedBefore(store, `${topics.transactions}/p000/`, part, meanwhile) })
      await append(sales(7))
      await archive()
      expect(await offsets()).toEqual(Array.from({ length: 45 }, (_, i) => i))
      expect(await verify()).toMatchObject({
        faults: [],
        unaccounted: { ranges: [], files: [] },
        rows: { transaction: 45 },
      })
    },
  )

  it('does not have the content of dead letters that are of clients, nor the words about it', async () => {
    const original = {
      ...{ topic: topics.clients, partition: 1, offset: 3, timestampMs: 1, key: Buffer.from('ada') },
      value: Buffer.from('ada@example.org'),
    }
    const of = (topic: string) => deadLetterRecord({ ...original, topic }, 'undecodable', 'near ada@example.org')
    await log.writer().append(topics.deadLetters, 0, [of(topics.clients), of(topics.transactions)])
    await archive()
    const rows = await rowsOf(store, letters, ['key', 'value', 'headers', 'reason', 'detail', 'original_offset'])
    expect(rows[0]).toMatchObject({ key: null, value: null, detail: null, reason: 'undecodable', original_offset: 3n })
    expect(rows[0]!.headers).not.toContain('ada')
    expect(Buffer.from(rows[1]!.value as Uint8Array).toString()).toBe('ada@example.org')
    expect(await verify()).toMatchObject({ faults: [], withheld: 1 })
  })

  it('says what the log had dropped before it came', async () => {
    const letter = deadLetterRecord({ ...log.records(topics.control)[0]!, topic: 't', partition: 0 }, 'invalid', '')
    await log.writer().append(topics.deadLetters, 0, [letter, letter])
    await archive()
    await log.writer().append(topics.deadLetters, 0, [letter, letter, letter])
    log.deleteBefore(topics.deadLetters, 0, 4)
    await archive()
    const entries = await Array.fromAsync(readEntries(store, letters))
    expect(entries.map(({ lost }) => lost)).toEqual([null, { from_offset: 2, next_offset: 4 }])
    expect(await verify()).toMatchObject({ faults: [], lost: 2, rows: { dead_letter: 3 } })
  })

  it('is not continued with another log, nor by another programme', async () => {
    await append(sales(3))
    await archive()
    const other = new MemoryLog({ nowMs: () => nowMs })
    const there = await Publisher.open(other, registry, topics, 2)
    await there.programme()
    await expect(archive({ log: other })).rejects.toMatchObject({ code: 'lake_log_differs' })
    await other.writer().append(topics.transactions, 0, sales(9))
    await expect(archive({ log: other })).rejects.toMatchObject({ code: 'lake_log_differs' })
    const wider = new MemoryLog()
    await Publisher.open(wider, registry, topics, 3)
    await expect(archive({ log: wider })).rejects.toMatchObject({ code: 'lake_mismatch' })
  })

  it('tells every damage when it is verified', async () => {
    await append(sales(60))
    await archive({ rangeBytes: 700 })
    const entries = await Array.fromAsync(readEntries(store, first!))
    expect(entries.length).toBeGreaterThan(3)
    const paths = entries.map(({ files }) => join(dir.path, files[0]!.path))
    const bytes = await readFile(paths[0]!)
    bytes[40]! ^= 1
    await writeFile(paths[0]!, bytes)
    await rm(paths[1]!)
    const listing = join(dir.path, `manifest/streams/${topics.transactions}/p000/entries`)
    await rm(join(listing, `${['from_offset', 'next_offset'].map((name) => edge(entries[2]!, name)).join('-')}.json`))
    const { faults, unaccounted } = await verify()
    expect(faults.join('\n')).toMatch(/hash differs/)
    expect(faults.join('\n')).toMatch(/is missing/)
    expect(faults.join('\n')).toMatch(/offsets \d+ to \d+ are missing/)
    expect(faults).toHaveLength(3)
    expect(unaccounted.files).toEqual([entries[2]!.files[0]!.path])
    expect(unaccounted.ranges).toMatchObject([{ partition: 0, from_offset: entries[2]!.from_offset }])
  })
})

/** A store of which the first write to a path with `of` and `part` waits for `meanwhile`, as that of a stopped process. */
function pausedBefore(inner: LakeStore, of: string, part: string, meanwhile: () => Promise<void>): LakeStore {
  let waited = false
  const pass = async (path: string) => {
    const isOf = path.includes(of) || (part === '.parquet' && path.includes(`${topics.transactions}-p000`))
    if (waited || !isOf || !path.includes(part)) return
    waited = true
    await meanwhile()
  }
  return {
    ...inner,
    put: async (path, content) => {
      await pass(path)
      await inner.put(path, content)
    },
    create: async (path, content) => {
      await pass(path)
      return inner.create(path, content)
    },
  }
}

function edge(entry: object, name: string): string {
  const offset = (entry as Record<string, number>)[name]!
  return String(name === 'next_offset' ? offset - 1 : offset).padStart(16, '0')
}

describe('the place of a lake', () => {
  it('is a directory or below a prefix of a bucket', () => {
    expect(lakeLocation('off')).toBeNull()
    expect(lakeLocation('./lake')).toEqual({ kind: 'directory', path: './lake' })
    expect(lakeLocation('s3://bucket')).toEqual({ kind: 's3', bucket: 'bucket', prefix: '' })
    expect(lakeLocation('s3://my.bucket/a/b/')).toEqual({ kind: 's3', bucket: 'my.bucket', prefix: 'a/b/' })
    for (const text of ['s3://', 's3:///a', 's3://B/a', 'gs://bucket'])
      expect(() => lakeLocation(text), text).toThrow(expect.objectContaining({ code: 'lake_location_invalid' }))
    expect(absoluteLake('s3://bucket')).toBe('s3://bucket')
    expect(absoluteLake('lake')).toBe(join(process.cwd(), 'lake'))
  })
})

describe('a Parquet file', () => {
  it('gives back what was written, in groups, with nulls', async () => {
    const rows = Array.from({ length: 45_000 }, (_, i) => ({
      ...{ text: i % 7 === 0 ? null : `é${i % 50}`, bytes: i % 5 === 0 ? null : Buffer.from([i & 255, 0]) },
      ...{ int: i, long: i * 1e11, time: morning + i },
    }))
    const columns = { text: 'text', bytes: 'bytes', int: 'int', long: 'long', time: 'time' } as const
    const content = writeParquet(columns, rows)
    expect(rowsOfParquet(content)).toBe(rows.length)
    const groups = await Array.fromAsync(readParquet(content, Object.keys(columns)))
    expect(groups.length).toBeGreaterThan(1)
    const back = groups.flat().map((row) => ({
      ...{ text: row.text, bytes: row.bytes && Buffer.from(row.bytes as Uint8Array), int: row.int },
      ...{ long: Number(row.long), time: (row.time as Date).getTime() },
    }))
    expect(back).toEqual(rows)
  })

  it('has headers as one text, also those that are no text', () => {
    expect(headersText({})).toBeNull()
    const headers = { a: Buffer.from('1'), b: Buffer.from([0xc3]), __proto: Buffer.from('') }
    expect(headersOf(headersText(headers))).toEqual(headers)
    expect(dayOf(Date.UTC(1999, 11, 31, 23, 59, 59, 999))).toBe('1999-12-31')
  })
})
