import { cp, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { decoderOf } from '#schemas/decoder.ts'
import type { TransactionRecorded } from '#schemas/events.ts'
import { topicsOf } from '#schemas/topics.ts'
import type { LogWriter } from '#streams/log/log.ts'
import { readRange } from '#streams/log/range.ts'
import { eventually } from '../../support/eventually.ts'
import { MemoryLog } from '../../support/memory-log.ts'
import { MemoryRegistry } from '../../support/memory-registry.ts'
import { type RunningPostgres, startPostgres } from '../../support/postgres.ts'
import { type TempDir, tempDir } from '../../support/temp-dir.ts'
import {
  clientRows,
  newDatabase,
  openIngest,
  prepareTopics,
  retailFile,
  startStream,
  testNowMs,
} from './support/world.ts'

/** Uploads taken back, through the real stream. */

const topics = topicsOf('loyalty')
let postgres: RunningPostgres
beforeAll(async () => {
  postgres = await startPostgres()
})
afterAll(() => postgres.stop())

let log: MemoryLog
let registry: MemoryRegistry
let dir: TempDir
let ingest: Awaited<ReturnType<typeof openIngest>>
const closers: (() => Promise<unknown>)[] = []

beforeEach(async () => {
  log = new MemoryLog({ nowMs: () => testNowMs })
  registry = new MemoryRegistry()
  dir = await tempDir('loyalty-undo-')
  closers.push(() => dir.remove())
  await prepareTopics(log, registry, topics, 2)
  const stream = await startStream(log, registry, topics)
  closers.push(() => stream.close())
  ingest = await openIngest({ log, registry, postgresUrl: await newDatabase(postgres.url), dataDir: dir.path })
  closers.push(() => ingest.close())
})
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close()
})

async function uploaded(text: string) {
  const { body } = await ingest.upload(text)
  const { report } = await ingest.ended(body.task_id)
  return { batchId: body.batch_id, report: report! }
}

/** Some of the receipts of one file. */
function part(from: number, to: number): string {
  const [header, ...lines] = retailFile(80).trim().split('\n')
  return `${[header, ...lines.slice(from * 2, to * 2)].join('\n')}\n`
}

async function undone(batchId: string) {
  const { body } = await ingest.order(batchId, 'undo')
  const task = await ingest.ended(body.task_id)
  expect(task).toMatchObject({ status: 'COMPLETED', kind: 'undo' })
  return { taskId: body.task_id, report: task.undo! }
}

async function discard(selector: object) {
  const answer = await fetch(`${ingest.url}/api/v1/management/dead-letters/discard`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ selector, reason: 'typed twice' }),
  })
  const { action_id } = (await answer.json()) as { action_id: string }
  const asked = `${ingest.url}/api/v1/management/dead-letters/actions/${action_id}`
  await eventually(async () => ((await (await fetch(asked)).json()) as { status: string }).status === 'COMPLETED')
}

/** What is said of the clients, without what counts events: voids are events too. */
async function states() {
  const rows = (await clientRows(log, registry, topics)).filter((row) => row.frequency > 0)
  return rows
    .map(({ version: _, transactions: __, ...row }) => row)
    .sort((a, b) => (a.client_id < b.client_id ? -1 : 1))
}

async function events(): Promise<TransactionRecorded[]> {
  const decoder = decoderOf(registry, 'TransactionRecorded')
  const found: TransactionRecorded[] = []
  for (const [partition, end] of (await log.admin.endOffsets(topics.transactions)).entries())
    for await (const { records } of readRange(log, topics.transactions, partition, 0, end))
      for (const { value } of records) {
        const decoded = await decoder.read(value)
        if (decoded.kind === 'ok') found.push(decoded.event)
      }
  return found
}

describe('an undo', () => {
  test('takes the transactions of a batch back by VOIDs; the same file counts again, under ids of the next generation', async () => {
    const { batchId } = await uploaded(retailFile(60))
    const once = await states()
    const { taskId, report } = await undone(batchId)
    expect(report).toMatchObject({
      ...{ kind: 'undo', batch_id: batchId, undo_batch_id: taskId, taken_back: 60, sales: 60, refunds: 0, renewed: 0 },
      ...{ standing: { count: 0, first: [] }, events: { accepted: 60, duplicates: 0, dead_letters: 0 } },
      ...{ clients: 10, buyers: 0 },
    })
    expect(await states()).toEqual([])
    const voids = (await events()).filter(({ kind }) => kind === 'VOID')
    expect(voids).toHaveLength(60)
    expect(voids.every((event) => event.batch_id === taskId && event.source === `undo:${batchId}`)).toBe(true)
    const again = await uploaded(retailFile(60))
    expect(again.report).toMatchObject({ accepted: 60, duplicates: 0 })
    expect(await states()).toEqual(once)
    expect((await events()).filter(({ transaction_id: id }) => id.endsWith(':g=1'))).toHaveLength(60)
  })

  test('leaves what another upload delivered too, and names it; when that is taken back as well, it goes', async () => {
    const first = await uploaded(part(0, 60))
    const second = await uploaded(part(40, 80))
    expect(second.report).toMatchObject({ accepted: 20, duplicates: 20 })
    const { report } = await undone(first.batchId)
    expect(report).toMatchObject({ taken_back: 40, standing: { count: 20 } })
    expect(report.standing.first[0]!.transaction_id).toMatch(/^online-retail:r=\d+$/)
    const list = await fetch(`${ingest.url}/api/v1/management/data/uploads/${first.batchId}/undo/standing`)
    expect((await list.text()).trim().split('\n')).toHaveLength(21)
    expect((await states()).reduce((sum, { frequency }) => sum + frequency, 0)).toBe(40)
    expect((await undone(second.batchId)).report).toMatchObject({ taken_back: 40, standing: { count: 0 } })
    expect(await states()).toEqual([])
  })

  test('waits for an upload of the same receipts that is under way, and lets stand what that brought', async () => {
    // The day stays where the larger file has moved it.
    const sums = async () => (await states()).map((row) => [row.client_id, row.frequency, row.monetary_net_minor])
    const first = await uploaded(part(0, 20))
    const once = await sums()
    const under = await ingest.upload(retailFile(4_000))
    const order = await ingest.order(first.batchId, 'undo')
    const behind = await ingest.upload(part(0, 20))
    expect((await ingest.order(under.body.batch_id, 'undo')).body.code).toBe('upload_not_ended')
    expect((await ingest.ended(under.body.task_id)).report).toMatchObject({ accepted: 3_980, duplicates: 20 })
    expect((await ingest.ended(order.body.task_id)).undo).toMatchObject({ taken_back: 0, standing: { count: 20 } })
    expect((await ingest.ended(behind.body.task_id)).report).toMatchObject({ accepted: 0, duplicates: 20 })
    expect((await undone(under.body.batch_id)).report).toMatchObject({ taken_back: 3_980, standing: { count: 20 } })
    expect(await sums()).toEqual(once)
  })

  test('asked for twice is one task; an undo is not taken back; what has published nothing has nothing to undo', async () => {
    const { batchId } = await uploaded(part(0, 5))
    const { taskId } = await undone(batchId)
    expect(await ingest.order(batchId, 'undo')).toMatchObject({ status: 200, body: { task_id: taskId } })
    expect(await ingest.order(taskId, 'undo')).toMatchObject({ status: 409, body: { code: 'undo_of_undo' } })
    expect(await ingest.order(batchId, 'replace-conflicts')).toMatchObject({ body: { code: 'upload_undone' } })
    expect(await ingest.order('00000000-0000-4000-8000-000000000009', 'undo')).toMatchObject({
      ...{ status: 404, body: { code: 'upload_not_found' } },
    })
    const unread = await uploaded(part(0, 5).replaceAll('1.25', '1x25'))
    expect(unread.report).toMatchObject({ rows: { accepted: 0 } })
    expect((await undone(unread.batchId)).report).toMatchObject({ taken_back: 0 })
    const shown = await ingest.store.upload(batchId)
    expect(shown).toMatchObject({ status: 'COMPLETED', undoTaskId: taskId })
    expect(shown!.undoneAtMs).toBeGreaterThan(0)
  })
})

test('an undo that failed before it had decided looks anew when it is ordered again', async () => {
  const { batchId: first } = await uploaded(retailFile(6))
  const once = await states()
  const spill = join(dir.path, 'spill')
  await rm(spill, { recursive: true, force: true })
  await writeFile(spill, 'in the way')
  const { body } = await ingest.order(first, 'undo')
  const refused = { code: 'data_directory_refused', message: expect.stringContaining('ENOTDIR') }
  expect(await ingest.ended(body.task_id)).toMatchObject({ status: 'FAILED', errorCode: refused.code })
  expect(await ingest.store.upload(first)).toMatchObject({ undoTaskId: body.task_id, undoError: refused })
  await rm(spill)
  const { batchId: second } = await uploaded(retailFile(6))
  const { report } = await undone(first)
  expect(report).toMatchObject({ taken_back: 0, standing: { count: 6 } })
  expect(await states()).toEqual(once)
  expect((await undone(second)).report).toMatchObject({ taken_back: 6 })
})

test('an upload waits where what undos left is lost', async () => {
  const { taskId } = await undone((await uploaded(part(0, 5))).batchId)
  const [file, aside] = [join(dir.path, 'generations', `${taskId}.keys`), join(dir.path, 'aside')]
  await rename(file, aside)
  const { body } = await ingest.upload(part(0, 5))
  await eventually(async () => (await ingest.store.task(body.task_id))?.waiting?.code === 'generations_lost')
  await rename(aside, file)
  expect((await ingest.ended(body.task_id)).report).toMatchObject({ accepted: 5, duplicates: 0 })
})

describe('a receipt that comes again with other content', () => {
  test('is named in the report and, on request, replaces the one before; taken back, it goes', async () => {
    const first = await uploaded(part(0, 10))
    const changed = part(5, 10).replaceAll(',1.25,', ',2.50,')
    const second = await uploaded(changed)
    expect(second.report).toMatchObject({
      ...{ accepted: 0, duplicates: 0, dead_letters: 5, rejected: { conflict: 5 } },
      conflicts: { count: 5 },
    })
    expect(second.report.conflicts!.first[0]).toMatchObject({ receipt_number: '7', amount_minor: 1_000 })
    const before = (await states()).reduce((sum, row) => sum + row.monetary_net_minor, 0)
    const { body } = await ingest.order(second.batchId, 'replace-conflicts')
    const replaced = await ingest.ended(body.task_id)
    expect(replaced.undo).toMatchObject({ kind: 'replace', replaced: 5, taken_back: 0, events: { accepted: 5 } })
    const after = await states()
    expect(after.reduce((sum, { frequency }) => sum + frequency, 0)).toBe(10)
    const brought = changed.split('\n').slice(1, -1).length
    expect(brought).toBe(10)
    expect(after.reduce((sum, row) => sum + row.monetary_net_minor, 0)).toBeGreaterThan(before)
    // Both as they are now: the new one again is a duplicate, the old one again a conflict.
    expect((await uploaded(changed)).report).toMatchObject({ accepted: 0, duplicates: 5, dead_letters: 0 })
    expect((await uploaded(part(0, 10))).report).toMatchObject({ duplicates: 5, conflicts: { count: 5 } })
    expect((await undone(first.batchId)).report).toMatchObject({ taken_back: 0, standing: { count: 5 } })
  })

  test('comes in force when the one before is taken back, unless it was discarded', async () => {
    const first = await uploaded(part(0, 10))
    const changed = part(5, 10).replaceAll(',1.25,', ',2.50,')
    const second = await uploaded(changed)
    expect(second.report).toMatchObject({ conflicts: { count: 5 } })
    const discarded = second.report.conflicts!.first[0]!
    await discard({ client_id: [discarded.client_id] })
    const { report } = await undone(first.batchId)
    expect(report).toMatchObject({ taken_back: 10, restored: 4, events: { accepted: 10 } })
    const after = await states()
    expect(after.reduce((sum, { frequency }) => sum + frequency, 0)).toBe(4)
    expect(after.map((row) => row.client_id)).not.toContain(discarded.client_id)
    // They are the second upload's now, and go with it.
    expect((await undone(second.batchId)).report).toMatchObject({ taken_back: 4, restored: 0 })
    expect(await states()).toEqual([])
  })

  test('gives way again to the one that it replaced when it is taken back', async () => {
    await uploaded(part(0, 10))
    const before = await states()
    const second = await uploaded(part(5, 10).replaceAll(',1.25,', ',2.50,'))
    const { body } = await ingest.order(second.batchId, 'replace-conflicts')
    expect((await ingest.ended(body.task_id)).undo).toMatchObject({ replaced: 5, restored: 0 })
    expect(await states()).not.toEqual(before)
    expect((await undone(second.batchId)).report).toMatchObject({ taken_back: 5, restored: 5 })
    expect(await states()).toEqual(before)
  })
})

describe('a cancel', () => {
  test('ends an upload of which nothing is published, also in the middle of reading; later it is refused', async () => {
    const done = await uploaded(part(0, 5))
    expect(await ingest.order(done.batchId, 'cancel')).toMatchObject({ status: 409, body: { code: 'cancel_too_late' } })
    // Behind one that takes its time, and that one itself.
    const large = await ingest.upload(retailFile(60_000))
    const behind = await ingest.upload(part(5, 10))
    expect((await ingest.order(behind.body.batch_id, 'undo')).body.code).toBe('upload_not_ended')
    await eventually(async () => (await ingest.store.task(large.body.task_id))?.status === 'PROCESSING')
    for (const { body } of [behind, large]) {
      expect(await ingest.order(body.batch_id, 'cancel')).toMatchObject({
        status: 200,
        body: { task_id: body.task_id },
      })
      expect(await ingest.ended(body.task_id)).toMatchObject({ status: 'FAILED', errorCode: 'upload_cancelled' })
      expect((await ingest.order(body.batch_id, 'undo')).body.code).toBe('nothing_to_undo')
    }
    // The program goes on with the next, and nothing of either was published.
    expect((await uploaded(part(5, 10))).report).toMatchObject({ accepted: 5, duplicates: 0 })
    expect(await events()).toHaveLength(10)
    expect(await ingest.store.task(large.body.task_id)).toMatchObject({ errorCode: 'upload_cancelled', report: null })
  })
})

describe('a till at another program', () => {
  /** A second program on the same log, database and data directory, whose appends wait for `gate`. */
  async function openSecond(gate: Promise<unknown>) {
    const appending = Promise.withResolvers<void>()
    const waiting = (writer: LogWriter): LogWriter => ({
      append: writer.append.bind(writer),
      close: writer.close.bind(writer),
      appendMany: async (batches) => {
        appending.resolve()
        await gate
        return writer.appendMany(batches)
      },
    })
    const held = new Proxy(log, {
      get: (target, name) => {
        if (name === 'writer') return () => waiting(target.writer())
        const value = Reflect.get(target, name)
        return typeof value === 'function' ? value.bind(target) : value
      },
    })
    const second = await openIngest({ log: held, registry, postgresUrl: ingest.postgresUrl, dataDir: dir.path })
    closers.push(() => second.close())
    return { url: second.url, appending: appending.promise }
  }

  async function send(url: string, { client_id, occurred_at, receipt_number, amount_minor }: TransactionRecorded) {
    const item = { client_id, occurred_at, receipt_number, kind: 'SALE', amount_minor, currency: 'GBP' }
    const answer = await fetch(`${url}/api/v1/transactions`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'loyalty-system': 'online-retail' },
      body: JSON.stringify(item),
    })
    return { status: answer.status, body: await answer.json() }
  }

  test('is told the id in force, and the receipt counts, though an undo ended its id between the look and the commit', async () => {
    const gate = Promise.withResolvers<void>()
    const second = await openSecond(gate.promise)
    const { batchId } = await uploaded(part(0, 2))
    const [sale] = (await events()).filter(({ kind }) => kind === 'SALE')
    const sent = send(second.url, sale!)
    await second.appending
    await undone(batchId)
    gate.resolve()
    const id = `${sale!.transaction_id}:g=1`
    expect(await sent).toMatchObject({ status: 202, body: { accepted: 1, results: [{ transaction_id: id }] } })
    await eventually(async () => (await states()).length === 1)
    expect(await states()).toMatchObject([{ client_id: sale!.client_id, frequency: 1 }])
    // What it had sent under the old id is there as well, and counts nothing.
    expect((await events()).filter(({ kind, batch_id }) => kind === 'SALE' && batch_id === null)).toHaveLength(2)
  })

  test('is asked to send again while this program lacks what an undo has ended', async () => {
    const second = await openSecond(Promise.resolve())
    const { batchId } = await uploaded(part(0, 2))
    const [sale] = (await events()).filter(({ kind }) => kind === 'SALE')
    const { taskId } = await undone(batchId)
    const [file, aside] = [join(dir.path, 'generations', `${taskId}.keys`), join(dir.path, 'aside')]
    await rename(file, aside)
    expect(await send(second.url, sale!)).toMatchObject({ status: 503, body: { code: 'generations_lost' } })
    await rename(aside, file)
    expect(await send(second.url, sale!)).toMatchObject({ status: 202 })
  })
})

test('an upload goes on at another program where the one that works lacks what undos left', async () => {
  const { batchId } = await uploaded(part(0, 5))
  await undone(batchId)
  const elsewhere = await tempDir('loyalty-undo-elsewhere-')
  closers.push(() => elsewhere.remove())
  const lost = await openIngest({ log, registry, postgresUrl: ingest.postgresUrl, dataDir: elsewhere.path })
  closers.push(() => lost.close())
  await ingest.close()
  const { body } = await lost.upload(part(0, 5))
  await eventually(async () => (await lost.store.task(body.task_id))?.waiting?.code === 'generations_lost')
  const standing = `${lost.url}/api/v1/management/data/uploads/${batchId}/undo/standing`
  expect(await (await fetch(standing)).json()).toMatchObject({ code: 'kept_elsewhere' })
  await cp(join(elsewhere.path, 'uploads'), join(dir.path, 'uploads'), { recursive: true })
  ingest = await openIngest({ log, registry, postgresUrl: ingest.postgresUrl, dataDir: dir.path })
  expect((await ingest.ended(body.task_id)).report).toMatchObject({ accepted: 5, duplicates: 0 })
})

describe('a till', () => {
  test('and a file agree on the ids of receipts that were taken back', async () => {
    const { batchId } = await uploaded(part(0, 2))
    await undone(batchId)
    await uploaded(part(0, 1))
    const [first, second] = (await events()).filter(({ kind }) => kind === 'SALE').slice(0, 2)
    const sent = await fetch(`${ingest.url}/api/v1/transactions`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'loyalty-system': 'online-retail' },
      body: JSON.stringify(
        [first!, second!].map(({ client_id, occurred_at, receipt_number }) => ({
          ...{ client_id, occurred_at, receipt_number, kind: 'SALE', amount_minor: 100, currency: 'GBP' },
        })),
      ),
    })
    const { results } = (await sent.json()) as { results: { transaction_id: string }[] }
    expect(results.map(({ transaction_id: id }) => id)).toEqual([
      `${first!.transaction_id}:g=1`,
      `${second!.transaction_id}:g=1`,
    ])
  })
})
