import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { s3Originals } from '#services/ingest/originals/s3.ts'
import type { BucketPlace } from '#services/platform/bucket-place.ts'
import { bytes, contentOf, originalsContract, stored } from '../../../contracts/originals-contract.ts'
import { freePort } from '../../../support/postgres.ts'
import { type RunningS3, startS3 } from '../../../support/s3.ts'
import { type TempDir, tempDir } from '../../../support/temp-dir.ts'

/** The least that S3 takes for a part which is not the last. */
const partBytes = 5 * 1024 * 1024

let s3: RunningS3
let place: BucketPlace
let prefixes = 0
const dirs: TempDir[] = []

beforeAll(async () => {
  s3 = await startS3()
  const { origin, pathname } = new URL(s3.endpoint)
  const keys = { accessKeyId: 'key', secretAccessKey: 'secret' }
  place = { endpoint: origin, region: s3.region, ...keys, bucket: pathname.slice(1), prefix: '' }
}, 300_000)
afterAll(() => s3?.stop())
afterEach(async () => {
  for (const dir of dirs.splice(0)) await dir.remove()
})

async function newDir(): Promise<string> {
  const dir = await tempDir('loyalty-originals-')
  dirs.push(dir)
  return join(dir.path, 'copies')
}

/** A prefix of its own, and a program on a machine of its own. */
async function open(prefix = `case-${++prefixes}/`) {
  const dir = await newDir()
  const objects = async () => ((await s3.bucket.listObjects('/', prefix)) ?? []).map(({ Key: key }) => key)
  return { originals: s3Originals({ ...place, prefix }, dir, partBytes), dir, prefix, objects }
}

describe('originals in a bucket', () => {
  originalsContract(async () => {
    const { originals, objects } = await open()
    return { originals, held: async () => (await objects()).length }
  })

  it('are below the prefix, and go there part by part', async () => {
    const { originals, prefix, objects, dir } = await open()
    const content = bytes(2 * partBytes + 1)
    const original = await stored(originals, content)
    expect(original.storedPath).toMatch(/^s3:\/\/loyalty-test\/case-\d+\/[0-9a-f-]{36}\.csv$/)
    expect(await objects()).toEqual([original.storedPath.slice('s3://loyalty-test/'.length)])
    const [key] = await objects()
    // The tag of an object tells of how many parts it was made.
    expect(await s3.bucket.getEtag(key!)).toMatch(/-3$/)
    const elsewhere = await open(prefix)
    expect(Buffer.compare(await contentOf(elsewhere.originals, original), content)).toBe(0)
    expect(await readdir(dir)).toHaveLength(1)
  })

  it('that have changed, or lie in another bucket, are not taken for the file', async () => {
    const { originals, objects, prefix } = await open()
    const original = await stored(originals, bytes(100))
    const [key] = await objects()
    await s3.bucket.putObject(key!, 'something else')
    const elsewhere = await open(prefix)
    await expect(elsewhere.originals.open(original)).rejects.toMatchObject({ code: 'original_damaged' })
    expect(await readdir(elsewhere.dir)).toEqual([])
    const other = { ...original, storedPath: 's3://other/a.csv' }
    await expect(originals.open(other)).rejects.toMatchObject({ code: 'original_missing' })
  })

  it('are copied to this machine only while they are worked on, the last few a little longer', async () => {
    const { originals, dir } = await open()
    const all = []
    for (let i = 0; i < 6; i++) all.push(await stored(originals, bytes(i + 1)))
    expect(await readdir(dir)).toHaveLength(4)
    const files = await Promise.all(all.map((original) => originals.open(original)))
    expect(await readdir(dir)).toHaveLength(6)
    for (const { release } of files) await release()
    expect(await readdir(dir)).toHaveLength(4)
    await originals.close()
    await expect(readdir(dir)).rejects.toThrow('ENOENT')
  })

  it('wait for a bucket that does not answer, and leave nothing behind', async () => {
    const dir = await newDir()
    const endpoint = `http://127.0.0.1:${await freePort()}`
    const originals = s3Originals({ ...place, endpoint }, dir)
    await expect(stored(originals, bytes(10))).rejects.toMatchObject({
      code: 'upload_store_unavailable',
      retriable: true,
    })
    expect(await readdir(dir)).toEqual([])
    const unknown = s3Originals({ ...place, bucket: 'no-such-bucket' }, dir)
    await expect(stored(unknown, bytes(10))).rejects.toMatchObject({ code: 'upload_store_unavailable' })
    const there = { storedPath: 's3://no-such-bucket/a.csv', sha256: '' }
    await expect(unknown.open(there)).rejects.toMatchObject({ code: 'upload_store_unavailable' })
  })
})
