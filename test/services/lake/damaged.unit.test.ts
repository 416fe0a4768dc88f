import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { directoryStore } from '#services/lake/directory-store.ts'
import type { LakeStore } from '#services/lake/store.ts'
import { verifyLake } from '#services/lake/verify.ts'
import { Publisher, sale } from '../../support/loyalty/publisher.ts'
import { MemoryLog } from '../../support/memory-log.ts'
import { MemoryRegistry } from '../../support/memory-registry.ts'
import { type TempDir, tempDir } from '../../support/temp-dir.ts'
import { archiveAll, freshLog, importInto, topics } from './support/world.ts'

const sales = 60

let log: MemoryLog
let registry: MemoryRegistry
let dir: TempDir
let store: LakeStore

beforeEach(async () => {
  log = new MemoryLog()
  registry = new MemoryRegistry()
  const publisher = await Publisher.open(log, registry, topics, 2)
  await publisher.programme()
  const records = Array.from({ length: sales }, (_, i) => publisher.encode(sale(`c${i % 9}`)))
  await log.writer().append(topics.transactions, 0, records)
  dir = await tempDir('loyalty-lake-')
  store = directoryStore(dir.path)
})
afterEach(() => dir.remove())

const archive = (crash?: () => void) => archiveAll({ log, registry, store, rangeBytes: 400, ...(crash && { crash }) })
const verify = () => verifyLake(store, () => {})
const stream = `manifest/streams/${topics.transactions}/p000`
const lastOf = async (prefix: string) => (await Array.fromAsync(store.list(prefix))).at(-1)!
const nothing = { ranges: [], files: [] }

const damages = {
  'is no JSON': () => Buffer.from('{'),
  'has other fields': () => Buffer.from('{"from": 0}\n'),
  'has a text for a number': (content: Uint8Array) =>
    Buffer.from(Buffer.from(content).toString().replaceAll(/: \d+/g, ': "many"')),
  'was cut': (content: Uint8Array) => content.subarray(0, content.length / 2),
}

it.each(Object.entries(damages))(
  'an entry that %s is a fault beside others, and refuses an import',
  async (_, damage) => {
    await archive()
    const entries = await Array.fromAsync(store.list(`${stream}/entries/`))
    expect(entries.length).toBeGreaterThan(4)
    const whole = await verify()
    for (const path of [entries[1]!, entries[3]!]) await store.put(path, damage((await store.get(path))!))
    const { faults, ranges } = await verify()
    expect(ranges).toBe(whole.ranges - 2)
    // Each is told, and what is missing without it.
    expect(faults.filter((fault) => fault.includes(entries[1]!))).toHaveLength(1)
    expect(faults.filter((fault) => fault.includes(entries[3]!))).toHaveLength(1)
    expect(faults.filter((fault) => /offsets \d+ to \d+ are missing/.test(fault))).toHaveLength(2)
    await expect(importInto(await freshLog(2), store)).rejects.toMatchObject({ code: 'lake_broken' })
  },
)

it.each(['begun/', 'progress.json', 'uploads', 'schemas'])('a damaged file of %s is a fault', async (kind) => {
  await archive()
  const uploads = 'manifest/uploads/1.json'
  const schema = await lastOf('manifest/schemas/')
  const known = { 'begun/': await lastOf(`${stream}/begun/`), uploads, schemas: schema }
  const path = known[kind as keyof typeof known] ?? `${stream}/${kind}`
  await store.put(path, Buffer.from('{'))
  const { faults } = await verify()
  expect(faults).toHaveLength(1)
  expect(faults[0]).toContain(path)
})

it('an entry under the name of another, or whose files have other counts, is a fault', async () => {
  await archive()
  const [first, second, third] = await Array.fromAsync(store.list(`${stream}/entries/`))
  await store.put(first!, (await store.get(second!))!)
  const entry = JSON.parse(Buffer.from((await store.get(third!))!).toString())
  await store.put(third!, Buffer.from(JSON.stringify({ ...entry, files: [] })))
  const { faults } = await verify()
  expect(faults.join('\n')).toContain(`${first} is the entry of another range`)
  expect(faults.join('\n')).toContain(`${third}: its files have other counts`)
})

it('without manifest/lake.json nothing is compared, and that is said', async () => {
  await archive()
  await store.put('manifest/lake.json', Buffer.from('{}'))
  await expect(verify()).rejects.toMatchObject({ code: 'lake_broken' })
  await expect(importInto(await freshLog(2), store)).rejects.toMatchObject({ code: 'lake_broken' })
})

it('the loss of the last entry is told, and nothing is imported without it unless told to', async () => {
  await archive()
  const last = await lastOf(`${stream}/entries/`)
  const { files, next_offset, from_offset } = JSON.parse(Buffer.from((await store.get(last))!).toString())
  await rm(join(dir.path, last))
  const unaccounted = {
    ranges: [{ topic: topics.transactions, partition: 0, from_offset, next_offset }],
    files: [files[0].path],
  }
  expect(await verify()).toMatchObject({ faults: [], unaccounted })
  const refused = { code: 'data_loss_unconfirmed', message: expect.stringContaining(files[0].path) }
  const rebuilt = await freshLog(2)
  await expect(importInto(rebuilt, store)).rejects.toMatchObject(refused)
  expect(rebuilt.log.records(topics.transactions)).toEqual([])
  const report = await importInto(rebuilt, store, { acceptDataLoss: true })
  expect(report).toMatchObject({ transactions: sales - files[0].rows, unaccounted })
  // The archive program goes on from the log, and mends it.
  await archive()
  expect(await verify()).toMatchObject({ faults: [], unaccounted: nothing })
  expect(await importInto(await freshLog(2), store)).toMatchObject({ transactions: sales, unaccounted: nothing })
})

it('the loss of all that a manifest said of a partition is told by its files', async () => {
  await archive()
  await rm(join(dir.path, stream), { recursive: true })
  const { unaccounted } = await verify()
  expect(unaccounted.ranges).toEqual([])
  expect(unaccounted.files.length).toBeGreaterThan(4)
  await expect(importInto(await freshLog(2), store)).rejects.toMatchObject({ code: 'data_loss_unconfirmed' })
})

it.each([
  ['after-begun', 0],
  ['after-file', 1],
])('what a program that was killed %s left open is told until it has caught up', async (at, files) => {
  let left = 3
  const killed = archiveAll({
    ...{ log, registry, store, rangeBytes: 400 },
    crash: (point) => {
      if (point === at && left-- === 0) throw new Error('killed')
    },
  })
  await expect(killed).rejects.toThrow('killed')
  const { faults, unaccounted } = await verify()
  expect(faults).toEqual([])
  expect(unaccounted.ranges).toHaveLength(1)
  expect(unaccounted.files).toHaveLength(files)
  await expect(importInto(await freshLog(2), store)).rejects.toMatchObject({ code: 'data_loss_unconfirmed' })
  await archive()
  expect(await verify()).toMatchObject({ faults: [], unaccounted: nothing })
})

it('a range that is written while the lake is read is not told as missing', async () => {
  let left = 3
  const crash = () => {
    if (left-- === 0) throw new Error('stopped')
  }
  await expect(archive(crash)).rejects.toThrow('stopped')
  let grown = false
  const growing: LakeStore = {
    ...store,
    async *list(prefix) {
      yield* store.list(prefix)
      // Behind the entries of the last stream.
      if (prefix !== 'manifest/uploads/' || grown) return
      grown = true
      await archive()
    },
  }
  expect(await verifyLake(growing, () => {})).toMatchObject({ faults: [], unaccounted: nothing })
  expect(grown).toBe(true)
})
