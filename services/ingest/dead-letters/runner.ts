import { setTimeout as sleep } from 'node:timers/promises'
import { hasCode, LoyaltyError, messageOf } from '#streams/core/error.ts'
import { ActionJob, type ActionJobDeps } from './job.ts'
import { underActionLock } from './lock.ts'
import type { Action } from './store.ts'

export interface RunnerDeps {
  readonly job: ActionJobDeps
  readonly onFailed?: (action: Action, error: unknown) => void
  /** An action stopped and is tried again. */
  readonly onRetry?: (action: Action, error: unknown) => void
}

/** Unknown errors are tried again, in case they pass; after so many attempts the action is given up. */
const maxAttempts = 5
const longestPauseMs = 10_000

/**
 * Works on actions, one after the other in the order in which they were ordered, under a session lock of PostgreSQL: of
 * several programs one does, and when it is killed any other goes on.
 */
export class ActionRunner {
  readonly #deps: RunnerDeps

  constructor(deps: RunnerDeps) {
    this.#deps = deps
  }

  /**
   * Works until nothing is left to do. False where another program holds the lock. Errors: of the database;
   * `generations_lost`: this program cannot do what is next, another may.
   */
  async work(signal: AbortSignal): Promise<boolean> {
    const worked = await underActionLock(this.#deps.job.pool, async (lost) => {
      const held = AbortSignal.any([lost, signal])
      for (;;) {
        held.throwIfAborted()
        const action = await this.#deps.job.store.claim()
        if (action === null) return
        await this.#run(action, held)
      }
    })
    return worked !== null
  }

  async #run(action: Action, signal: AbortSignal): Promise<void> {
    const { job, onFailed, onRetry } = this.#deps
    try {
      await new ActionJob(job, action, signal).run()
      await job.store.complete(action.actionId)
    } catch (error) {
      if (signal.aborted || hasCode(error, 'generations_lost')) throw error
      const lasting = error instanceof LoyaltyError ? !error.retriable : action.attempts >= maxAttempts
      if (lasting) {
        onFailed?.(action, error)
        const code = error instanceof LoyaltyError ? error.code : 'internal_error'
        await job.store.fail(action.actionId, code, messageOf(error))
        return
      }
      onRetry?.(action, error)
      await sleep(Math.min(longestPauseMs, 250 * 2 ** Math.min(10, action.attempts)), undefined, { signal })
    }
  }
}
