import { resolve } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { LoyaltyError } from '#streams/core/error.ts'
import { Control } from '../ingest/control.ts'
import { ActionRunner } from '../ingest/dead-letters/runner.ts'
import { DeadLetters } from '../ingest/dead-letters/service.ts'
import { type Action, ActionStore } from '../ingest/dead-letters/store.ts'
import { UndoStore } from '../ingest/store/undos.ts'
import { GenerationFence } from '../ingest/undo/fence.ts'
import { Generations } from '../ingest/undo/generations.ts'
import type { CliContext, CommonOptions } from './context.ts'
import { progressBar } from './progress.ts'
import { type Need, type Session, withSession } from './session.ts'

/** Dead letters for the verbs: what ingestion does about them, in this process. */
export interface DlqParts {
  readonly session: Session
  readonly letters: DeadLetters
  /** Works on what is ordered, unless the running platform does. */
  readonly runner: ActionRunner
}

/** Errors: those of `withSession`. */
export function withDeadLetters<Result>(
  context: CliContext,
  options: CommonOptions,
  needs: readonly Need[],
  work: (parts: DlqParts) => Promise<Result>,
): Promise<Result> {
  return withSession(context, options, needs, async (session) => {
    const { topics } = session
    const [log, registry, pool] = [session.log(), session.registry(), session.postgres()]
    const control = await Control.open(log, topics, registry)
    const store = new ActionStore(pool)
    const generations = await Generations.open(resolve(session.config.dataDir))
    const fence = new GenerationFence(generations, new UndoStore(pool))
    const deps = { log, topics, registry, pool, control, store, fence }
    const runner = new ActionRunner({
      job: { ...deps, crash: () => {} },
      onRetry: (_, error) => context.output.note(`tried again: ${error instanceof Error ? error.message : error}`),
    })
    return work({ session, letters: new DeadLetters(deps), runner })
  })
}

/** What reading and ordering need on a directory at rest. */
export const readingNeeds: readonly Need[] = ['postgres', 'log', 'registry']

/** Shows how far `work` is, which hears of it as a share from 0 to 1. */
export async function withProgress<Result>(
  stage: string,
  work: (onProgress: (share: number) => void) => Promise<Result>,
): Promise<Result> {
  const bar = progressBar(100)
  try {
    return await work((share) => bar.update(share * 100, stage))
  } finally {
    bar.stop()
  }
}

/**
 * Waits for an action to end: the platform works on it if it runs, this process if not. Errors: the code under which it
 * failed; `interrupted` (it goes on with the platform).
 */
export async function untilActionEnded(
  context: CliContext,
  { letters, runner }: DlqParts,
  actionId: string,
): Promise<Action> {
  const { interrupted } = context
  for (;;) {
    const action = await letters.action(actionId)
    if (action.status === 'COMPLETED') return action
    if (action.status === 'FAILED')
      throw new LoyaltyError(action.errorCode ?? 'internal_error', action.errorMessage ?? 'the action failed', {
        details: { actionId },
      })
    const worked = await runner.work(interrupted).catch((error: unknown) => {
      if (!interrupted.aborted) throw error
    })
    if (interrupted.aborted)
      throw new LoyaltyError('interrupted', `not waiting any longer; action ${actionId} goes on with the platform`, {
        details: { actionId },
      })
    if (worked === false) await delay(pollMs)
  }
}

const pollMs = 200
