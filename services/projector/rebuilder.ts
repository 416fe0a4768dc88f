import type { Pool } from 'pg'
import { LoyaltyError, messageOf } from '#streams/core/error.ts'
import type { Logger } from '../platform/logging.ts'
import type { Engine } from './engine.ts'
import type { Feed, PartitionOffset } from './feed.ts'
import type { Batch } from './projection.ts'
import { rebuildBeside } from './rebuild.ts'
import { giveUp, noteAttempt, noteProgress, noteTrouble, openRebuild } from './rebuild-tasks.ts'
import type { Session } from './runner.ts'

export interface RebuilderParts<B extends Batch> {
  readonly pool: Pool
  readonly engine: Engine<B>
  readonly logger: Logger
  readonly backOffMs: { readonly first: number; readonly longest: number }
  readonly isCurrent: (session: Session<B>) => boolean
  /** A feed into the new tables, from the start of the log. */
  readonly openNext: (session: Session<B>) => Promise<Feed<B>>
  readonly closeNext: (feed: Feed<B>) => void
}

const noteEveryMs = 250
/** After so many attempts in a row that broke off for reasons nobody foresaw it is given up. */
const mostStrangeFailures = 5

/**
 * Carries out the orders to build a projection anew, for as long as this process owns it. What may pass is waited for: the
 * order stays open, says what it waits for, and is begun again; also by the next owner, when this one dies.
 */
export class Rebuilder<B extends Batch> {
  readonly #parts: RebuilderParts<B>
  #running: Promise<void> | null = null
  #tryAgainAt = 0
  #pauseMs: number
  #strangeFailures = 0

  constructor(parts: RebuilderParts<B>) {
    this.#parts = parts
    this.#pauseMs = parts.backOffMs.first
  }

  get running(): boolean {
    return this.#running !== null
  }

  /** Resolves when no attempt is under way any more. */
  async ended(): Promise<void> {
    await this.#running
  }

  /** Begins what has been ordered, if it is time. Errors: those of the driver. */
  async look(session: Session<B>): Promise<void> {
    const { pool, engine, isCurrent } = this.#parts
    if (this.#running !== null || performance.now() < this.#tryAgainAt) return
    const ordered = await openRebuild(pool, engine.name)
    if (ordered === null || this.#running !== null || !isCurrent(session)) return
    this.#running = this.#attempt(session).finally(() => {
      this.#running = null
    })
  }

  /** Never rejects. */
  async #attempt(session: Session<B>): Promise<void> {
    const { pool, logger, backOffMs } = this.#parts
    try {
      await noteAttempt(pool, session.owner)
      await this.#build(session)
      this.#strangeFailures = 0
      this.#pauseMs = backOffMs.first
      logger.info('projection rebuilt')
    } catch (error) {
      logger.warn({ error }, `the rebuild broke off: ${messageOf(error)}`)
      this.#tryAgainAt = performance.now() + this.#pauseMs
      this.#pauseMs = Math.min(backOffMs.longest, this.#pauseMs * 2)
      // What cannot be noted now leaves the order open: it is begun again.
      await this.#noteFailure(session, error).catch(() => {})
    }
  }

  async #noteFailure({ owner }: Session<B>, error: unknown): Promise<void> {
    const { pool } = this.#parts
    const foreseen = error instanceof LoyaltyError
    this.#strangeFailures = foreseen ? 0 : this.#strangeFailures + 1
    const failure = foreseen ? error : new LoyaltyError('rebuild_failed', messageOf(error), { cause: error })
    const final = foreseen ? !error.retriable : this.#strangeFailures >= mostStrangeFailures
    if (final && (await giveUp(pool, owner, failure))) this.#strangeFailures = 0
    else await noteTrouble(pool, owner, failure)
  }

  async #build(session: Session<B>): Promise<void> {
    const { pool, engine, isCurrent, openNext, closeNext } = this.#parts
    let next: Feed<B> | undefined
    let start = 0
    const note = async () => {
      if (next === undefined) return
      const applied = sum(next.positions) - start
      await noteProgress(pool, session.owner, applied, applied + next.distanceTo(session.feed))
    }
    const timer = setInterval(() => void note().catch(() => {}), noteEveryMs)
    try {
      await rebuildBeside({
        ...{ pool, engine, session, isCurrent: () => isCurrent(session) },
        async openNext() {
          next = await openNext(session)
          start = sum(next.positions)
          return next
        },
        async swap() {
          await note()
          await engine.swap(session.owner)
        },
      })
    } finally {
      clearInterval(timer)
      if (next !== undefined) closeNext(next)
    }
  }
}

function sum(positions: readonly PartitionOffset[]): number {
  return positions.reduce((total, { nextOffset }) => total + nextOffset, 0)
}
