import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { generateToHttp } from '#services/cli/generator/to-http.ts'
import { TillClient } from '#services/cli/till-client.ts'

type Answer = (request: IncomingMessage, response: ServerResponse, items: readonly unknown[]) => void

/** A door that does what it is told, in turn, and then accepts everything. */
let server: Server
let url: string
let answers: Answer[]
let taken: { readonly atMs: number; readonly items: readonly unknown[]; readonly system: string }[]

const accept: Answer = (_, response, items) => {
  const results = items.map((_, index) => ({ index, status: 'accepted', transaction_id: `t${index}` }))
  response.writeHead(202).end(JSON.stringify({ accepted: items.length, rejected: 0, results }))
}
const fail =
  (status: number, body: object, headers: Record<string, string> = {}): Answer =>
  (_, response) =>
    response.writeHead(status, headers).end(JSON.stringify(body))
const hangUp: Answer = (request) => request.socket.destroy()

beforeEach(async () => {
  answers = []
  taken = []
  server = createServer(async (request, response) => {
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk)
    const items = JSON.parse(Buffer.concat(chunks).toString()) as unknown[]
    taken.push({ atMs: performance.now(), items, system: String(request.headers['loyalty-system']) })
    const answer = answers.shift() ?? accept
    answer(request, response, items)
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
})
afterEach(() => {
  server.closeAllConnections()
  server.close()
})

const signal = new AbortController().signal
const client = (more: object = {}) => new TillClient({ url, system: 'shop', signal, ...more })

describe('a till', () => {
  it.each([
    ['hangs up', hangUp],
    ['is not ready', fail(503, { code: 'log_unavailable' })],
    ['answers no JSON', (_: unknown, response: ServerResponse) => response.writeHead(502).end('<html>')],
  ])('sends the same again to a door that %s', async (_, answer) => {
    answers = [answer as Answer, answer as Answer]
    const till = client()
    expect(await till.send([1, 2])).toEqual({ accepted: 2, rejected: 0, codes: {} })
    expect(taken.map(({ items }) => items)).toEqual([
      [1, 2],
      [1, 2],
      [1, 2],
    ])
    expect(taken[0]!.system).toBe('shop')
    expect(till.retries).toBe(2)
  })

  it('waits as long as 429 says', async () => {
    answers = [fail(429, { code: 'too_busy' }, { 'retry-after': '1' })]
    expect(await client().send([1])).toMatchObject({ accepted: 1 })
    expect(taken[1]!.atMs - taken[0]!.atMs).toBeGreaterThan(990)
  })

  it('counts what was refused, by code, also where everything was', async () => {
    const refused = (code: string) => ({ status: 'rejected', code })
    answers = [
      fail(202, { accepted: 1, rejected: 1, results: [{ status: 'accepted' }, refused('bad_date')] }),
      fail(400, { code: 'nothing_accepted', details: { accepted: 0, rejected: 1, results: [refused('too_large')] } }),
    ]
    expect(await client().send([1, 2])).toEqual({ accepted: 1, rejected: 1, codes: { bad_date: 1 } })
    expect(await client().send([1])).toEqual({ accepted: 0, rejected: 1, codes: { too_large: 1 } })
  })

  it('gives up at an answer that sending again cannot mend', async () => {
    answers = [fail(409, { code: 'programme_missing', message: 'nothing has configured it' })]
    await expect(client().send([1])).rejects.toMatchObject({ code: 'programme_missing' })
    expect(taken).toHaveLength(1)
  })

  it('gives up where nobody has answered for long', async () => {
    answers = Array.from({ length: 20 }, () => hangUp)
    await expect(client({ patienceMs: 200 }).send([1])).rejects.toMatchObject({ code: 'api_unavailable' })
  })

  it('gives up at once where nobody is reached to begin with, and not where somebody was', async () => {
    const till = client()
    await till.send([1])
    const { port } = server.address() as AddressInfo
    server.closeAllConnections()
    await new Promise((closed) => server.close(closed))
    const refused = { code: 'api_unavailable', message: expect.stringContaining('ECONNREFUSED') }
    await expect(client().send([1])).rejects.toMatchObject(refused)
    await expect(generateToHttp({ url }, { events: 10, clients: 2, seed: 1 })).rejects.toMatchObject(refused)
    const sent = till.send([2])
    server.listen(port, '127.0.0.1')
    expect(await sent).toMatchObject({ accepted: 1 })
  })

  it('stops trying when it is called off', async () => {
    const stop = new AbortController()
    answers = Array.from({ length: 20 }, () => (request: IncomingMessage) => {
      stop.abort()
      request.socket.destroy()
    })
    await expect(client({ signal: stop.signal }).send([1])).rejects.toMatchObject({ code: 'interrupted' })
    expect(taken).toHaveLength(1)
  })
})

describe('generated traffic over HTTP', () => {
  const options = { events: 1_200, clients: 50, seed: 2 }
  const numbersTaken = () =>
    taken.flatMap(({ items }) => items.map((item) => (item as { receipt_number: string }).receipt_number))

  it('arrives in batches, all of it, and is counted', async () => {
    const report = await generateToHttp({ url, batch: 100 }, options)
    expect(taken.map(({ items }) => items.length)).toEqual(Array.from({ length: 12 }, () => 100))
    expect(taken[0]!.system).toBe('generator')
    expect(report).toMatchObject({ events: 1_200, accepted: 1_200, rejected: 0, retries: 0, interrupted: false })
    expect(report.sales + report.refunds + report.voids + report.duplicates).toBe(1_200)
    expect(new Set(numbersTaken()).size).toBe(1_200 - report.duplicates)
  })

  it('keeps its rate against a door that answers late: what is overdue goes in larger requests', async () => {
    const late: Answer = (request, response, items) => setTimeout(() => accept(request, response, items), 100)
    answers = Array.from({ length: 300 }, () => late)
    const target = { url, batch: 100, connections: 1 }
    const report = await generateToHttp(target, { ...options, events: 300 }, { ratePerSecond: 1_000 })
    expect(report).toMatchObject({ accepted: 300 })
    // In requests of 10, as many as are due at a time, it would be 30 of 100 ms each.
    expect(taken.length).toBeLessThan(15)
  })

  it('keeps to a rate', async () => {
    const report = await generateToHttp({ url, batch: 100 }, { ...options, events: 300 }, { ratePerSecond: 1_000 })
    expect(report.seconds).toBeGreaterThan(0.25)
    expect(taken.length).toBeGreaterThan(5)
  })

  it('ends with what was under way when it is called off', async () => {
    const stop = new AbortController()
    const onProgress = () => stop.abort()
    const report = await generateToHttp({ url, batch: 100 }, options, { signal: stop.signal, onProgress })
    expect(report.interrupted).toBe(true)
    expect(report.events).toBe(numbersTaken().length)
    expect(report.events).toBeLessThan(1_200)
  })

  it('fails as a whole at an answer that cannot be mended, with its code', async () => {
    answers = [accept, fail(415, { code: 'media_type_unsupported' })]
    await expect(generateToHttp({ url, batch: 10 }, options)).rejects.toMatchObject({ code: 'media_type_unsupported' })
  })
})
