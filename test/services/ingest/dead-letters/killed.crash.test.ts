import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { decodeReplayHeaders } from '#schemas/dead-letter.ts'
import { topicsOf } from '#schemas/topics.ts'
import type { Log } from '#streams/log/log.ts'
import { openPostgresLog } from '#streams/log/postgres/postgres-log.ts'
import { readRange } from '#streams/log/range.ts'
import { eventually } from '../../../support/eventually.ts'
import { MemoryRegistry } from '../../../support/memory-registry.ts'
import { type RunningPostgres, startPostgres } from '../../../support/postgres.ts'
import { type TempDir, tempDir } from '../../../support/temp-dir.ts'
import { clientRows, prepareTopics, startStream } from '../support/world.ts'
import { type ActionAnswer, call, ended, letterOf, saleOf, Tills } from './support.ts'

const topics = topicsOf('loyalty')
const registry = new MemoryRegistry()
const closers: (() => Promise<unknown>)[] = []
let postgres: RunningPostgres
let dir: TempDir
let log: Log

beforeAll(async () => {
  postgres = await startPostgres()
  closers.push(() => postgres.stop())
  dir = await tempDir('loyalty-dead-letters-crash-')
  closers.push(() => dir.remove())
  log = openPostgresLog({ url: postgres.url })
  closers.push(() => log.close())
  await prepareTopics(log, registry, topics, 2)
})
afterAll(async () => {
  for (const close of closers.splice(0).reverse()) await close()
})

async function startChild(crashAt: string | null): Promise<{ process: ChildProcess; url: string }> {
  const script = join(import.meta.dirname, '../support/ingest-child.ts')
  const options = { postgresUrl: postgres.url, dataDir: dir.path, prefix: 'loyalty', crashAt, currency: 'GBP' }
  const child = spawn(process.execPath, [script, JSON.stringify(options)], { stdio: ['ignore', 'pipe', 'inherit'] })
  closers.push(async () => {
    if (child.exitCode !== null || child.signalCode !== null) return
    child.kill('SIGKILL')
    await once(child, 'exit')
  })
  const [url] = (await once(createInterface(child.stdout!), 'line')) as [string]
  return { process: child, url }
}

const letters = 5_000
const clients = 7

/** Letters that the stream once wrote, in both partitions. */
async function writeLetters(): Promise<void> {
  const tills = await Tills.open(log, registry, topics, 2)
  const records = Array.from({ length: letters }, (_, i) => {
    const sale = saleOf({ transaction_id: `pos:i=${i}`, client_id: `c${i % clients}`, currency: 'EUR' })
    return letterOf('wrong_currency', tills.encode(sale), { key: Buffer.from(sale.client_id) })
  })
  const writer = log.writer()
  await writer.append(topics.deadLetters, 0, records.slice(0, letters / 2))
  await writer.append(topics.deadLetters, 1, records.slice(letters / 2))
  await writer.close()
}

/** The letters that were replayed, once for each record. */
async function replayed(): Promise<string[]> {
  const found: string[] = []
  for (const [partition, end] of (await log.admin.endOffsets(topics.transactions)).entries())
    for await (const { records } of readRange(log, topics.transactions, partition, 0, end))
      found.push(...records.map(({ headers }) => decodeReplayHeaders(headers)?.of ?? 'none'))
  return found
}

test('a replay that is killed between appending and marking goes on, and replays no letter twice', async () => {
  await writeLetters()
  const first = await startChild('inside-replay')
  const exit = once(first.process, 'exit')
  const order = { selector: { reason: ['wrong_currency'] }, rule: { set: { currency: 'GBP' } } }
  const { status, body } = await call<ActionAnswer>(first.url, '/replay', order)
  expect(status).toBe(202)
  expect(await exit).toEqual([null, 'SIGKILL'])
  const half = (await replayed()).length
  expect(half).toBeGreaterThan(0)
  expect(half).toBeLessThan(letters)

  const second = await startChild(null)
  const action = await ended(second.url, body.action_id)
  expect(action).toMatchObject({ status: 'COMPLETED', counts: { selected: letters, replayed: letters } })
  const all = await replayed()
  expect(all).toHaveLength(letters)
  expect(new Set(all).size).toBe(letters)
  const { body: open } = await call<{ total: number }>(second.url, '/groups')
  expect(open.total).toBe(0)

  const worker = await startStream(log, registry, topics)
  closers.push(() => worker.close())
  const gross = await eventually(
    async () => {
      const rows = await clientRows(log, registry, topics)
      const transactions = rows.reduce((sum, row) => sum + row.transactions, 0)
      return transactions >= letters && rows.reduce((sum, row) => sum + row.monetary_gross_minor, 0)
    },
    { timeoutMs: 60_000, everyMs: 200 },
  )
  expect(gross).toBe(letters * 1_000)
})
