import { request } from 'node:http'
import { gzipSync } from 'node:zlib'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { topicsOf } from '#schemas/topics.ts'
import { eventually } from '../../support/eventually.ts'
import { retailFile, upload } from '../ingest/support/world.ts'
import { postTransactions, tillSale } from '../ingest/tills/support.ts'
import { type ApiOverIngest, startApiOverIngest } from './support/api-over-ingest.ts'

/** Tills speak to the API's port; the API passes what they say through to ingestion. */

const topics = topicsOf('loyalty')
let api: ApiOverIngest
let url: string

beforeAll(async () => {
  api = await startApiOverIngest({ tillLimits: { underWay: { requests: 1, bytes: 64 * 1024 * 1024 } } })
  url = api.url
})
afterAll(() => api?.close())

const published = async () => (await api.log.admin.endOffsets(topics.transactions)).reduce((sum, end) => sum + end, 0)
const lines = (count: number, prefix: string) =>
  Array.from({ length: count }, (_, i) => `${JSON.stringify(tillSale({ transaction_id: `${prefix}${i}` }))}\n`)

test('one transaction, in the name of the system and under the trace of the caller', async () => {
  const traceId = '0af7651916cd43dd8448eb211c80319c'
  const headers = { 'loyalty-system': 'north', traceparent: `00-${traceId}-b7ad6b7169203331-01` }
  const answer = await postTransactions(url, tillSale(), headers)
  expect(answer).toMatchObject({ status: 202, body: { results: [{ transaction_id: 'north:i=t-1' }] } })
  expect(await postTransactions(url, tillSale({ kind: 'GIFT' }), headers)).toMatchObject({
    status: 400,
    body: { code: 'nothing_accepted', trace_id: traceId },
  })
})

test('a compressed body, and lines that come without a length', async () => {
  const gzip = gzipSync(lines(10, 'zip').join(''))
  const headers = { 'content-type': 'application/x-ndjson' }
  expect(await postTransactions(url, gzip, { ...headers, 'content-encoding': 'gzip' })).toMatchObject({
    status: 202,
    body: { accepted: 10 },
  })
  const stream = ReadableStream.from(lines(2_000, 'nd').map((line) => Buffer.from(line)))
  expect(await postTransactions(url, stream as ReadableStream, headers)).toMatchObject({
    status: 202,
    body: { accepted: 2_000 },
  })
})

test('a large body of a client that waits for leave to send it, as curl does', async () => {
  const body = Buffer.from(lines(8_000, 'expect').join(''))
  expect(body.length).toBeGreaterThan(1_000_000)
  const answer = await new Promise<{ status: number | undefined; text: string }>((resolve, reject) => {
    const sent = request(`${url}/api/v1/transactions`, {
      method: 'POST',
      headers: { 'content-type': 'application/x-ndjson', 'content-length': body.length, expect: '100-continue' },
    })
    sent.on('continue', () => sent.end(body))
    sent.on('response', async (response) => {
      const parts = await response.toArray()
      resolve({ status: response.statusCode, text: Buffer.concat(parts).toString() })
    })
    sent.on('error', reject)
    sent.flushHeaders()
  })
  expect(answer.status).toBe(202)
  expect(JSON.parse(answer.text)).toMatchObject({ accepted: 8_000 })
})

test('a body that is too large is refused with its code', async () => {
  expect(await postTransactions(url, ' '.repeat(17 * 1024 * 1024))).toMatchObject({
    status: 413,
    body: { code: 'body_too_large' },
  })
})

test('while more is under way than can be held, a request is asked to come again', async () => {
  let send: ReadableStreamDefaultController<Uint8Array> | undefined
  const stream = new ReadableStream<Uint8Array>({
    start(controller) {
      send = controller
    },
  })
  const before = await published()
  const first = postTransactions(url, stream, { 'content-type': 'application/x-ndjson' })
  send!.enqueue(Buffer.from(lines(1_000, 'first').join('')))
  await eventually(async () => (await published()) > before)
  const second = await postTransactions(url, tillSale())
  expect(second).toMatchObject({ status: 429, body: { code: 'too_busy' } })
  expect(second.headers.get('retry-after')).toBe('1')
  send!.close()
  expect((await first).status).toBe(202)
  await eventually(async () => (await postTransactions(url, tillSale())).status === 202)
})

test('rejected rows of an upload come through as they are, and while it is read the answer says so', async () => {
  const file = retailFile(3).replace('100.0', '')
  const { body } = await upload(url, file, 'online-retail', 'shop.csv')
  const rejected = () => fetch(`${url}/api/v1/management/data/uploads/${body.batch_id}/rejected?lang=en`)
  const response = await eventually(async () => {
    const answer = await rejected()
    if (answer.status === 200) return answer
    expect([answer.status, ((await answer.json()) as { code: string }).code]).toEqual([503, 'verdicts_not_ready'])
    return null
  })
  expect(response.headers.get('content-type')).toBe('text/csv; charset=utf-8')
  expect(response.headers.get('content-language')).toBe('en')
  const lines = (await response.text()).split('\r\n')
  expect(lines.map((line) => line.split(',').slice(0, 2).join())).toEqual([
    'loyalty_row,loyalty_reason',
    '1,missing_client',
    '2,incomplete_receipt',
    '',
  ])
})
