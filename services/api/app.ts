import { OpenAPIHono } from '@hono/zod-openapi'
import { messageOf } from '#streams/core/error.ts'
import { ingestRoutes } from '../ingest/routes.ts'
import { equipServer, type ReadinessCheck, refuseInvalid } from '../platform/http.ts'
import { clientRoutes } from './routes/clients.ts'
import { qualityRoutes, qualityStatuses } from './routes/data-quality.ts'
import { docsRoutes } from './routes/docs.ts'
import { managementRoutes } from './routes/management.ts'
import { segmentRoutes } from './routes/segments.ts'
import { serviceRoutes } from './routes/service.ts'
import type { ApiState } from './state.ts'

/** The API as an app that can be asked without a server. */
export function createApiApp(state: ApiState): OpenAPIHono {
  const app = new OpenAPIHono({ defaultHook: refuseInvalid })
  const { logger, metrics, version } = state.deps
  const statuses = { client_not_found: 404, ...qualityStatuses }
  equipServer(app, { logger, metrics, ready: () => readiness(state), statuses })
  clientRoutes(app, state)
  segmentRoutes(app, state)
  serviceRoutes(app, state)
  // Before what is passed on to ingestion, whose paths it is among.
  qualityRoutes(app, state)
  managementRoutes(app, state)
  docsRoutes(app)
  for (const route of ingestRoutes) app.openAPIRegistry.registerPath(route)
  app.doc('/openapi.json', {
    openapi: '3.0.3',
    info: {
      title: 'Loyalty Stream API',
      version,
      description: 'Loyalty standing of every client, current within a fraction of a second of a purchase.',
    },
  })
  return app
}

/** Profiles come from Postgres, statistics from ClickHouse; the API is ready while one of them answers. */
async function readiness({ deps }: ApiState): Promise<ReadinessCheck[]> {
  const questions = [
    deps.pool.query('SELECT 1'),
    deps.clickhouse.query({ query: 'SELECT 1' }).then((result) => result.text()),
  ]
  const answers = await Promise.allSettled(questions)
  const failures = answers.flatMap((answer) => (answer.status === 'rejected' ? [messageOf(answer.reason)] : []))
  const ok = failures.length < questions.length
  return [{ name: 'stores', ok, ...(failures.length === 0 ? {} : { message: failures.join('; ') }) }]
}
