import { Agent, request } from 'node:http'
import { Hono } from 'hono'
import { describe, expect, it } from 'vitest'
import { equipServer, listen, type ReadinessCheck } from '#services/platform/http.ts'
import { createLogger } from '#services/platform/logging.ts'
import { createMetrics } from '#services/platform/metrics.ts'
import { LoyaltyError } from '#streams/core/error.ts'

function server(ready: () => ReadinessCheck[] = () => []) {
  const metrics = createMetrics('test')
  const lines: Record<string, unknown>[] = []
  const logger = createLogger('test', 'info', { write: (line: string) => void lines.push(JSON.parse(line)) })
  const app = new Hono()
  equipServer(app, { logger, metrics, ready, statuses: { client_not_found: 404 } })
  app.get('/clients/:id', (c) => {
    if (c.req.param('id') === 'none')
      throw new LoyaltyError('client_not_found', 'no such client', { details: { id: 'none' } })
    if (c.req.param('id') === 'down') throw new LoyaltyError('log_unavailable', 'later', { retriable: true })
    if (c.req.param('id') === 'bug') throw new TypeError('secret inner words')
    return c.json({ id: c.req.param('id') })
  })
  return { app, lines, metrics }
}

describe('a server', () => {
  it('answers errors with the one body, its status by code', async () => {
    const { app } = server()
    const traceparent = `00-${'c'.repeat(32)}-${'d'.repeat(16)}-01`
    const answer = await app.request('/clients/none', { headers: { traceparent } })
    expect(answer.status).toBe(404)
    expect(await answer.json()).toEqual({
      error: 'Not Found',
      message: 'no such client',
      code: 'client_not_found',
      details: { id: 'none' },
      trace_id: 'c'.repeat(32),
    })
  })

  it('answers 503 where a retry may help and 404 for an unknown route', async () => {
    const { app } = server()
    expect((await app.request('/clients/down')).status).toBe(503)
    const unknown = await app.request('/nowhere')
    expect(unknown.status).toBe(404)
    expect(await unknown.json()).toMatchObject({ code: 'route_not_found' })
  })

  it('logs a defect and does not tell its inner words', async () => {
    const { app, lines } = server()
    const answer = await app.request('/clients/bug')
    expect(answer.status).toBe(500)
    expect(await answer.text()).not.toContain('secret')
    expect(lines.find(({ level }) => level === 'error')).toMatchObject({ error: { message: 'secret inner words' } })
  })

  it('is alive in any case and ready when every part is', async () => {
    const checks: ReadinessCheck[] = [{ name: 'postgres', ok: false, message: 'connection refused' }]
    const { app } = server(() => checks)
    expect((await app.request('/healthcheck')).status).toBe(200)
    const answer = await app.request('/readiness')
    expect(answer.status).toBe(503)
    expect(await answer.json()).toEqual({ status: 'not_ready', checks })
  })

  it('counts requests by route, not by path', async () => {
    const { app } = server()
    await app.request('/clients/1')
    await app.request('/clients/2')
    await app.request('/clients/none')
    const text = await (await app.request('/metrics')).text()
    expect(text).toMatch(/http_requests_total\{method="GET",route="\/clients\/:id",status="200",service="test"\} 2/)
    expect(text).toMatch(/api_errors_total\{code="client_not_found",service="test"\} 1/)
    expect(text).toContain('loyalty_lag_records')
  })

  it('binds, answers, and refuses a port in use by name', async () => {
    const { app } = server()
    const running = await listen(app, { port: 0, bind: '127.0.0.1' })
    try {
      expect((await fetch(`${running.url}/healthcheck`)).status).toBe(200)
      await expect(listen(app, { port: running.port, bind: '127.0.0.1' })).rejects.toMatchObject({
        code: 'port_in_use',
      })
    } finally {
      await running.close()
    }
    await expect(fetch(`${running.url}/healthcheck`)).rejects.toThrow()
  })
})

describe('a server that closes', () => {
  it('lets the running request end, and a client that polls over the same connection does not keep it', async () => {
    let answer = () => {}
    const asked = new Promise<void>((resolve) => {
      answer = resolve
    })
    const app = new Hono()
    app.get('/slow', async (c) => {
      await asked
      return c.text('whole')
    })
    app.get('/', (c) => c.text('polled'))
    const running = await listen(app, { port: 0, bind: '127.0.0.1' })
    const slow = fetch(`${running.url}/slow`)
    await fetch(running.url)
    const closed = running.close().then(() => 'closed')
    answer()
    expect(await (await slow).text()).toBe('whole')
    const polling = setInterval(
      () =>
        void fetch(running.url).then(
          (one) => one.text(),
          () => {},
        ),
      100,
    )
    const timeout = new Promise((resolve) => setTimeout(resolve, 3_000, 'still serving'))
    expect(await Promise.race([closed, timeout])).toBe('closed')
    clearInterval(polling)
  })
})

describe('a connection over which a request was refused before its body was read', () => {
  const app = new Hono()
  app.post('/first-chunk', async (c) => {
    await c.req.raw.body!.getReader().read()
    return c.text('too large', 413)
  })
  app.post('/untouched', (c) => {
    if (c.req.raw.body === null) return c.text('no body')
    return c.text('no such type', 415)
  })
  app.post('/whole', async (c) => c.text(await c.req.text()))

  for (const [path, status] of [
    ['/first-chunk', 413],
    ['/untouched', 415],
  ] as const)
    it(`gives the answer, and hears the next request (${path})`, async () => {
      const server = await listen(app, { port: 0, bind: '127.0.0.1' })
      const agent = new Agent({ keepAlive: true, maxSockets: 1 })
      try {
        for (let i = 0; i < 3; i++) {
          expect(await post(server.url + path, Buffer.alloc(4 * 1024 * 1024), agent)).toMatchObject({ status })
          expect(await post(`${server.url}/whole`, Buffer.from('next'), agent)).toEqual({ status: 200, text: 'next' })
        }
        expect(connections(agent)).toBe(1)
      } finally {
        agent.destroy()
        await server.close()
      }
    })
})

/** Connections that the agent holds. */
function connections({ sockets, freeSockets }: Agent): number {
  return Object.values({ ...sockets, ...freeSockets }).reduce((sum, list) => sum + (list?.length ?? 0), 0)
}

function post(url: string, body: Buffer, agent: Agent): Promise<{ status: number | undefined; text: string }> {
  return new Promise((resolve, reject) => {
    const sent = request(url, { method: 'POST', agent }, (answer) => {
      let text = ''
      answer.on('data', (chunk) => {
        text += chunk
      })
      answer.on('end', () => resolve({ status: answer.statusCode, text }))
    })
    sent.on('error', reject)
    sent.end(body)
  })
}
