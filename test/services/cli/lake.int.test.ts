import { createReadStream, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { createGunzip } from 'node:zlib'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { LakeReport } from '#services/lake/verify.ts'
import { eventually } from '../../support/eventually.ts'
import { type RunningS3, startS3 } from '../../support/s3.ts'
import { type TempDir, tempDir } from '../../support/temp-dir.ts'
import { postTransactions } from '../ingest/tills/support.ts'
import { lastJson, type RunningCli, readRunFile, runLoyalty, startLoyalty } from './support/run-cli.ts'

const minutes = 60_000

let s3: RunningS3
let dir: TempDir
let running: RunningCli | null = null
let settings: Record<string, string>

beforeAll(async () => {
  dir = await tempDir('loyalty-lake-')
  s3 = await startS3()
  const { origin, pathname } = new URL(s3.endpoint)
  const ports = ['API', 'INGEST', 'REGISTRY', 'PROCESSOR', 'PROJECTOR', 'LAKE', 'CLICKHOUSE']
  settings = {
    ...Object.fromEntries(ports.map((name) => [`LOYALTY_${name}_PORT`, '0'])),
    LOYALTY_CURRENCY: 'GBP',
    LOYALTY_TIME_ZONE: 'Europe/London',
    LOYALTY_CLOCK: 'events',
    LOYALTY_PARTITIONS: '4',
    LOYALTY_LAKE: `s3:/${pathname}/raw`,
    LOYALTY_LAKE_S3_ENDPOINT: origin,
    LOYALTY_LAKE_S3_REGION: s3.region,
    LOYALTY_LAKE_S3_ACCESS_KEY_ID: 'key',
    LOYALTY_LAKE_S3_SECRET_ACCESS_KEY: 'secret',
  }
}, 300_000)
afterAll(async () => {
  running?.child.kill('SIGKILL')
  await running?.ended
  await s3?.stop()
  await dir.remove()
})

async function start(data: string, changes: Record<string, string> = {}): Promise<string> {
  running = startLoyalty(['start', '--data-dir', data], { ...settings, ...changes })
  const { ended } = running
  const gone = ended.then(({ stderr }) => Promise.reject(new Error(`the platform ended: ${stderr}`)))
  const up = () => running!.stdout().includes('Ctrl-C')
  await Promise.race([gone, eventually(up, { timeoutMs: 90_000, what: 'the platform' })])
  gone.catch(() => {})
  return readRunFile(data).urls.api!
}

async function stop(): Promise<void> {
  running?.child.kill('SIGTERM')
  expect((await running?.ended)?.code).toBe(0)
  running = null
}

/** Lines of the real file, without the header. */
async function realLines(): Promise<{ header: string; lines: string[] }> {
  const file = createReadStream('samples/online_retail.csv.gz').pipe(createGunzip())
  const all: string[] = []
  for await (const line of createInterface(file)) if (all.push(line) > 12_000) break
  return { header: all[0]!, lines: all.slice(1) }
}

const json = async <T>(args: readonly string[]) => lastJson<T>(await runLoyalty([...args, '--json'], settings))
const exported = async (data: string) => (await runLoyalty(['clients', 'export', '--data-dir', data], settings)).stdout

test(
  'a platform that was lost is rebuilt from its lake in a bucket, with equal states of all clients',
  async () => {
    const [lost, rebuilt] = [join(dir.path, 'lost'), join(dir.path, 'rebuilt')]
    const { header, lines } = await realLines()
    const file = (name: string, part: readonly string[]) => {
      writeFileSync(join(dir.path, name), `${[header, ...part].join('\n')}\n`)
      return join(dir.path, name)
    }
    const api = await start(lost)
    const given = ['--profile', 'online-retail', '--wait', '--data-dir', lost]
    const first = await json<{ clients: number; rejected: object }>([
      'ingest',
      file('1.csv', lines.slice(0, 8_000)),
      ...given,
    ])
    await json(['ingest', file('2.csv', lines.slice(8_000)), ...given])
    const { uploads } = await json<{ uploads: { batch_id: string; file_name: string }[] }>([
      ...['uploads', 'list', '--data-dir', lost],
    ])
    const second = uploads.find(({ file_name }) => file_name === '2.csv')!
    await json(['uploads', 'undo', second.batch_id, '--data-dir', lost])
    const sale = (id: string, amount: number) => ({
      ...{ transaction_id: id, client_id: 'till-client', kind: 'SALE', occurred_at: '2010-12-02T10:00:00Z' },
      ...{ amount_minor: amount, currency: 'GBP' },
    })
    // The second says something else of the first: a dead letter.
    for (const amount of [500, 700])
      expect(await postTransactions(api, sale('till-1', amount), { 'loyalty-system': 'north' })).toMatchObject({
        status: 202,
      })
    const letters = async (data: string) => {
      const { dead_letters } = await json<{ dead_letters: { reason: string }[] }>(['dlq', 'list', '--data-dir', data])
      return dead_letters.map(({ reason }) => reason).join()
    }
    // The other one is of the receipt that the files were cut in the middle of.
    const both = 'conflicting_duplicate,conflicting_duplicate'
    await eventually(async () => (await letters(lost)) === both, { timeoutMs: 30_000, what: 'the dead letters' })
    await eventually(async () => (await exported(lost)).includes('till-client,'), { timeoutMs: 30_000 })
    await stop()
    const before = await exported(lost)
    expect(before.trimEnd().split('\n').length).toBeGreaterThan(first.clients)

    const lake = await json<LakeReport>(['lake', 'verify'])
    expect(lake).toMatchObject({
      faults: [],
      unaccounted: { ranges: [], files: [] },
      lost: 0,
      rows: { dead_letter: 2 },
    })
    expect(lake.rows.rejected_row).toBeGreaterThan(1_000)
    const report = await json<{ transactions: number }>([
      'import',
      '--from-lake',
      settings.LOYALTY_LAKE!,
      '--data-dir',
      rebuilt,
    ])
    expect(report).toMatchObject({
      transactions: lake.rows.transaction,
      control_events: lake.rows.control,
      found: 0,
      lost: 0,
    })
    const again = await runLoyalty(['import', '--from-lake', settings.LOYALTY_LAKE!, '--data-dir', rebuilt], settings)
    expect(again).toMatchObject({ code: 1, stderr: expect.stringContaining('import_log_not_empty') })

    // Its log is another one, so its lake is another one.
    await start(rebuilt, { LOYALTY_LAKE: 'off' })
    await eventually(async () => (await exported(rebuilt)) === before, { timeoutMs: 60_000, what: 'equal states' })
    expect(await letters(rebuilt)).toBe(both)
    const segments = (data: string) => runLoyalty(['segments', '--json', '--data-dir', data], settings)
    const rebuiltSegments = lastJson(await segments(rebuilt))
    await stop()
    expect(lastJson(await segments(lost))).toEqual(rebuiltSegments)
  },
  6 * minutes,
)
