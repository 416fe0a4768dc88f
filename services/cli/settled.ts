import { setTimeout as delay } from 'node:timers/promises'
import { LoyaltyError } from '#streams/core/error.ts'
import { readPositions } from '#streams/runtime/position.ts'
import { haveSettled, untilProjected } from '../ingest/completion.ts'
import type { CliContext } from './context.ts'
import type { Session } from './session.ts'

const pollMs = 100

/**
 * Waits until every task has taken the control records below `controlEnd`, no sweep runs, and the projections have applied
 * what came of it. Errors: `interrupted` (the work goes on).
 */
export async function untilSettled(context: CliContext, session: Session, controlEnd: number): Promise<void> {
  const { topics } = session
  const { interrupted, wiring } = context
  while (!haveSettled(await readPositions(session.log(), topics.accepted), controlEnd)) {
    if (interrupted.aborted) throw new LoyaltyError('interrupted', 'not waiting any longer; the work goes on')
    await delay(pollMs)
  }
  const projections = wiring.projectionProgress(session.config, session.postgres())
  const outputs = [topics.clientState, topics.clientReclassified, topics.accepted]
  await untilProjected(session.log(), outputs, projections, { signal: interrupted })
}
