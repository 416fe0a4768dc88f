import { setTimeout as delay } from 'node:timers/promises'
import type { ProgrammeConfigured, TransactionRecorded } from '#schemas/events.ts'
import { LoyaltyError } from '#streams/core/error.ts'
import { isoOfDay } from '#streams/domain/calendar.ts'
import { readPositions } from '#streams/runtime/position.ts'
import { havePassed, haveSettled, recordEnds, untilProjected } from '../../ingest/completion.ts'
import type { Control } from '../../ingest/control.ts'
import type { ReportCutPoints } from '../../ingest/report.ts'
import type { CliContext } from '../context.ts'
import type { Session } from '../session.ts'
import type { TillClient } from '../till-client.ts'
import { type DayFigures, readFigures } from './figures.ts'
import { tillItemOf } from './till-item.ts'

/** What a day came to, once the stream and every projection have it. */
export interface DayOutcome extends DayFigures {
  /** ISO date. */
  readonly date: string
  /** Receipts of the day that were sent. */
  readonly transactions: number
  /** Cut-points that came into force with this day; null on every other one. */
  readonly calibrated: ReportCutPoints | null
}

export interface ReplayDeps {
  readonly context: CliContext
  readonly session: Session
  readonly control: Control
  readonly programme: ProgrammeConfigured
  readonly till: TillClient
}

const pollMs = 20
const itemsAtOnce = 500

/**
 * One day of a replay after the other, in the order of a shop's own time: the day begins, every client is evaluated for
 * it, then its receipts are sent as a till would; the next one begins only when all that has been taken in. So whatever
 * a receipt changes is recorded under its own day. Every step may be done again: what was done already changes nothing.
 */
export class Replay {
  readonly #deps: ReplayDeps

  constructor(deps: ReplayDeps) {
    this.#deps = deps
  }

  /**
   * `calibrate`: cut-points are made from the days before, as of this one, unless some are in force. Errors: those of
   * `TillClient.send`, the log and the stores; `receipts_refused`: the door refused some; `interrupted`.
   */
  async day(day: number, receipts: readonly TransactionRecorded[], calibrate: boolean): Promise<DayOutcome> {
    const calibrated = await this.#begin(day, calibrate)
    await this.#send(day, receipts)
    await this.#takenIn()
    await this.#projected()
    const figures = await readFigures(this.#deps.session.postgres(), day)
    return { date: isoOfDay(day), transactions: receipts.length, ...figures, calibrated }
  }

  /** Waits until all tasks have taken in all transactions, whoever sent them. */
  async #takenIn(): Promise<void> {
    const { log, topics } = this.#parts()
    const ends = await recordEnds(log, topics.transactions)
    await this.#until(async () => havePassed(await readPositions(log, topics.accepted), ends))
  }

  async #projected(): Promise<void> {
    const { context, session } = this.#deps
    const { log, topics } = this.#parts()
    const progress = context.wiring.projectionProgress(session.config, session.postgres())
    const outputs = [topics.accepted, topics.clientState, topics.clientReclassified]
    await untilProjected(log, outputs, progress, { signal: context.interrupted })
  }

  /** Publishes the day's tick, with cut-points before it where they are due, and waits for the sweep. */
  async #begin(day: number, calibrate: boolean): Promise<ReportCutPoints | null> {
    const { control, context, session, programme } = this.#deps
    const { log, topics } = this.#parts()
    const inForce = await control.read()
    let cuts: ReportCutPoints | null = null
    if (calibrate && inForce.cutPoints === null) {
      cuts = await context.wiring.calibrator(session.clickhouse()).calibrate(day, programme.monetary_basis)
      if (cuts !== null)
        await control.publish(['CutPointsPublished', { ...cuts, calibrated_as_of: day, published_at: Date.now() }])
    }
    if (inForce.day === null || inForce.day < day)
      await control.publish(['DayStarted', { date: day, started_at: Date.now() }])
    const [controlEnd = 0] = await recordEnds(log, topics.control)
    await this.#until(async () => haveSettled(await readPositions(log, topics.accepted), controlEnd))
    return cuts
  }

  async #send(day: number, receipts: readonly TransactionRecorded[]): Promise<void> {
    for (let from = 0; from < receipts.length; from += itemsAtOnce) {
      const items = receipts.slice(from, from + itemsAtOnce).map(tillItemOf)
      const { rejected, codes } = await this.#deps.till.send(items)
      if (rejected > 0)
        throw new LoyaltyError('receipts_refused', `${rejected} receipts of ${isoOfDay(day)} were refused`, {
          details: { day: isoOfDay(day), codes },
        })
    }
  }

  #parts() {
    const { session } = this.#deps
    return { log: session.log(), topics: session.topics }
  }

  async #until(condition: () => Promise<boolean>): Promise<void> {
    const { interrupted } = this.#deps.context
    while (!(await condition())) {
      if (interrupted.aborted)
        throw new LoyaltyError('interrupted', 'the replay stops here; the same command goes on with this day')
      await delay(pollMs)
    }
  }
}
