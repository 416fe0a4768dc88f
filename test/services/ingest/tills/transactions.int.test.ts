import { connect } from 'node:net'
import { gzipSync, zstdCompressSync } from 'node:zlib'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { decoderOf } from '#schemas/decoder.ts'
import { encodersOf } from '#schemas/encoder.ts'
import type { TransactionRecorded } from '#schemas/events.ts'
import { registerAll } from '#schemas/registry.ts'
import { topicsOf } from '#schemas/topics.ts'
import { clientEventType } from '#services/ingest/clients/routes.ts'
import { transactionEventType } from '#services/ingest/tills/cloud-events.ts'
import { partitionOf } from '#streams/core/partitioner.ts'
import type { Log } from '#streams/log/log.ts'
import { openPostgresLog } from '#streams/log/postgres/postgres-log.ts'
import { readRange } from '#streams/log/range.ts'
import { eventually } from '../../../support/eventually.ts'
import { MemoryRegistry } from '../../../support/memory-registry.ts'
import { type RunningPostgres, startPostgres } from '../../../support/postgres.ts'
import { type TempDir, tempDir } from '../../../support/temp-dir.ts'
import { clientRows, newDatabase, openIngest, prepareTopics, startStream } from '../support/world.ts'
import { postClients, postTransactions, tillSale } from './support.ts'

/** Transactions of tills over HTTP, on the log of PostgreSQL, through the stream. */

const topics = topicsOf('loyalty')
const registry = new MemoryRegistry()
let postgres: RunningPostgres
let dir: TempDir
let database: string
let log: Log
let ingest: Awaited<ReturnType<typeof openIngest>>
let url: string
const closers: (() => Promise<unknown>)[] = []

const programme = {
  programme: { when: 'configure', profile: null },
  settings: { monetaryBasis: 'net', partitions: 2, ledgerCap: 4096, currency: 'GBP', timeZone: 'Europe/London' },
} as const

beforeAll(async () => {
  postgres = await startPostgres()
  closers.push(() => postgres.stop())
  dir = await tempDir('loyalty-tills-')
  closers.push(() => dir.remove())
  database = await newDatabase(postgres.url)
  log = openPostgresLog({ url: database })
  closers.push(() => log.close())
  await prepareTopics(log, registry, topics, 2)
  ingest = await openIngest({ log, registry, postgresUrl: database, dataDir: dir.path, changes: programme })
  closers.push(() => ingest.close())
  url = ingest.url
})
afterAll(async () => {
  for (const close of closers.splice(0).reverse()) await close()
})

async function published(): Promise<number> {
  return (await log.admin.endOffsets(topics.transactions)).reduce((sum, end) => sum + end, 0)
}

/** What a request adds to the log. */
async function added<Answer>(work: () => Promise<Answer>): Promise<{ answer: Answer; records: number }> {
  const before = await published()
  const answer = await work()
  return { answer, records: (await published()) - before }
}

function sales(count: number, prefix: string, clients = 10): Record<string, unknown>[] {
  return Array.from({ length: count }, (_, i) =>
    tillSale({ transaction_id: `${prefix}-${i}`, client_id: `${prefix}-${i % clients}`, amount_minor: 100 + i }),
  )
}

const ndjson = { 'content-type': 'application/x-ndjson' }

describe('what is sent', () => {
  test('one transaction is in the log when the answer comes', async () => {
    const { answer, records } = await added(() => postTransactions(url, tillSale()))
    expect(answer).toMatchObject({
      status: 202,
      body: { accepted: 1, rejected: 0, results: [{ index: 0, status: 'accepted', transaction_id: 'pos:i=t-1' }] },
    })
    expect(records).toBe(1)
  })

  test('of an array every item has its verdict, and the good ones go through', async () => {
    const items = [tillSale({ transaction_id: 'a-1' }), tillSale({ currency: 'EUR' }), 5, tillSale({ client_id: 'c2' })]
    const { answer, records } = await added(() => postTransactions(url, items, { 'loyalty-system': 'north' }))
    expect(answer.status).toBe(202)
    expect(answer.body).toEqual({
      accepted: 2,
      rejected: 2,
      results: [
        { index: 0, status: 'accepted', transaction_id: 'north:i=a-1' },
        {
          index: 1,
          status: 'rejected',
          code: 'wrong_currency',
          field: 'currency',
          message: "currency is EUR, the programme's is GBP",
        },
        { index: 2, status: 'rejected', code: 'bad_field', field: null, message: 'a transaction must be an object' },
        { index: 3, status: 'accepted', transaction_id: 'north:i=t-1' },
      ],
    })
    expect(records).toBe(2)
  })

  test('is refused as a whole where nothing of it is accepted', async () => {
    const { answer, records } = await added(() => postTransactions(url, [tillSale({ kind: 'GIFT' })]))
    expect(answer).toMatchObject({
      status: 400,
      body: {
        code: 'nothing_accepted',
        details: { accepted: 0, rejected: 1, results: [{ index: 0, code: 'unknown_kind', field: 'kind' }] },
        trace_id: expect.stringMatching(/^[0-9a-f]{32}$/),
      },
    })
    expect(records).toBe(0)
  })

  test('may be gzip or zstd', async () => {
    const text = Buffer.from(JSON.stringify(sales(50, 'zip')))
    for (const [encoding, bytes] of [
      ['gzip', gzipSync(text)],
      ['zstd', zstdCompressSync(text)],
    ] as const)
      expect(await postTransactions(url, bytes, { 'content-encoding': encoding })).toMatchObject({
        status: 202,
        body: { accepted: 50 },
      })
  })

  test('may be CloudEvents: one, a batch, or one in the headers', async () => {
    const envelope = { specversion: '1.0', source: '/s', type: transactionEventType }
    const event = (id: string) => ({ ...envelope, id, data: tillSale({ transaction_id: id }) })
    const accepted = (id: string, index = 0) => ({ index, status: 'accepted', transaction_id: `pos:i=${id}` })
    const one = await postTransactions(url, event('ce-1'), { 'content-type': 'application/cloudevents+json' })
    expect(one).toMatchObject({ status: 202, body: { results: [accepted('ce-1')] } })
    const batch = await postTransactions(url, [event('ce-2'), { ...event('ce-3'), type: 'x' }, event('ce-4')], {
      'content-type': 'application/cloudevents-batch+json; charset=utf-8',
    })
    expect(batch).toMatchObject({
      status: 202,
      body: {
        accepted: 2,
        rejected: 1,
        results: [accepted('ce-2'), { code: 'bad_event', field: 'type' }, accepted('ce-4', 2)],
      },
    })
    const headers = { 'ce-specversion': '1.0', 'ce-id': 'e', 'ce-source': '/s', 'ce-type': transactionEventType }
    const binary = await postTransactions(url, tillSale({ transaction_id: 'ce-5' }), headers)
    expect(binary).toMatchObject({ status: 202, body: { results: [accepted('ce-5')] } })
    expect(await postTransactions(url, [tillSale()], headers)).toMatchObject({
      status: 400,
      body: { details: { results: [{ code: 'bad_field', field: null }] } },
    })
  })

  test('may be Avro: a CloudEvent around it, or around nothing but headers', async () => {
    const { TransactionRecorded: encoder } = encodersOf(await registerAll(registry, topics, ['TransactionRecorded']))
    const sale = (id: string) => ({
      ...(tillSale() as Pick<TransactionRecorded, 'client_id' | 'kind' | 'amount_minor' | 'currency'>),
      transaction_id: id,
      occurred_at: Date.UTC(2011, 2, 1),
      source: '',
    })
    const headers = { 'ce-specversion': '1.0', 'ce-id': 'e', 'ce-source': '/s', 'ce-type': transactionEventType }
    const type = { 'content-type': 'application/avro' }
    const { answer, records } = await added(() =>
      postTransactions(url, encoder.encode(sale('av-1')), { ...headers, ...type }),
    )
    expect(answer).toMatchObject({ status: 202, body: { results: [{ transaction_id: 'pos:i=av-1' }] } })
    expect(records).toBe(1)
    // Without its envelope it is no CloudEvent; the envelope in Avro has a test of its own.
    expect(await postTransactions(url, encoder.encode(sale('av-2')), type)).toMatchObject({ status: 415 })
    const structured = { 'content-type': 'application/cloudevents+avro' }
    expect(await postTransactions(url, encoder.encode(sale('av-3')), structured)).toMatchObject({
      status: 400,
      body: { details: { results: [{ code: 'bad_event' }] } },
    })
  })

  test('may be lines, of any number, of which the bad ones are told by their place', async () => {
    const lines = sales(2_500, 'nd').map((sale) => JSON.stringify(sale))
    lines.splice(1_200, 0, '', '{"client_id":', JSON.stringify(tillSale({ amount_minor: -5 })))
    const { answer, records } = await added(() => postTransactions(url, lines.join('\r\n'), ndjson))
    expect(answer.status).toBe(202)
    expect(answer.body).toMatchObject({
      accepted: 2_500,
      rejected: 2,
      results: [
        { index: 1_200, code: 'bad_json' },
        { index: 1_201, code: 'invalid', field: 'amount_minor' },
      ],
    })
    expect(records).toBe(2_500)
  })

  test('may be lines that come slowly: each thousand is in the log before the next', async () => {
    const before = await published()
    let send: ReadableStreamDefaultController<Uint8Array> | undefined
    const stream = new ReadableStream<Uint8Array>({
      start(controller) {
        send = controller
      },
    })
    const write = (items: unknown[]) =>
      send!.enqueue(Buffer.from(items.map((item) => `${JSON.stringify(item)}\n`).join('')))
    const answer = postTransactions(url, stream, ndjson)
    write(sales(1_000, 'slow'))
    await eventually(async () => (await published()) - before === 1_000)
    write(sales(1, 'slower'))
    send!.close()
    expect(await answer).toMatchObject({ status: 202, body: { accepted: 1_001, rejected: 0, results: [] } })
  })
})

describe('what is refused', () => {
  const bomb = gzipSync(Buffer.alloc(32 * 1024 * 1024, 0x20))
  test.each<[string, unknown, Record<string, string>, number, string]>([
    ['no JSON', '{"client_id"', {}, 400, 'body_malformed'],
    ['no UTF-8', new Uint8Array([0x22, 0xff, 0x22]), {}, 400, 'body_malformed'],
    ['an empty array', [], {}, 400, 'nothing_accepted'],
    ['no line', '\n\n', ndjson, 400, 'nothing_accepted'],
    ['a form', 'a=1', { 'content-type': 'application/x-www-form-urlencoded' }, 415, 'media_type_unsupported'],
    ['brotli', '{}', { 'content-encoding': 'br' }, 415, 'encoding_unsupported'],
    ['gzip that is none', '{}', { 'content-encoding': 'gzip' }, 400, 'body_malformed'],
    ['a gzip bomb', bomb, { 'content-encoding': 'gzip' }, 413, 'body_too_large'],
    ['a line without end', 'x'.repeat(1_100_000), ndjson, 413, 'body_too_large'],
    ['too large a body', ' '.repeat(17 * 1024 * 1024), {}, 413, 'body_too_large'],
    ['1,001 transactions in an array', sales(1_001, 'many'), {}, 413, 'too_many_items'],
    ['a system with a colon', tillSale(), { 'loyalty-system': 'a:b' }, 400, 'system_invalid'],
  ])('%s', async (_, body, headers, status, code) => {
    const { answer, records } = await added(() => postTransactions(url, body, headers))
    expect(answer).toMatchObject({ status, body: { code } })
    expect(records).toBe(0)
  })

  test('a transaction of more than 256 KiB', async () => {
    const answer = await postTransactions(url, tillSale({ attributes: { note: 'x'.repeat(300_000) } }))
    expect(answer.body.details).toMatchObject({ results: [{ code: 'too_large' }] })
  })

  test('a stream that breaks in the middle leaves what was in the log, and the program goes on', async () => {
    const before = await published()
    const socket = connect(Number(new URL(url).port), '127.0.0.1')
    socket.on('error', () => {})
    const text = sales(1_500, 'broken')
      .map((sale) => `${JSON.stringify(sale)}\n`)
      .join('')
    socket.write(
      `POST /api/v1/transactions HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-ndjson\r\nContent-Length: 9999999\r\n\r\n${text}`,
    )
    await eventually(async () => (await published()) - before === 1_000)
    socket.destroy()
    expect((await postTransactions(url, tillSale())).status).toBe(202)
  })
})

test('the same receipts by file, by till and by till again count once', async () => {
  const worker = await startStream(log, registry, topics)
  closers.push(() => worker.close())
  const file = [
    'InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country',
    '700001,A1,Tea,2,2011-03-01 12:30:00,1.25,both-1,United Kingdom',
    '700002,A2,Cup,1,2011-03-02 12:30:00,3.00,both-1,United Kingdom',
  ]
    .join('\n')
    .replaceAll('both-1', '424242')
  const { body } = await ingest.upload(file)
  expect(await ingest.ended(body.task_id)).toMatchObject({ status: 'COMPLETED', report: { accepted: 2 } })

  const receipt = (number: string, day: number, line: Record<string, unknown>) => ({
    client_id: '424242',
    kind: 'SALE',
    occurred_at: `2011-03-0${day}T12:30:00Z`,
    amount_minor: line.amount_minor,
    currency: 'GBP',
    receipt_number: number,
    lines: [line],
  })
  const receipts = [
    receipt('700001', 1, { sku: 'A1', description: 'Tea', quantity: 2, amount_minor: 250 }),
    receipt('700002', 2, { sku: 'A2', description: 'Cup', quantity: 1, amount_minor: 300 }),
    receipt('700003', 3, { sku: 'A2', description: 'Cup', quantity: 2, amount_minor: 600 }),
  ]
  for (let i = 0; i < 2; i++)
    expect(await postTransactions(url, receipts, { 'loyalty-system': 'online-retail' })).toMatchObject({
      status: 202,
      body: { accepted: 3, results: [{ transaction_id: 'online-retail:r=700001' }, {}, {}] },
    })
  const row = await eventually(async () => {
    const rows = await clientRows(log, registry, topics)
    const found = rows.find(({ client_id }) => client_id === '424242')
    return found?.frequency === 3 && found
  })
  expect(row).toMatchObject({ transactions: 3, monetary_gross_minor: 1_150 })

  // Another body twice, and both its copies in one.
  const twice = sales(20, 'again', 1)
  for (const items of [twice, twice, [...twice, ...twice]]) await postTransactions(url, items)
  const end = tillSale({ transaction_id: 'end', client_id: 'again-0' })
  await postTransactions(url, end)
  const again = await eventually(async () => {
    const rows = await clientRows(log, registry, topics)
    const found = rows.find(({ client_id }) => client_id === 'again-0')
    return found?.frequency === 21 && found
  })
  expect(again).toMatchObject({ transactions: 21, monetary_gross_minor: 20 * 100 + 190 + 1_250 })
  expect((await log.admin.endOffsets(topics.deadLetters)).reduce((sum, ends) => sum + ends, 0)).toBe(0)
})

test('master data of clients is in its own topic when the answer comes, at the partition of the client', async () => {
  const anna = { client_id: 'anna', name: 'Anna', email: 'anna@example.org', communication_preferences: { sms: true } }
  const answer = await postClients(url, [anna, { client_id: 'x', email: 'x' }, { ...anna, city: 'Tver' }], {
    'loyalty-system': 'crm',
  })
  expect(answer).toMatchObject({
    status: 202,
    body: {
      accepted: 2,
      rejected: 1,
      results: [
        { index: 0, status: 'accepted', client_id: 'anna' },
        { index: 1, status: 'rejected', code: 'bad_field', field: 'email' },
        { index: 2, status: 'accepted', client_id: 'anna' },
      ],
    },
  })
  const event = { specversion: '1.0', id: 'e', source: '/crm', type: clientEventType, data: { client_id: 'boris' } }
  expect(await postClients(url, event, { 'content-type': 'application/cloudevents+json' })).toMatchObject({
    body: { results: [{ client_id: 'boris' }] },
  })
  const avro = { 'content-type': 'application/cloudevents+avro' }
  expect(await postClients(url, Buffer.from('no event'), avro)).toMatchObject({
    status: 400,
    body: { details: { results: [{ code: 'bad_event' }] } },
  })
  expect(await postClients(url, [{ name: 'Nobody' }])).toMatchObject({
    status: 400,
    body: { code: 'nothing_accepted' },
  })
  const decoder = decoderOf(registry, 'ClientProfileChanged')
  const partition = partitionOf(Buffer.from('anna'), 2)
  const found: unknown[] = []
  for (const [at, end] of (await log.admin.endOffsets(topics.clients)).entries())
    for await (const { records } of readRange(log, topics.clients, at, 0, end))
      for (const { key, value } of records) {
        const decoded = await decoder.read(value)
        const id = Buffer.from(key!).toString()
        if (id === 'anna') expect(at).toBe(partition)
        found.push(decoded.kind === 'ok' ? [id, decoded.event.city, decoded.event.source] : decoded)
      }
  expect(found.filter((row) => (row as string[])[0] === 'anna')).toEqual([
    ['anna', null, 'pos:crm'],
    ['anna', 'Tver', 'pos:crm'],
  ])
  expect(found).toHaveLength(3)
})

test('counts what came and what was refused', async () => {
  const text = await (await fetch(`${url}/metrics`)).text()
  expect(text).toMatch(/loyalty_records_total\{topic="loyalty.transactions",service="ingest"\} \d{4}/)
  expect(text).toMatch(/loyalty_rejected_total\{code="wrong_currency",service="ingest"\} 1\n/)
  expect(text).toMatch(/loyalty_batch_records_count\{.*kind="tills".*\} \d+/)
})
