import type { IncomingMessage, ServerResponse } from 'node:http'
import { serve } from '@hono/node-server'
import type { Context, Env, Hono, MiddlewareHandler, Schema } from 'hono'
import { HTTPException } from 'hono/http-exception'
import { routePath } from 'hono/route'
import type { ContentfulStatusCode } from 'hono/utils/http-status'
import { hasCode, LoyaltyError, messageOf } from '#streams/core/error.ts'
import type { Logger } from './logging.ts'
import type { Metrics } from './metrics.ts'
import { currentTrace, startTrace, traceparentOf, withTrace } from './trace.ts'

/** One part that readiness depends on. */
export interface ReadinessCheck {
  readonly name: string
  readonly ok: boolean
  /** What is wrong, for the person who reads it. */
  readonly message?: string
}

export interface ServerParts {
  readonly logger: Logger
  readonly metrics: Metrics
  /** Asked at each GET /readiness; any check that is not ok makes the answer 503. */
  readonly ready: () => Promise<readonly ReadinessCheck[]> | readonly ReadinessCheck[]
  /** Asked at each GET /healthcheck, which answers when it does; default: nothing but the server itself. */
  readonly alive?: () => Promise<unknown>
  /** Text of GET /metrics; default: that of `metrics`. */
  readonly exposition?: () => Promise<string>
  /** HTTP status per error code; other codes are 500, retriable ones 503. */
  readonly statuses?: Readonly<Record<string, number>>
}

/** The body of every error answer. */
export interface ErrorBody {
  readonly error: string
  readonly message: string
  readonly code: string
  readonly details: Readonly<Record<string, unknown>>
  readonly trace_id: string
}

/**
 * Gives an app what every server of the product has: a trace per request, metrics, the error body, and GET /healthcheck
 * (the process lives), /readiness (its parts answer) and /metrics (Prometheus). Call it before adding routes.
 */
export function equipServer<E extends Env, S extends Schema, Base extends string>(
  app: Hono<E, S, Base>,
  parts: ServerParts,
): void {
  app.use('*', traceRequests(parts))
  app.get('/healthcheck', async (c) => {
    await parts.alive?.()
    return c.json({ status: 'ok' })
  })
  app.get('/readiness', async (c) => {
    const checks = await parts.ready()
    const ready = checks.every(({ ok }) => ok)
    return c.json({ status: ready ? 'ready' : 'not_ready', checks }, ready ? 200 : 503)
  })
  const { registry } = parts.metrics
  const exposition = parts.exposition ?? (() => registry.metrics())
  app.get('/metrics', async (c) => c.text(await exposition(), 200, { 'content-type': registry.contentType }))
  app.notFound((c) => {
    const message = `there is no ${c.req.method} ${c.req.path} here`
    return answerError(c, parts, new LoyaltyError('route_not_found', message))
  })
  app.onError((error, c) => answerError(c, parts, error))
}

const quiet = new Set(['/healthcheck', '/readiness', '/metrics'])

function traceRequests({ logger, metrics }: ServerParts): MiddlewareHandler {
  return async function traceRequest(c, next) {
    const trace = startTrace(c.req.header('traceparent'), c.req.header('x-correlation-id'))
    await withTrace(trace, async () => {
      const startedMs = performance.now()
      await next()
      const seconds = (performance.now() - startedMs) / 1000
      const route = routePath(c, -1)
      c.header('traceparent', traceparentOf(trace))
      metrics.httpRequests.inc({ method: c.req.method, route, status: c.res.status })
      metrics.httpSeconds.observe({ method: c.req.method, route }, seconds)
      const level = quiet.has(c.req.path) ? 'debug' : 'info'
      logger[level]({ method: c.req.method, path: c.req.path, status: c.res.status, seconds }, 'request')
    })
  }
}

const commonStatuses: Readonly<Record<string, number>> = {
  route_not_found: 404,
  request_invalid: 400,
  config_invalid: 500,
}

const reasons: Readonly<Record<number, string>> = {
  400: 'Bad Request',
  401: 'Unauthorized',
  403: 'Forbidden',
  404: 'Not Found',
  408: 'Request Timeout',
  409: 'Conflict',
  413: 'Content Too Large',
  415: 'Unsupported Media Type',
  422: 'Unprocessable Content',
  429: 'Too Many Requests',
  500: 'Internal Server Error',
  502: 'Bad Gateway',
  503: 'Service Unavailable',
}

/** Answers an error; what is not a LoyaltyError is logged and told as `internal_error` without its inner words. */
function answerError(c: Context, parts: ServerParts, error: unknown): Response {
  const known = asLoyaltyError(error)
  const status =
    parts.statuses?.[known.code] ??
    commonStatuses[known.code] ??
    (error instanceof HTTPException ? error.status : known.retriable ? 503 : 500)
  if (status >= 500) parts.logger.error({ error, path: c.req.path }, messageOf(error))
  parts.metrics.httpErrors.inc({ code: known.code })
  return c.json(errorBody(known, status), status as ContentfulStatusCode)
}

function asLoyaltyError(error: unknown): LoyaltyError {
  if (error instanceof LoyaltyError) return error
  if (error instanceof HTTPException) return new LoyaltyError('request_invalid', error.message)
  if (isOutOfReach(error))
    return new LoyaltyError('store_unavailable', 'a store does not answer; try again in a moment', { retriable: true })
  return new LoyaltyError('internal_error', 'something went wrong here; the log has more under this trace_id')
}

/** Codes of sockets and of PostgreSQL (shutting down, starting up, too many connections) that say: not now. */
const outOfReach = /^(ECONNREFUSED|ECONNRESET|EPIPE|ETIMEDOUT|ENOTFOUND|EAI_AGAIN|57P0[123]|53300|08\w{3})$/

function isOutOfReach(error: unknown): boolean {
  if (!(error instanceof Error)) return false
  const code = 'code' in error ? String(error.code) : ''
  return outOfReach.test(code) || /^(Connection terminated|timeout expired|timeout exceeded)/i.test(error.message)
}

export function errorBody(error: LoyaltyError, status: number): ErrorBody {
  return {
    error: reasons[status] ?? 'Error',
    message: error.message,
    code: error.code,
    details: error.details,
    trace_id: currentTrace()?.traceId ?? '',
  }
}

interface ZodFaults {
  readonly issues: readonly { readonly path: readonly PropertyKey[]; readonly message: string }[]
}

/** `defaultHook` of an OpenAPIHono: a request that does not fit its schema is `request_invalid`, with every fault. */
export function refuseInvalid(result: { success: boolean; error?: ZodFaults; target?: string }): void {
  if (result.success) return
  const faults = (result.error?.issues ?? []).map(({ path, message }) => ({ field: path.join('.'), fault: message }))
  const list = faults.map(({ field, fault }) => (field === '' ? fault : `${field}: ${fault}`)).join('; ')
  throw new LoyaltyError('request_invalid', `the ${result.target ?? 'request'} is not valid: ${list}`, {
    details: { faults },
  })
}

export interface RunningServer {
  readonly port: number
  readonly url: string
  /** Stops taking connections, lets running requests end, then resolves. */
  close(): Promise<void>
}

/**
 * Serves an app. `port` 0 takes a free one.
 *
 * Errors: `port_in_use`.
 */
export function listen(
  app: { fetch: (request: Request) => Response | Promise<Response> },
  options: { port: number; bind: string },
): Promise<RunningServer> {
  return new Promise((resolve, reject) => {
    const server = serve(
      { fetch: (request: Request) => app.fetch(request), port: options.port, hostname: options.bind },
      (info) => {
        const url = `http://127.0.0.1:${info.port}`
        resolve({ port: info.port, url, close: () => closeServer(server) })
      },
    )
    server.on('request', (incoming: IncomingMessage, outgoing: ServerResponse) =>
      outgoing.once('finish', () => discardRest(incoming)),
    )
    server.once('error', (cause) => {
      const taken = (cause as NodeJS.ErrnoException).code === 'EADDRINUSE'
      const message = taken ? `port ${options.port} is in use; choose another one` : messageOf(cause)
      reject(new LoyaltyError(taken ? 'port_in_use' : 'server_failed', message, { cause }))
    })
  })
}

/**
 * A request was answered before all of its body was read, as one that is refused. The rest is taken from the connection, so
 * that the sender, who may be sending still, gets the answer, and the next request over it is heard. Whoever listens for
 * data would hold it back once nobody reads on. The server ends a connection of which the rest is too long.
 */
function discardRest(incoming: IncomingMessage): void {
  if (incoming.readableEnded) return
  incoming.removeAllListeners('data')
  incoming.resume()
}

const idleEveryMs = 50

/** A connection that was busy is let go when its answer is out: a client that polls over it would keep it for ever. */
function closeServer(server: ReturnType<typeof serve>): Promise<void> {
  const letGo = () => {
    if ('closeIdleConnections' in server) server.closeIdleConnections()
  }
  return new Promise((resolve, reject) => {
    const idle = setInterval(letGo, idleEveryMs)
    server.close((error) => {
      clearInterval(idle)
      if (error === undefined || hasServerGone(error)) resolve()
      else reject(error)
    })
    letGo()
  })
}

function hasServerGone(error: Error): boolean {
  return hasCode(error, 'ERR_SERVER_NOT_RUNNING') || (error as NodeJS.ErrnoException).code === 'ERR_SERVER_NOT_RUNNING'
}
