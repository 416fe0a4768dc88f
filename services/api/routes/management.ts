import type { OpenAPIHono } from '@hono/zod-openapi'
import { proxy } from 'hono/proxy'
import { LoyaltyError } from '#streams/core/error.ts'
import { currentTrace, traceparentOf } from '../../platform/trace.ts'
import type { ApiState } from '../state.ts'

/** What ingestion serves and the API passes through, bodies as streams. */
const passedOn = [
  ['POST', '/api/v1/transactions'],
  // Only that: a client may be called "import".
  ['POST', '/api/v1/clients/import'],
  ['ALL', '/api/v1/management/data/*'],
  ['ALL', '/api/v1/management/tasks/*'],
  ['ALL', '/api/v1/management/dead-letters/*'],
] as const

export function managementRoutes(app: OpenAPIHono, { deps }: ApiState): void {
  for (const [method, path] of passedOn)
    app.on(method, path, async (c) => {
      const { pathname, search } = new URL(c.req.url)
      const trace = currentTrace()
      const headers = {
        ...c.req.header(),
        // Settled with the client already; the connection to ingestion has its own terms.
        expect: undefined,
        ...(trace === undefined ? {} : { traceparent: traceparentOf(trace), 'x-correlation-id': trace.correlationId }),
      }
      try {
        return await proxy(`${deps.urls.ingest}${pathname}${search}`, { raw: c.req.raw, headers })
      } catch (cause) {
        throw new LoyaltyError('ingest_unavailable', 'ingestion does not answer; try again in a moment', {
          retriable: true,
          cause,
        })
      }
    })
}
