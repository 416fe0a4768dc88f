import { randomUUID } from 'node:crypto'
import { afterAll, expect, test } from 'vitest'
import { topicsOf } from '#schemas/topics.ts'
import { openKafkaLog } from '#streams/log/kafka/kafka-log.ts'
import { eventually } from '../../../support/eventually.ts'
import { sharedKafka } from '../../../support/kafka/shared-kafka.ts'
import { MemoryRegistry } from '../../../support/memory-registry.ts'
import { startPostgres } from '../../../support/postgres.ts'
import { tempDir } from '../../../support/temp-dir.ts'
import {
  clientRows,
  newDatabase,
  openIngest,
  prepareTopics,
  retailFile,
  startStream,
  testNowMs,
} from '../support/world.ts'

/** Two ingest programs of one programme on Kafka: files at one of them, tills at the other. */

const topics = topicsOf(`two-${randomUUID()}`)
const registry = new MemoryRegistry()
const closers: (() => Promise<unknown>)[] = []
afterAll(async () => {
  for (const close of closers.splice(0).reverse()) await close()
})

async function openLog(clientId: string) {
  const log = openKafkaLog({ brokers: await sharedKafka(), clientId })
  closers.push(() => log.close())
  return log
}

const receipts = 600
const clients = 10

/** The receipts of `retailFile` of every other client, as a till sends them. */
function tillItems() {
  return Array.from({ length: receipts }, (_, i) => i)
    .filter((i) => i % 2 === 0)
    .map((i) => {
      // Ten o'clock in London, where summer begins with the 86th day.
      const occurredAt = Date.UTC(2011, 0, 1 + (i % 300), i % 300 < 85 ? 10 : 9)
      const line = (quantity: number) => ({
        ...{ sku: `A${i % 5}`, description: 'Article', quantity, amount_minor: quantity * 125 },
      })
      return {
        ...{ receipt_number: String(1 + i), client_id: String(100 + (i % clients)), kind: 'SALE', currency: 'GBP' },
        ...{ occurred_at: occurredAt, amount_minor: (2 + (i % 4)) * 125, lines: [line(1 + (i % 4)), line(1)] },
      }
    })
}

test('an upload is taken back while tills send its receipts to the other program: each counts once, before, after and again', async () => {
  const [log, other] = [await openLog('files'), await openLog('tills')]
  await prepareTopics(log, registry, topics, 2)
  const stream = await startStream(await openLog('stream'), registry, topics)
  closers.push(() => stream.close())
  const postgres = await startPostgres()
  closers.push(() => postgres.stop())
  const dir = await tempDir('loyalty-two-')
  closers.push(() => dir.remove())
  const shared = { registry, topics, postgresUrl: await newDatabase(postgres.url), dataDir: dir.path }
  const changes = { clock: { nowMs: () => testNowMs } }
  const files = await openIngest({ ...shared, log, changes })
  closers.push(() => files.close())
  const tills = await openIngest({ ...shared, log: other, changes })
  closers.push(() => tills.close())

  const counted = async () => {
    const rows = (await clientRows(log, registry, topics)).filter(({ frequency }) => frequency > 0)
    return rows
      .map(({ client_id, frequency, monetary_net_minor: net }) => `${client_id}: ${frequency} for ${net}`)
      .sort()
  }
  const uploaded = async () => {
    const { body } = await files.upload(retailFile(receipts))
    return { ...body, task: await files.ended(body.task_id, 90_000) }
  }
  const ids: string[] = []
  const send = async (items: readonly object[]) => {
    const answer = await fetch(`${tills.url}/api/v1/transactions`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'loyalty-system': 'online-retail' },
      body: JSON.stringify(items),
    })
    const body = (await answer.json()) as { accepted: number; results: { transaction_id: string }[] }
    expect(answer.status, JSON.stringify(body)).toBe(202)
    expect(body.accepted).toBe(items.length)
    ids.push(...body.results.map(({ transaction_id: id }) => id))
  }

  const first = await uploaded()
  expect(first.task.report).toMatchObject({ accepted: receipts, duplicates: 0 })
  const once = await counted()
  expect(once).toHaveLength(clients)

  const { body } = await files.order(first.batch_id, 'undo')
  // All of them at any moment of the undo, and the rest of them once after it: so every receipt comes under both ids.
  const items = tillItems()
  const ended = files.ended(body.task_id, 90_000)
  let over = false
  void ended.finally(() => {
    over = true
  })
  for (let from = 0; !over || from < items.length; from += 10)
    await send(items.slice(from % items.length, (from % items.length) + 10))
  expect(await ended).toMatchObject({ status: 'COMPLETED', kind: 'undo' })
  expect(new Set(ids.map((id) => id.endsWith(':g=1')))).toEqual(new Set([false, true]))
  const ofTills = once.filter((row) => Number(row.split(':')[0]) % 2 === 0)
  await eventually(async () => (await counted()).length === ofTills.length, { timeoutMs: 30_000 })
  expect(await counted()).toEqual(ofTills)

  const again = await uploaded()
  expect(again.task.report).toMatchObject({ accepted: receipts / 2, duplicates: receipts / 2, dead_letters: 0 })
  expect(await counted()).toEqual(once)
}, 240_000)
