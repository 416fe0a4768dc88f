import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { topicsOf } from '#schemas/topics.ts'
import { readConfig } from '#services/platform/config.ts'
import { openOriginals } from '#services/wiring/ingest.ts'
import { eventually } from '../../support/eventually.ts'
import { MemoryLog } from '../../support/memory-log.ts'
import { MemoryRegistry } from '../../support/memory-registry.ts'
import { type RunningPostgres, startPostgres } from '../../support/postgres.ts'
import { type RunningS3, startS3 } from '../../support/s3.ts'
import { type TempDir, tempDir } from '../../support/temp-dir.ts'
import { runHere } from '../cli/support/run-here.ts'
import { lineHeader, lineProfile } from './support/prepare.ts'
import { newDatabase, openIngest, prepareTopics, startStream, testNowMs } from './support/world.ts'

/** Uploads whose files are in a bucket, chosen as a person chooses it. */

const topics = topicsOf('loyalty')
const log = new MemoryLog({ nowMs: () => testNowMs })
const registry = new MemoryRegistry()
let postgres: RunningPostgres
let s3: RunningS3
let dir: TempDir
let postgresUrl: string
let env: Record<string, string>
const closers: (() => Promise<unknown>)[] = []

beforeAll(async () => {
  ;[postgres, s3] = await Promise.all([startPostgres(), startS3()])
  dir = await tempDir('loyalty-upload-store-')
  postgresUrl = await newDatabase(postgres.url)
  await prepareTopics(log, registry, topics, 2)
  await writeFile(join(dir.path, 'test-lines.json'), JSON.stringify(lineProfile()))
  env = {
    LOYALTY_UPLOAD_STORE: 's3://loyalty-test/programme/files/',
    LOYALTY_UPLOAD_S3_ENDPOINT: new URL(s3.endpoint).origin,
    LOYALTY_UPLOAD_S3_REGION: s3.region,
    LOYALTY_UPLOAD_S3_ACCESS_KEY_ID: 'key',
    LOYALTY_UPLOAD_S3_SECRET_ACCESS_KEY: 'secret',
  }
}, 300_000)
afterAll(async () => {
  for (const close of closers.reverse()) await close()
  await Promise.all([postgres?.stop(), s3?.stop()])
  await dir?.remove()
})

/** The program on a machine of that name. */
async function openOn(machine: string) {
  const dataDir = join(dir.path, machine)
  const originals = openOriginals(readConfig(env), dataDir, join(dataDir, 'upload-copies'))
  const changes = { profilesDir: dir.path, originals }
  const ingest = await openIngest({ log, registry, postgresUrl, dataDir, changes })
  return { ...ingest, dataDir }
}

const objects = async () => ((await s3.bucket.listObjects('/', 'programme/')) ?? []).map(({ Key: key }) => key)
const text = `${lineHeader}\nR1,17,2011-06-15 12:00,2.50,2,A\nR2,18,2011-06-15 12:00,x,1,A\nR3,19,2011-06-15 12:00,1.00,1,A\n`

test('an upload that one machine began is ended by another from the bucket; rejected rows and undo are as ever', async () => {
  const first = await openOn('one')
  const { body } = await first.upload(text, 'test-lines', 'till.csv')
  expect(await objects()).toEqual([`programme/files/${body.batch_id}.csv`])
  // Nothing takes the transactions in yet.
  await eventually(async () => (await first.store.task(body.task_id))?.phase === 'streaming', {
    timeoutMs: 15_000,
    what: 'published transactions',
  })
  await first.close()

  const worker = await startStream(log, registry, topics)
  closers.push(() => worker.close())
  const second = await openOn('two')
  closers.push(() => second.close())
  const task = await second.ended(body.task_id)
  expect(task).toMatchObject({
    status: 'COMPLETED',
    report: { accepted: 2, duplicates: 0, rejected: { bad_amount: 1 } },
  })
  const shown = await (await fetch(`${second.url}/api/v1/management/data/uploads/${body.batch_id}`)).json()
  expect(shown).toMatchObject({ original_file_path: `s3://loyalty-test/programme/files/${body.batch_id}.csv` })

  const rejected = await fetch(`${second.url}/api/v1/management/data/uploads/${body.batch_id}/rejected`)
  expect(await rejected.text()).toContain('R2,18,2011-06-15 12:00,x,1,A')
  const cli = { ...env, LOYALTY_DATA_DIR: second.dataDir, LOYALTY_POSTGRES_URL: postgresUrl }
  expect((await runHere(['uploads', 'rejected', body.batch_id], cli)).out).toContain('R2,18,2011-06-15 12:00,x,1,A')
  const without = { LOYALTY_DATA_DIR: second.dataDir, LOYALTY_POSTGRES_URL: postgresUrl }
  expect((await runHere(['uploads', 'rejected', body.batch_id], without)).err).toContain('(verdicts_missing)')

  const undo = await second.order(body.batch_id, 'undo')
  expect(await second.ended(undo.body.task_id)).toMatchObject({ status: 'COMPLETED', undo: { taken_back: 2 } })
  const again = await second.upload(text, 'test-lines', 'till.csv')
  expect((await second.ended(again.body.task_id)).report).toMatchObject({ accepted: 2, duplicates: 0 })
})

test('a file that is refused leaves no object', async () => {
  const there = (await objects()).length
  const ingest = await openOn('three')
  closers.push(() => ingest.close())
  expect((await ingest.upload(`${lineHeader}\n`, 'test-lines', 'empty.csv')).body.code).toBe('file_empty')
  expect(await objects()).toHaveLength(there)
})
