import { Hono } from 'hono'
import { equipServer, listen, type ReadinessCheck, type RunningServer } from '../platform/http.ts'
import type { Logger } from '../platform/logging.ts'
import type { Metrics } from '../platform/metrics.ts'
import type { Projector } from './program.ts'
import type { RebuildTask } from './rebuild-tasks.ts'

export interface ProjectorServer {
  readonly projector: Projector
  readonly logger: Logger
  readonly metrics: Metrics
  /** 0 takes a free one. */
  readonly port: number
  readonly bind: string
}

/** An order to rebuild as it is told; the states are those of upload tasks. */
export interface RebuildAnswer {
  readonly task_id: string
  readonly projection: string
  readonly status: 'PENDING' | 'PROCESSING' | 'COMPLETED' | 'FAILED'
  readonly progress_percentage: number
  readonly applied_records: number
  readonly total_records: number
  readonly attempts: number
  /** Since the order, until it ended. */
  readonly seconds: number
  /** What it waits for while it goes on. */
  readonly waiting_for: { readonly code: string; readonly message: string } | null
  readonly failure: { readonly code: string; readonly message: string } | null
}

/**
 * Serves health, metrics and the state of the projections, and takes the order to build one anew: POST /rebuild/<name>
 * answers 202 with a task, or 200 with the task that is under way already; GET /rebuild/tasks/<id> says how far it is.
 * Errors: `port_in_use`.
 */
export function serveProjector({ projector, logger, metrics, port, bind }: ProjectorServer): Promise<RunningServer> {
  const app = new Hono()
  const statuses = { projection_unknown: 404, task_not_found: 404 }
  equipServer(app, { logger, metrics, statuses, ready: () => readiness(projector) })
  app.get('/status', async (c) => c.json({ projections: await projector.status() }))
  app.post('/rebuild/:projection', async (c) => {
    const { task, begun } = await projector.orderRebuild(c.req.param('projection'))
    return c.json(answerOf(task), begun ? 202 : 200)
  })
  app.get('/rebuild/tasks/:id', async (c) => c.json(answerOf(await projector.rebuildTask(c.req.param('id')))))
  return listen(app, { port, bind })
}

const statusOf = { ordered: 'PENDING', building: 'PROCESSING', done: 'COMPLETED', failed: 'FAILED' } as const

function answerOf(task: RebuildTask): RebuildAnswer {
  const { state, appliedRecords, totalRecords, error } = task
  const share = totalRecords === 0 ? 0 : Math.floor((100 * appliedRecords) / totalRecords)
  return {
    task_id: task.taskId,
    projection: task.projection,
    status: statusOf[state],
    // The swap is still to come: 100 is what is done.
    progress_percentage: state === 'done' ? 100 : Math.min(99, share),
    applied_records: appliedRecords,
    total_records: totalRecords,
    attempts: task.attempts,
    seconds: Math.max(0, (task.endedAtMs ?? Date.now()) - task.orderedAtMs) / 1_000,
    waiting_for: task.endedAtMs === null ? error : null,
    failure: task.endedAtMs === null ? null : error,
  }
}

async function readiness(projector: Projector): Promise<ReadinessCheck[]> {
  const projections = await projector.status()
  return projections.map(({ projection, state }) => ({
    name: projection,
    ok: state !== 'failing' && state !== 'stopped',
    message: state,
  }))
}
