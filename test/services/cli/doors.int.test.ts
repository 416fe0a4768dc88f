import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { decoderOf } from '#schemas/decoder.ts'
import type { TransactionRecorded } from '#schemas/events.ts'
import { topicsOf } from '#schemas/topics.ts'
import { generateToLog } from '#services/cli/generate.ts'
import { generateToFile } from '#services/cli/generator/to-file.ts'
import { generateToHttp } from '#services/cli/generator/to-http.ts'
import { TransactionGenerator } from '#services/cli/generator/transactions.ts'
import type { Log } from '#streams/log/log.ts'
import { openPostgresLog } from '#streams/log/postgres/postgres-log.ts'
import { readRange } from '#streams/log/range.ts'
import { eventually } from '../../support/eventually.ts'
import { MemoryRegistry } from '../../support/memory-registry.ts'
import { startPostgres } from '../../support/postgres.ts'
import { type TempDir, tempDir } from '../../support/temp-dir.ts'
import { openIngest, prepareTopics } from '../ingest/support/world.ts'

const topics = topicsOf('loyalty')
const registry = new MemoryRegistry()
const options = { events: 2_000, clients: 100, seed: 11, refundShare: 0.1, voidShare: 0.05, duplicateShare: 0.05 }
const closers: (() => Promise<unknown>)[] = []
let log: Log
let dir: TempDir
let ingest: Awaited<ReturnType<typeof openIngest>>

beforeAll(async () => {
  const postgres = await startPostgres()
  closers.push(() => postgres.stop())
  dir = await tempDir('loyalty-doors-')
  closers.push(() => dir.remove())
  log = openPostgresLog({ url: postgres.url })
  closers.push(() => log.close())
  await prepareTopics(log, registry, topics, 2)
  const settings = { monetaryBasis: 'net', partitions: 2, ledgerCap: 4096, currency: 'RUB', timeZone: 'Europe/Moscow' }
  ingest = await openIngest({
    log,
    registry,
    postgresUrl: postgres.url,
    dataDir: dir.path,
    // Everything that is generated has happened.
    changes: {
      programme: { when: 'configure', profile: null },
      settings: { ...settings, monetaryBasis: 'net' },
      clock: { nowMs: () => Date.UTC(2026, 0, 1) },
    },
  })
  closers.push(() => ingest.close())
})
afterAll(async () => {
  for (const close of closers.splice(0).reverse()) await close()
})

/** What decides whether two events are the same transaction, and with the same content (architecture.md, D5). */
function identityAndContent(event: TransactionRecorded) {
  const { transaction_id, client_id, kind, occurred_at, amount_minor, currency } = event
  const { original_transaction_id, store_id, lines, discount_minor, bonus_earned_minor, bonus_spent_minor } = event
  const money = { amount_minor, currency, discount_minor, bonus_earned_minor, bonus_spent_minor }
  return { transaction_id, client_id, kind, occurred_at, ...money, original_transaction_id, store_id, lines }
}

/** Distinct transactions of the log from an offset of each partition on, by id. */
async function logged(from: readonly number[]) {
  const decoder = decoderOf(registry, 'TransactionRecorded')
  const found: TransactionRecorded[] = []
  const ends = await log.admin.endOffsets(topics.transactions)
  for (const [partition, end] of ends.entries())
    for await (const { records } of readRange(log, topics.transactions, partition, from[partition] ?? 0, end))
      for (const { value } of records) {
        const decoded = await decoder.read(value)
        if (decoded.kind === 'ok') found.push(decoded.event)
      }
  return found
}

const ends = () => log.admin.endOffsets(topics.transactions)
const byId = (events: readonly TransactionRecorded[]) =>
  new Map(events.map((event) => [event.transaction_id, identityAndContent(event)]))

describe('equal options and seed give the same transactions through every door', () => {
  const expected = byId([...new TransactionGenerator(options)])

  it('the log', async () => {
    const report = await generateToLog({ log, registry, topics }, options)
    const events = await logged([])
    expect(events).toHaveLength(2_000)
    expect(byId(events)).toEqual(expected)
    expect(expected.size).toBe(2_000 - report.duplicates)
  })

  it('HTTP, where nothing is refused', async () => {
    const from = await ends()
    const report = await generateToHttp({ url: ingest.url, batch: 300 }, options)
    expect(report).toMatchObject({ accepted: 2_000, rejected: 0, retries: 0 })
    const events = await logged(from)
    expect(events).toHaveLength(2_000)
    expect(byId(events)).toEqual(expected)
  })

  it('NDJSON from a file, sent as it is', async () => {
    const from = await ends()
    const path = join(dir.path, 'traffic.ndjson.zst')
    await generateToFile(path, options)
    const response = await fetch(`${ingest.url}/api/v1/transactions`, {
      method: 'POST',
      headers: { 'content-type': 'application/x-ndjson', 'content-encoding': 'zstd', 'loyalty-system': 'generator' },
      body: await readFile(path),
    })
    expect(await response.json()).toMatchObject({ accepted: 2_000, rejected: 0 })
    expect(byId(await logged(from))).toEqual(expected)
  })

  it('a CSV file, read by the profile it is recognised by', async () => {
    const from = await ends()
    const name = 'traffic.csv.gz'
    const path = join(dir.path, name)
    const { duplicates } = await generateToFile(path, options)
    const form = new FormData()
    form.set('file', new Blob([await readFile(path)]), name)
    const answer = await fetch(`${ingest.url}/api/v1/management/data/upload`, { method: 'POST', body: form })
    expect(answer.status).toBe(202)
    const events = await eventually(async () => {
      const found = await logged(from)
      return found.length >= 2_000 - duplicates && found
    })
    expect(events).toHaveLength(2_000 - duplicates)
    expect(byId(events)).toEqual(expected)
  })
})
