import type { Pool } from 'pg'
import { LoyaltyError } from '#streams/core/error.ts'
import type { Engine } from './engine.ts'
import type { Feed } from './feed.ts'
import { forget, nextKey, type Ownership } from './progress.ts'
import type { Batch } from './projection.ts'

export interface RebuildParts<B extends Batch> {
  readonly pool: Pool
  readonly engine: Engine<B>
  /** The running projection: it goes on until the last moment, and ends with the swap. */
  readonly session: { readonly owner: Ownership; readonly feed: Feed<B> }
  readonly isCurrent: () => boolean
  /** A feed into the new tables, from the start of the log. */
  readonly openNext: () => Promise<Feed<B>>
  /** Puts the new tables in the place of the old ones. */
  readonly swap: () => Promise<void>
}

/** So many offsets behind, the old feed is held still for the rest. */
const nearlyThere = 2_000
const lookEveryMs = 20

/**
 * Fills new tables from the start of the log while the projection goes on, then holds it still for a moment, catches up
 * with it to the record, and swaps. Reads see the old tables until the swap and never less than they did before.
 *
 * Errors: `rebuild_broken_off` (ownership was lost; the next owner begins again), and those of the store.
 */
export async function rebuildBeside<B extends Batch>(parts: RebuildParts<B>): Promise<void> {
  const { pool, engine, session } = parts
  await forget(pool, nextKey(engine.name))
  await engine.createNext(session.owner)
  const next = await parts.openNext()
  let failure: unknown
  let over = false
  const running = next.run().then(
    () => {
      over = true
    },
    (error: unknown) => {
      failure = error
      over = true
    },
  )
  const until = async (condition: () => boolean) => {
    while (!condition()) {
      if (over) throw failure ?? brokenOff(engine.name)
      if (!parts.isCurrent()) throw brokenOff(engine.name)
      await new Promise((resolve) => setTimeout(resolve, lookEveryMs))
    }
  }
  try {
    await until(() => next.distanceTo(session.feed) <= nearlyThere)
    const resume = await session.feed.pause()
    try {
      await until(() => next.distanceTo(session.feed) === 0)
      next.stop()
      await running
      if (failure !== undefined) throw failure
      await parts.swap()
    } finally {
      session.feed.stop()
      resume()
    }
  } finally {
    next.stop()
    await running
  }
}

function brokenOff(projection: string): LoyaltyError {
  return new LoyaltyError('rebuild_broken_off', `the rebuild of ${projection} lost its owner and will be begun again`, {
    retriable: true,
  })
}
