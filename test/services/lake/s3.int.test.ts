import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { directoryStore } from '#services/lake/directory-store.ts'
import { s3Store } from '#services/lake/s3-store.ts'
import type { LakeStore } from '#services/lake/store.ts'
import { verifyLake } from '#services/lake/verify.ts'
import { Publisher } from '../../support/loyalty/publisher.ts'
import { traffic } from '../../support/loyalty/traffic.ts'
import { MemoryLog } from '../../support/memory-log.ts'
import { MemoryRegistry } from '../../support/memory-registry.ts'
import { type RunningS3, startS3 } from '../../support/s3.ts'
import { type TempDir, tempDir } from '../../support/temp-dir.ts'
import { archiveAll, freshLog, importInto, topics } from './support/world.ts'

let s3: RunningS3
let dir: TempDir

beforeAll(async () => {
  dir = await tempDir('loyalty-lake-')
  s3 = await startS3()
}, 300_000)
afterAll(async () => {
  await s3?.stop()
  await dir.remove()
})

function bucketStore(prefix: string, secretAccessKey = 'secret', bucket = ''): LakeStore {
  const { origin, pathname } = new URL(s3.endpoint)
  const keys = { accessKeyId: 'key', secretAccessKey }
  return s3Store(
    { endpoint: origin, region: s3.region, bucket: bucket || pathname.slice(1), prefix, ...keys },
    // So that listings have several pages.
    3,
  )
}

describe.each([
  { name: 'a directory', open: () => directoryStore(`${dir.path}/lake`) },
  { name: 'a bucket', open: () => bucketStore('deep/lake/') },
])('a lake in $name', ({ open }) => {
  it('has what was put, replaces it, and lists it in order below a prefix', async () => {
    const store = open()
    expect(await store.get('a/none.json')).toBeNull()
    expect(await Array.fromAsync(store.list('a/'))).toEqual([])
    const content = Buffer.from([0, 255, 10, 13, 0])
    const names = ['b=2/x', 'b=10/y', 'b.c/0001', 'b/0002', 'b/0010', 'c', 'é 1'].map((name) => `a/${name}`)
    for (const name of [...names].reverse()) await store.put(name, content)
    await store.put('ab/other', content)
    expect(Buffer.from((await store.get('a/b=2/x'))!)).toEqual(content)
    await store.put('a/b=2/x', Buffer.alloc(0))
    expect((await store.get('a/b=2/x'))!.length).toBe(0)
    expect(await Array.fromAsync(store.list('a/'))).toEqual([...names].sort())
  })

  it('has what was created first, whoever comes later', async () => {
    const store = open()
    const contents = ['first', 'second', 'third'].map((text) => Buffer.from(text))
    // One after the other: the server of this test looks and writes in two steps, which S3 does in one.
    const made: boolean[] = []
    for (const content of contents) made.push(await store.create('begun/1.json', content))
    expect(made).toEqual([true, false, false])
    expect(Buffer.from((await store.get('begun/1.json'))!)).toEqual(contents[0])
    expect(await Array.fromAsync(store.list('begun/'))).toEqual(['begun/1.json'])
  })

  it('takes a log in and gives it back', async () => {
    const log = new MemoryLog()
    const registry = new MemoryRegistry()
    const publisher = await Publisher.open(log, registry, topics, 2)
    await publisher.programme()
    const store = open()
    for (const round of [1, 2]) {
      await publisher.transactions(traffic(round))
      await archiveAll({ log, registry, store, rangeBytes: 4_000 })
    }
    const report = await verifyLake(store, () => {})
    expect(report).toMatchObject({
      faults: [],
      unaccounted: { ranges: [], files: [] },
      rows: { transaction: log.records(topics.transactions).length },
    })
    expect(report.ranges).toBeGreaterThan(6)
    const rebuilt = await freshLog(2)
    await importInto(rebuilt, store)
    for (const partition of [0, 1])
      expect(
        rebuilt.log.records(topics.transactions, partition).map(({ key }) => Buffer.from(key!).toString()),
      ).toEqual(log.records(topics.transactions, partition).map(({ key }) => Buffer.from(key!).toString()))
  })
})

it('says that a bucket is not there, or nobody answers', async () => {
  const absent = bucketStore('x/', 'secret', 'loyalty-absent')
  await expect(absent.put('a', Buffer.from('1'))).rejects.toMatchObject({ code: 'lake_unavailable', retriable: true })
  const nobody = s3Store({
    ...{ endpoint: 'http://127.0.0.1:1', region: 'auto', bucket: 'bucket', prefix: '' },
    ...{ accessKeyId: 'key', secretAccessKey: 'secret' },
  })
  await expect(nobody.get('a')).rejects.toMatchObject({ code: 'lake_unavailable', retriable: true })
})
