import { OpenAPIHono } from '@hono/zod-openapi'
import { afterEach, expect, test } from 'vitest'
import { encodersOf } from '#schemas/encoder.ts'
import type { ProgrammeConfigured } from '#schemas/events.ts'
import { topicSpecs, topicsOf } from '#schemas/topics.ts'
import { ProfileBook } from '#services/ingest/profile-book.ts'
import { openTills, type TillsDeps, tillStatuses } from '#services/ingest/tills/app.ts'
import { GroupCommit } from '#services/ingest/tills/group-commit.ts'
import { equipServer, listen } from '#services/platform/http.ts'
import { createLogger } from '#services/platform/logging.ts'
import { createMetrics } from '#services/platform/metrics.ts'
import { LoyaltyError } from '#streams/core/error.ts'
import type { LogWriter } from '#streams/log/log.ts'
import { eventually } from '../../../support/eventually.ts'
import { MemoryLog } from '../../../support/memory-log.ts'
import { MemoryRegistry } from '../../../support/memory-registry.ts'
import { postTransactions, tillSale } from './support.ts'

/** The door where the log is slow, the body late, the programme missing. */

const topics = topicsOf('loyalty')
const closers: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close()
})

interface WorldOptions {
  readonly limits?: TillsDeps['limits']
  readonly known?: { readonly programme: ProgrammeConfigured | null }
  /** Called before each append. */
  readonly beforeAppend?: () => Promise<void>
}

const programme = { currency: 'GBP', partitions: 2 } as ProgrammeConfigured

async function openWorld({ limits, known = { programme }, beforeAppend }: WorldOptions = {}) {
  const log = new MemoryLog()
  await log.admin.ensureTopics(topicSpecs(topics, 2))
  const appended: number[] = []
  const inner = log.writer()
  const writer: LogWriter = {
    ...inner,
    async appendMany(batches) {
      await beforeAppend?.()
      appended.push(batches.reduce((sum, { records }) => sum + records.length, 0))
      await inner.appendMany(batches)
    },
  }
  log.writer = () => writer
  const logger = createLogger('ingest', 'silent')
  const metrics = createMetrics('ingest')
  const tills = openTills({
    log,
    topics,
    control: { read: async () => ({ programme: known.programme, day: null, cutPoints: null, model: null }) },
    profiles: new ProfileBook(null),
    registry: new MemoryRegistry(),
    encoders: encodersOf({ TransactionRecorded: 1, ClientProfileChanged: 2 }),
    metrics,
    logger,
    limits,
  })
  const app = new OpenAPIHono()
  equipServer(app, { logger, metrics, ready: () => [], statuses: tillStatuses })
  tills.addRoutes(app)
  const server = await listen(app, { port: 0, bind: '127.0.0.1' })
  closers.push(async () => {
    await server.close()
    await tills.close()
  })
  return { url: server.url, appended }
}

/** A door that is opened by hand. */
function latch() {
  const { promise, resolve } = Promise.withResolvers<void>()
  let waiting = 0
  return {
    pass: () => {
      waiting++
      return promise
    },
    open: resolve,
    waiting: () => waiting,
  }
}

test('nobody has an answer before the log has what was sent', async () => {
  const { pass, open, waiting } = latch()
  const world = await openWorld({ beforeAppend: pass })
  const answers = Array.from({ length: 5 }, (_, i) => postTransactions(world.url, tillSale({ client_id: `c${i}` })))
  await eventually(() => waiting() === 1)
  expect(await (await fetch(`${world.url}/metrics`)).text()).not.toMatch(/http_requests_total\{method="POST"/)
  open()
  for (const answer of await Promise.all(answers)) expect(answer.status).toBe(202)
  expect(world.appended.reduce((sum, records) => sum + records, 0)).toBe(5)
})

test('what comes while the log is busy shares the next append', async () => {
  const { pass, open, waiting } = latch()
  const sizes: number[] = []
  const writer = {
    appendMany: async (batches: readonly { readonly records: readonly unknown[] }[]) => {
      await pass()
      sizes.push(...batches.map(({ records }) => records.length))
    },
  } as unknown as LogWriter
  const commits = new GroupCommit({ writer, topic: 't', lingerMs: 0 })
  const record = { key: Buffer.from('k'), value: Buffer.from('v') }
  const first = commits.append([{ partition: 0, record }])
  await eventually(() => waiting() === 1)
  const others = Array.from({ length: 20 }, (_, i) => commits.append([{ partition: i % 2, record }]))
  open()
  await Promise.all([first, ...others])
  expect(sizes).toEqual([1, 10, 10])
  expect(waiting()).toBe(2)
  await commits.close()
  await expect(commits.append([{ partition: 0, record }])).rejects.toMatchObject({ code: 'stopping' })
})

test('no answer of acceptance without the log: a fault of it is a 503 with its code', async () => {
  const world = await openWorld({
    beforeAppend: () => Promise.reject(new LoyaltyError('log_unavailable', 'gone', { retriable: true })),
  })
  expect(await postTransactions(world.url, tillSale())).toMatchObject({
    status: 503,
    body: { code: 'log_unavailable' },
  })
})

test('a log that does not answer in time is a 503, and what waits for it is still counted', async () => {
  const { pass, open } = latch()
  const limits = { commitMs: 50, underWay: { requests: 2, bytes: 1_000_000 } }
  const world = await openWorld({ beforeAppend: pass, limits })
  for (let i = 0; i < 2; i++)
    expect(await postTransactions(world.url, tillSale())).toMatchObject({
      status: 503,
      body: { code: 'log_unavailable', message: expect.stringContaining('send all of them again') },
    })
  const refused = await postTransactions(world.url, tillSale())
  expect(refused).toMatchObject({ status: 429, body: { code: 'too_busy' } })
  expect(refused.headers.get('retry-after')).toBe('1')
  open()
  await eventually(async () => (await postTransactions(world.url, tillSale())).status === 202)
})

test('bodies that wait for the log are bounded by their bytes', async () => {
  const { pass, open, waiting } = latch()
  const world = await openWorld({ beforeAppend: pass, limits: { underWay: { requests: 100, bytes: 20_000 } } })
  const large = (id: string) => tillSale({ transaction_id: id, attributes: { note: 'x'.repeat(12_000) } })
  const first = postTransactions(world.url, large('a'))
  await eventually(() => waiting() === 1)
  expect(await postTransactions(world.url, large('b'))).toMatchObject({ status: 429, body: { code: 'too_busy' } })
  open()
  expect((await first).status).toBe(202)
  await eventually(async () => (await postTransactions(world.url, large('b'))).status === 202)
})

test.each([
  ['stops', { idleMs: 50, totalMs: 60_000 }],
  ['goes on for too long', { idleMs: 60_000, totalMs: 100 }],
])('a body that %s is a 408', async (_, times) => {
  const world = await openWorld({ limits: { json: { bytes: 1_000_000, ...times } } })
  const stream = new ReadableStream<Uint8Array>({
    start: (controller) => controller.enqueue(Buffer.from('{"client_id":')),
  })
  expect(await postTransactions(world.url, stream)).toMatchObject({ status: 408, body: { code: 'body_timeout' } })
})

test('blank lines hold nobody up: what they took is given back as they come', async () => {
  const world = await openWorld({ limits: { underWay: { requests: 10, bytes: 6 * 1024 * 1024 } } })
  const lines = { 'content-type': 'application/x-ndjson' }
  const { pass, open, waiting } = latch()
  let sent = 0
  const blanks = new ReadableStream<Uint8Array>({
    async pull(controller) {
      if (sent === 16) await pass()
      if (sent === 16) return controller.close()
      sent++
      controller.enqueue(sent === 1 ? Buffer.from(JSON.stringify(tillSale())) : Buffer.alloc(1024 * 1024, ' \r\n'))
    },
  })
  const slow = postTransactions(world.url, blanks, lines)
  await eventually(() => waiting() === 1)
  await eventually(async () => (await postTransactions(world.url, tillSale())).status === 202)
  open()
  expect(await slow).toMatchObject({ status: 202 })
})

test('a stream gives back what the log has, however long it is, and waits for the log as long as that takes', async () => {
  const { pass, open, waiting } = latch()
  const world = await openWorld({
    beforeAppend: pass,
    limits: {
      items: 10,
      underWay: { requests: 10, bytes: 20_000 },
      ndjson: { bytes: 1_000_000, idleMs: 600, totalMs: 60_000 },
    },
  })
  const lines = (id: number) =>
    Array.from(
      { length: 10 },
      (_, i) =>
        `${JSON.stringify(tillSale({ transaction_id: `${id}-${i}`, attributes: { note: 'ж'.repeat(400) } }))}\n`,
    ).join('')
  let send: ReadableStreamDefaultController<Uint8Array> | undefined
  const stream = new ReadableStream<Uint8Array>({
    start(controller) {
      send = controller
    },
  })
  const answer = postTransactions(world.url, stream, { 'content-type': 'application/x-ndjson' })
  send!.enqueue(Buffer.from(lines(0)))
  await eventually(() => waiting() === 1)
  const heldMs = performance.now() + 800
  await eventually(() => performance.now() > heldMs)
  open()
  for (let id = 1; id <= 5; id++) {
    await eventually(() => world.appended.length === id)
    send!.enqueue(Buffer.from(lines(id)))
  }
  await eventually(() => world.appended.length === 6)
  const other = tillSale({ attributes: { note: 'x'.repeat(15_000) } })
  expect((await postTransactions(world.url, other)).status).toBe(202)
  send!.close()
  expect(await answer).toMatchObject({ status: 202, body: { accepted: 60 } })
})

test('a stream that fails in the middle tells how much of it is in the log', async () => {
  const world = await openWorld({ limits: { items: 10, ndjson: { bytes: 10_000, idleMs: 60_000, totalMs: 60_000 } } })
  const lines = Buffer.from(`${JSON.stringify(tillSale())}\n`.repeat(10))
  let send: ReadableStreamDefaultController<Uint8Array> | undefined
  const stream = new ReadableStream<Uint8Array>({
    start(controller) {
      send = controller
    },
  })
  const answer = postTransactions(world.url, stream, { 'content-type': 'application/x-ndjson' })
  send!.enqueue(lines)
  await eventually(() => world.appended.length === 1)
  send!.enqueue(Buffer.alloc(10_000, ' '))
  expect(await answer).toMatchObject({
    status: 413,
    body: {
      code: 'body_too_large',
      message: expect.stringContaining('10 transactions before that are in the log'),
      details: { accepted: 10, rejected: 0 },
    },
  })
})

test('a programme that is not configured is a 409 that says what to do, until it is', async () => {
  const known: { programme: ProgrammeConfigured | null } = { programme: null }
  const world = await openWorld({ known })
  expect(await postTransactions(world.url, tillSale())).toMatchObject({
    status: 409,
    body: { code: 'programme_missing', message: expect.stringContaining('loyalty start') },
  })
  known.programme = programme
  expect((await postTransactions(world.url, tillSale())).status).toBe(202)
})
