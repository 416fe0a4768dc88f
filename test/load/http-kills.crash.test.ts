import { afterAll, beforeAll, expect, test } from 'vitest'
import { type TempDir, tempDir } from '../support/temp-dir.ts'
import { httpLoad } from './http-load.ts'

let dir: TempDir
beforeAll(async () => {
  dir = await tempDir('loyalty-load-')
})
afterAll(() => dir.remove())

/** The small sister of `node test/load/http-kills.ts`, which sends a million. */
test('tills send 20,000 transactions while ingest, processor and projector are killed: every 202 counts exactly once', async () => {
  const said: string[] = []
  const report = await httpLoad({
    transactions: 20_000,
    clients: 2_000,
    batch: 250,
    connections: 4,
    kills: 4,
    seed: 7,
    duplicateShare: 0.01,
    // The kills are spread over time too: a machine that takes it all in a second would see none of them come back.
    ratePerSecond: 4_000,
    dataDir: dir.path,
    env: { LOYALTY_PARTITIONS: '4' },
    say: (text) => said.push(text),
  })
  expect(
    Object.values(report.kills).reduce((sum, kills) => sum + kills, 0),
    said.join('\n'),
  ).toBe(4)
  expect(Math.min(...Object.values(report.kills))).toBe(1)
  expect(report.generated.duplicates).toBeGreaterThan(100)
  expect(report.sent.retries).toBeGreaterThan(0)
  expect(report.log_records['loyalty.transactions']).toBeGreaterThanOrEqual(20_000)
})
