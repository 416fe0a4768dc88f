import { Hono } from 'hono'
import { equipServer, listen, type ReadinessCheck, type RunningServer } from '../platform/http.ts'
import type { Logger } from '../platform/logging.ts'
import type { Metrics } from '../platform/metrics.ts'
import type { Projector } from './program.ts'

export interface ProjectorServer {
  readonly projector: Projector
  readonly logger: Logger
  readonly metrics: Metrics
  /** 0 takes a free one. */
  readonly port: number
  readonly bind: string
}

/**
 * Serves health, metrics and the state of the projections, and takes the order to build one anew: POST /rebuild/<name>
 * answers when reads see the new tables. Errors: `port_in_use`.
 */
export function serveProjector({ projector, logger, metrics, port, bind }: ProjectorServer): Promise<RunningServer> {
  const app = new Hono()
  const statuses = { projection_unknown: 404 }
  equipServer(app, { logger, metrics, statuses, ready: () => readiness(projector) })
  app.get('/status', async (c) => c.json({ projections: await projector.status() }))
  app.post('/rebuild/:projection', async (c) => {
    const projection = c.req.param('projection')
    const startedMs = performance.now()
    await projector.rebuild(projection)
    return c.json({ projection, seconds: (performance.now() - startedMs) / 1000 })
  })
  return listen(app, { port, bind })
}

async function readiness(projector: Projector): Promise<ReadinessCheck[]> {
  const projections = await projector.status()
  return projections.map(({ projection, state }) => ({
    name: projection,
    ok: state !== 'failing' && state !== 'stopped',
    message: state,
  }))
}
