import { afterAll, beforeAll, expect, test } from 'vitest'
import { parseSources, type S3Config } from '#services/ingest/sources/config.ts'
import { s3Source } from '#services/ingest/sources/s3.ts'
import type { Offer } from '#services/ingest/sources/source.ts'
import { type RunningS3, startS3 } from '../../../support/s3.ts'

let s3: RunningS3
let config: S3Config

beforeAll(async () => {
  s3 = await startS3()
  const source = {
    name: 'drop',
    kind: 's3',
    endpoint: s3.endpoint,
    region: s3.region,
    access_key_id: 'key',
    secret_access_key: 'secret',
    schedule: '0 3 * * *',
    prefix: 'drop/',
    files: [{ pattern: '*.csv', profile: 'p' }],
  }
  config = parseSources(JSON.stringify([source]), () => undefined)[0] as S3Config
}, 300_000)
afterAll(() => s3?.stop())

async function offersOf(changes: Partial<S3Config> = {}): Promise<Offer[]> {
  return Array.fromAsync(s3Source({ ...config, ...changes }).offers(null))
}

const keys = async () => (await s3.bucket.listObjects('/', ''))?.map(({ Key: key }) => key).sort()

test('objects below the prefix are offered, read, and moved to where they belong', async () => {
  for (const key of ['drop/a.csv', 'drop/b é.csv', 'drop/c.txt', 'drop/sub/d.csv', 'other/e.csv'])
    await s3.bucket.putObject(key, `text of ${key}`)
  const offers = await offersOf()
  expect(offers.map(({ fileName, profile }) => [fileName, profile])).toEqual([
    ['a.csv', 'p'],
    ['b é.csv', 'p'],
  ])
  const { content, finish } = await offers[1]!.open()
  expect(Buffer.concat(await content.toArray()).toString()).toBe('text of drop/b é.csv')
  expect(await finish()).toEqual({ state: 'whole', watermark: null })

  const source = s3Source(config)
  const [first, second] = offers as [Offer, Offer]
  await source.putAway(first.fileName, first.version, { kind: 'processed' })
  // Again for the same object, as after a crash: nothing.
  await source.putAway(first.fileName, first.version, { kind: 'processed' })
  await source.putAway(second.fileName, second.version, { kind: 'failed', code: 'bad', message: 'why' })
  expect(await keys()).toEqual([
    'drop/c.txt',
    'drop/failed/b é.csv',
    'drop/failed/b é.csv.error.json',
    'drop/processed/a.csv',
    'drop/sub/d.csv',
    'other/e.csv',
  ])
  expect(await s3.bucket.getObject('drop/failed/b é.csv.error.json')).toContain('"code": "bad"')
  expect(await offersOf()).toEqual([])
})

test('an object that was replaced stays for the next run', async () => {
  await s3.bucket.putObject('drop/f.csv', 'one')
  const [offer] = await offersOf()
  await s3.bucket.putObject('drop/f.csv', 'another')
  const { content, finish } = await offer!.open()
  await content.toArray()
  expect((await finish()).state).toBe('changed')
  await s3Source(config).putAway(offer!.fileName, offer!.version, { kind: 'processed' })
  expect(await keys()).toContain('drop/f.csv')
  expect((await offersOf())[0]!.version).not.toBe(offer!.version)
})

test('more objects than one page lists are all offered', async () => {
  const names = Array.from({ length: 12 }, (_, n) => `many/${n}.csv`)
  await Promise.all(names.map((name) => s3.bucket.putObject(name, 'x')))
  expect(await Array.fromAsync(s3Source({ ...config, prefix: 'many/' }, 5).offers(null))).toHaveLength(12)
})

test('credentials that the server refuses are told', async () => {
  const auth = (actions: string) =>
    fetch(new URL('/moto-api/reset-auth', s3.endpoint), { method: 'POST', body: actions })
  await s3.bucket.putObject('drop/locked.csv', 'x')
  await auth('0')
  try {
    await expect(offersOf()).rejects.toMatchObject({
      code: 'source_unavailable',
      message: expect.stringMatching(/403/),
    })
    const put = s3Source(config).putAway('locked.csv', 'any', { kind: 'processed' })
    await expect(put).rejects.toMatchObject({ code: 'source_unavailable' })
  } finally {
    await auth('1000000000')
  }
  expect((await offersOf()).map(({ fileName }) => fileName)).toContain('locked.csv')
})

test('a server or a bucket that is not there is told', async () => {
  for (const endpoint of ['http://127.0.0.1:9/none', s3.endpoint.replace('loyalty-test', 'nothing-here')])
    await expect(offersOf({ endpoint })).rejects.toMatchObject({ code: 'source_unavailable' })
})
