import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { decoderOf } from '#schemas/decoder.ts'
import { topicsOf } from '#schemas/topics.ts'
import type { Log } from '#streams/log/log.ts'
import { openPostgresLog } from '#streams/log/postgres/postgres-log.ts'
import { readRange } from '#streams/log/range.ts'
import { eventually } from '../../../support/eventually.ts'
import { MemoryRegistry } from '../../../support/memory-registry.ts'
import { type RunningPostgres, startPostgres } from '../../../support/postgres.ts'
import { type TempDir, tempDir } from '../../../support/temp-dir.ts'
import { clientRows, prepareTopics, startStream } from '../support/world.ts'
import { postTransactions, tillSale } from './support.ts'

const topics = topicsOf('loyalty')
const registry = new MemoryRegistry()
let postgres: RunningPostgres
let dir: TempDir
let log: Log
const closers: (() => Promise<unknown>)[] = []

beforeAll(async () => {
  postgres = await startPostgres()
  closers.push(() => postgres.stop())
  dir = await tempDir('loyalty-tills-crash-')
  closers.push(() => dir.remove())
  log = openPostgresLog({ url: postgres.url })
  closers.push(() => log.close())
  await prepareTopics(log, registry, topics, 2)
})
afterAll(async () => {
  for (const close of closers.splice(0).reverse()) await close()
})

async function startChild(): Promise<{ process: ChildProcess; url: string }> {
  const script = join(import.meta.dirname, '../support/ingest-child.ts')
  const options = { postgresUrl: postgres.url, dataDir: dir.path, prefix: 'loyalty', crashAt: null, currency: 'GBP' }
  const child = spawn(process.execPath, [script, JSON.stringify(options)], { stdio: ['ignore', 'pipe', 'inherit'] })
  closers.push(async () => {
    if (child.exitCode !== null || child.signalCode !== null) return
    child.kill('SIGKILL')
    await once(child, 'exit')
  })
  const [url] = (await once(createInterface(child.stdout!), 'line')) as [string]
  return { process: child, url }
}

const clients = 7
const batchOf = (batch: number) =>
  Array.from({ length: 50 }, (_, i) =>
    tillSale({ transaction_id: `${batch}-${i}`, client_id: `c${i % clients}`, amount_minor: 100 + i }),
  )

async function idsInLog(): Promise<Set<string>> {
  const decoder = decoderOf(registry, 'TransactionRecorded')
  const ids = new Set<string>()
  const ends = await log.admin.endOffsets(topics.transactions)
  for (const [partition, end] of ends.entries())
    for await (const { records } of readRange(log, topics.transactions, partition, 0, end))
      for (const { value } of records) {
        const decoded = await decoder.read(value)
        if (decoded.kind === 'ok') ids.add(decoded.event.transaction_id)
      }
  return ids
}

test('ingest is killed while tills send: what was answered is in the log, and sent again all of it counts once', async () => {
  const first = await startChild()
  const answered: number[] = []
  let next = 0
  const till = async () => {
    for (;;) {
      const batch = next++
      const answer = await postTransactions(first.url, batchOf(batch)).catch(() => null)
      if (answer === null) return
      expect(answer.status).toBe(202)
      answered.push(batch)
      // In the very turn in which an answer came, others are on their way.
      if (answered.length === 40) first.process.kill('SIGKILL')
    }
  }
  const exit = once(first.process, 'exit')
  await Promise.all([till(), till(), till(), till()])
  expect(await exit).toEqual([null, 'SIGKILL'])
  expect(answered.length).toBeGreaterThanOrEqual(40)
  const ids = await idsInLog()
  for (const batch of answered) for (const item of batchOf(batch)) expect(ids).toContain(`pos:i=${item.transaction_id}`)

  const worker = await startStream(log, registry, topics)
  closers.push(() => worker.close())
  const second = await startChild()
  for (let batch = 0; batch < next; batch++)
    expect((await postTransactions(second.url, batchOf(batch))).status).toBe(202)
  const sums = await eventually(
    async () => {
      const rows = await clientRows(log, registry, topics)
      const transactions = rows.reduce((sum, row) => sum + row.transactions, 0)
      return (
        transactions >= next * 50 && {
          transactions,
          gross: rows.reduce((sum, row) => sum + row.monetary_gross_minor, 0),
        }
      )
    },
    { timeoutMs: 30_000, everyMs: 200 },
  )
  expect(sums).toEqual({ transactions: next * 50, gross: next * (50 * 100 + (49 * 50) / 2) })
})
