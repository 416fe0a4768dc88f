import { setTimeout as delay } from 'node:timers/promises'
import { LoyaltyError } from '#streams/core/error.ts'
import { readPositions, type TaskPosition } from '#streams/runtime/position.ts'
import { havePassed, haveSettled, recordEnds, untilProjected } from '../ingest/completion.ts'
import type { CliContext } from './context.ts'
import type { Session } from './session.ts'

const pollMs = 100

/**
 * Waits until every task has taken the control records below `controlEnd`, no sweep runs, and the projections have applied
 * what came of it. Errors: `interrupted` (the work goes on).
 */
export async function untilSettled(context: CliContext, session: Session, controlEnd: number): Promise<void> {
  await untilPositions(context, session, (positions) => haveSettled(positions, controlEnd))
  await untilShown(context, session)
}

/** As `untilSettled`, for the transactions that are in the log by now. */
export async function untilTaken(context: CliContext, session: Session): Promise<void> {
  const ends = await recordEnds(session.log(), session.topics.transactions)
  await untilPositions(context, session, (positions) => havePassed(positions, ends))
  await untilShown(context, session)
}

async function untilPositions(
  { interrupted }: CliContext,
  session: Session,
  hold: (positions: readonly (TaskPosition | null)[]) => boolean,
): Promise<void> {
  while (!hold(await readPositions(session.log(), session.topics.accepted))) {
    if (interrupted.aborted) throw new LoyaltyError('interrupted', 'not waiting any longer; the work goes on')
    await delay(pollMs)
  }
}

async function untilShown({ wiring, interrupted }: CliContext, session: Session): Promise<void> {
  const { topics } = session
  const projections = wiring.projectionProgress(session.config, session.postgres())
  const outputs = [topics.clientState, topics.clientReclassified, topics.accepted]
  await untilProjected(session.log(), outputs, projections, { signal: interrupted })
}
