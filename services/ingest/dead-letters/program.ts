import type { OpenAPIHono } from '@hono/zod-openapi'
import { messageOf } from '#streams/core/error.ts'
import type { Logger } from '../../platform/logging.ts'
import type { Metrics } from '../../platform/metrics.ts'
import type { Control } from '../control.ts'
import type { IngestCrashHook } from '../crash.ts'
import type { GenerationFence } from '../undo/fence.ts'
import { addDeadLetterRoutes } from './app.ts'
import { ActionRunner } from './runner.ts'
import type { ScanDeps } from './scan.ts'
import { DeadLetters } from './service.ts'
import { type Action, ActionStore } from './store.ts'
import { DeadLetterWorker } from './worker.ts'

export interface DeadLetterProgramDeps extends ScanDeps {
  readonly control: Control
  readonly crash: IngestCrashHook
  readonly fence: GenerationFence
  readonly logger: Logger
  readonly metrics: Metrics
}

/** What the ingest program does about dead letters: its routes, and the work on what is ordered. */
export function openDeadLetters(deps: DeadLetterProgramDeps) {
  const { logger, metrics, topics } = deps
  const store = new ActionStore(deps.pool)
  const letters = new DeadLetters({ ...deps, store })
  const about = ({ actionId, kind, attempts }: Action) => ({ action_id: actionId, kind, attempt: attempts })
  const runner = new ActionRunner({
    job: { ...deps, store, onAppended: (records) => metrics.records.inc({ topic: topics.transactions }, records) },
    onFailed: (action, error) =>
      logger.error({ ...about(action), error }, `action on dead letters failed: ${messageOf(error)}`),
    onRetry: (action, error) =>
      logger.warn({ ...about(action), error }, `action on dead letters is tried again: ${messageOf(error)}`),
  })
  const worker = new DeadLetterWorker(runner, store, logger)
  return {
    addRoutes: (app: OpenAPIHono) => addDeadLetterRoutes(app, letters, () => worker.wake()),
    start: () => worker.start(),
    stop: () => worker.stop(),
  }
}
