import { setTimeout as sleep } from 'node:timers/promises'
import type { Pool, PoolClient } from 'pg'
import { LoyaltyError } from '#streams/core/error.ts'

/**
 * One program at a time works on actions, and none while an upload is taken back: a letter replayed meanwhile could be of
 * that upload, or of a receipt whose id is just ending. A session lock of PostgreSQL, which falls with its connection.
 */

/** What is done under the lock; the signal is aborted with `worker_lock_lost` where the lock falls. */
type Work<Result> = (held: AbortSignal) => Promise<Result>

/** Null where somebody else holds the lock. Errors: of the database, and those of `work`. */
export async function underActionLock<Result>(pool: Pool, work: Work<Result>): Promise<{ result: Result } | null> {
  const client = await pool.connect()
  const lost = new AbortController()
  client.on('error', (cause) =>
    lost.abort(new LoyaltyError('worker_lock_lost', 'the worker lock was lost', { retriable: true, cause })),
  )
  try {
    return (await tryLock(client)) ? { result: await work(lost.signal) } : null
  } finally {
    // The connection is closed, not given back: that is what frees the lock.
    client.release(true)
  }
}

const lockPollMs = 200

/** As `underActionLock`, once the lock is free; `onWait` is told when it is not. */
export async function onceActionsRest<Result>(
  pool: Pool,
  signal: AbortSignal,
  onWait: () => Promise<void>,
  work: Work<Result>,
): Promise<Result> {
  for (let waited = false; ; waited = true) {
    const done = await underActionLock(pool, work)
    if (done !== null) return done.result
    if (!waited) await onWait()
    await sleep(lockPollMs, undefined, { signal })
  }
}

async function tryLock(client: PoolClient): Promise<boolean> {
  const { rows } = await client.query<{ locked: boolean }>(
    `select pg_try_advisory_lock(hashtextextended('loyalty.ingest.dead-letters', 0)) as locked`,
  )
  return rows[0]!.locked
}
