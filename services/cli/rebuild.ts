import { LoyaltyError } from '#streams/core/error.ts'
import type { RebuildAnswer } from '../projector/server.ts'
import { ask } from './ask.ts'
import { follow } from './follow.ts'

/** Orders a rebuild of a projector; where one is under way, answers that one. Errors: `projection_unknown`. */
export function orderRebuild(projectorUrl: string, projection: string): Promise<RebuildAnswer> {
  return ask<RebuildAnswer>(`${projectorUrl}/rebuild/${encodeURIComponent(projection)}`, { method: 'POST' })
}

/**
 * Waits until reads see the new tables, also over a crash of the projector. Errors: the code under which the rebuild
 * failed; `interrupted` (it goes on).
 */
export function awaitRebuild(
  projectorUrl: string,
  taskId: string,
  onProgress: (task: RebuildAnswer) => void,
  signal: AbortSignal,
): Promise<RebuildAnswer> {
  const ended = (task: RebuildAnswer) => {
    onProgress(task)
    if (task.status === 'COMPLETED') return task
    if (task.status !== 'FAILED') return undefined
    const { code, message } = task.failure ?? { code: 'rebuild_failed', message: 'the rebuild failed' }
    throw new LoyaltyError(code, message, { details: { taskId, projection: task.projection } })
  }
  return follow<RebuildAnswer, RebuildAnswer>(`${projectorUrl}/rebuild/tasks/${taskId}`, ended, signal)
}
