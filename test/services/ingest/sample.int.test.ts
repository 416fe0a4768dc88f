import { openAsBlob } from 'node:fs'
import { resolve } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { topicsOf } from '#schemas/topics.ts'
import type { Log } from '#streams/log/log.ts'
import { openPostgresLog } from '#streams/log/postgres/postgres-log.ts'
import { MemoryRegistry } from '../../support/memory-registry.ts'
import { type RunningPostgres, startPostgres } from '../../support/postgres.ts'
import { type TempDir, tempDir } from '../../support/temp-dir.ts'
import { clientRows, openIngest, prepareTopics, startStream } from './support/world.ts'

const sample = resolve(import.meta.dirname, '../../../samples/online_retail.csv.gz')
const topics = topicsOf('loyalty')

let postgres: RunningPostgres
let dir: TempDir
let log: Log
let registry: MemoryRegistry
let ingest: Awaited<ReturnType<typeof openIngest>>
let worker: Awaited<ReturnType<typeof startStream>>

beforeAll(async () => {
  postgres = await startPostgres()
  dir = await tempDir('loyalty-sample-')
  log = openPostgresLog({ url: postgres.url })
  registry = new MemoryRegistry()
  await prepareTopics(log, registry, topics, 8)
  ingest = await openIngest({ log, registry, postgresUrl: postgres.url, dataDir: dir.path, partitions: 8 })
  worker = await startStream(log, registry, topics)
})
afterAll(async () => {
  await ingest.close()
  await worker.close()
  await log.close()
  await postgres.stop()
  await dir.remove()
})

async function uploaded() {
  const { body } = await ingest.upload(await openAsBlob(sample), 'online-retail', 'online_retail.csv.gz')
  batches.push(body.batch_id)
  return (await ingest.ended(body.task_id, 90_000)).report!
}

const batches: string[] = []

async function undone(batchId: string) {
  const { body } = await ingest.order(batchId, 'undo')
  return (await ingest.ended(body.task_id, 90_000)).undo!
}

/**
 * What is said of the clients, without what counts events, and without the day of the row: that of a client who has only
 * refunds is left from before the first day until something comes for them.
 */
async function states() {
  const rows = (await clientRows(log, registry, topics)).filter(({ transactions }) => transactions > 0)
  return new Map(rows.map(({ version: _, transactions: __, as_of: ___, ...row }) => [row.client_id, row]))
}

test('the whole sample through the Postgres log and the real stream: twice, taken back, and once more', {
  timeout: 300_000,
}, async () => {
  const first = await uploaded()
  console.info(`sample to COMPLETED, stores left out: ${JSON.stringify(first.seconds)}`)
  expect(first).toMatchObject({
    lines: 541_909,
    rows: { accepted: 406_822, rejected: 135_087 },
    accepted: 22_186,
    sales: 18_532,
    refunds: 3_654,
    voids: 0,
    duplicates: 0,
    dead_letters: 0,
    rejected: { missing_client: 135_080, zero_amount: 4 },
    clients: 4_371,
    buyers: 4_338,
    gross_minor: 891_140_790,
    refunded_minor: 61_134_209,
    currency: 'GBP',
    as_of: '2011-12-09',
    cut_points: {
      recency_days: [12, 32, 71, 179],
      frequency: [1, 2, 3, 6],
      monetary_minor: [24_322, 47_528, 91_493, 201_891],
      basis: 'net',
    },
  })
  expect(first.seconds.total).toBeGreaterThan(1)
  // The product’s bound is 20 s on a machine of its own; here other tests share the cores.
  expect(first.seconds.total).toBeLessThan(60)

  const rows = new Map((await clientRows(log, registry, topics)).map((row) => [row.client_id, row]))
  expect(rows.get('12346')).toMatchObject({ frequency: 1, monetary_gross_minor: 7_718_360, monetary_net_minor: 0 })
  expect(rows.get('17850')).toMatchObject({ frequency: 34, monetary_gross_minor: 539_121 })
  expect(rows.get('14911')).toMatchObject({ frequency: 201, monetary_gross_minor: 14_382_506 })
  expect(rows.get('16446')).toMatchObject({ frequency: 2, monetary_gross_minor: 16_847_250 })

  const second = await uploaded()
  expect(second).toMatchObject({
    lines: 541_909,
    accepted: 0,
    duplicates: 22_186,
    dead_letters: 0,
    as_of: '2011-12-09',
  })
  expect(second.segments).toEqual(first.segments)
  expect(second.cut_points).toEqual(first.cut_points)
})

test('one of two uploads taken back changes nothing, both leave nothing, and the file again gives the same', {
  timeout: 300_000,
}, async () => {
  while (batches.length < 2) await uploaded()
  const once = await states()
  const one = await undone(batches[0]!)
  expect(one).toMatchObject({ taken_back: 0, standing: { count: 22_186 }, events: { accepted: 0 }, buyers: 4_338 })
  expect(await states()).toEqual(once)
  const both = await undone(batches[1]!)
  console.info(`sample taken back: ${JSON.stringify(both.seconds)}`)
  expect(both).toMatchObject({
    ...{ taken_back: 22_186, sales: 18_532, refunds: 3_654, gross_minor: 891_140_790, refunded_minor: 61_134_209 },
    ...{ standing: { count: 0 }, events: { accepted: 22_186, dead_letters: 0 }, clients: 4_371, buyers: 0 },
    as_of: '2011-12-09',
  })
  for (const row of (await states()).values())
    expect(row).toMatchObject({ frequency: 0, monetary_gross_minor: 0, refunded_minor: 0, segment: null })
  const third = await uploaded()
  expect(third).toMatchObject({ accepted: 22_186, duplicates: 0, dead_letters: 0, as_of: '2011-12-09' })
  expect(await states()).toEqual(once)
})
