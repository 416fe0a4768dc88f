import type { Pool } from 'pg'
import { inTransaction, noteRebuild, type Ownership } from './progress.ts'

/** Orders to build a projection anew, in Postgres (projector.rebuild_task). Any process may order; its owner carries out. */
export interface RebuildTask {
  readonly taskId: string
  readonly projection: string
  readonly state: 'ordered' | 'building' | 'done' | 'failed'
  /** How many times it was begun; what breaks off is begun again from the start of the log. */
  readonly attempts: number
  /** Counted by offsets: a compacted topic has fewer records than that. */
  readonly appliedRecords: number
  readonly totalRecords: number
  readonly orderedAtMs: number
  readonly endedAtMs: number | null
  /** While open what it waits for, afterwards why it failed. */
  readonly error: { readonly code: string; readonly message: string } | null
}

const columns = `task_id AS "taskId", projection, state, attempts, applied_records::float8 AS "appliedRecords",
  total_records::float8 AS "totalRecords", extract(epoch FROM ordered_at)::float8 * 1000 AS "orderedAtMs",
  extract(epoch FROM ended_at)::float8 * 1000 AS "endedAtMs",
  CASE WHEN error_code IS NULL THEN NULL ELSE jsonb_build_object('code', error_code, 'message', error_message) END AS error`

/** Orders a rebuild. Where one is open it is that one's task, and `begun` is false. */
export async function orderRebuild(pool: Pool, projection: string): Promise<{ task: RebuildTask; begun: boolean }> {
  for (;;) {
    const ordered = await pool.query<RebuildTask>(
      `INSERT INTO projector.rebuild_task (projection) VALUES ($1)
       ON CONFLICT (projection) WHERE ended_at IS NULL DO NOTHING RETURNING ${columns}`,
      [projection],
    )
    if (ordered.rows[0] !== undefined) return { task: ordered.rows[0], begun: true }
    const open = await openRebuild(pool, projection)
    // It may have ended between the two statements.
    if (open !== null) return { task: open, begun: false }
  }
}

/** The order that waits or is being carried out, or null. */
export async function openRebuild(pool: Pool, projection: string): Promise<RebuildTask | null> {
  const found = await pool.query<RebuildTask>(
    `SELECT ${columns} FROM projector.rebuild_task WHERE projection = $1 AND ended_at IS NULL`,
    [projection],
  )
  return found.rows[0] ?? null
}

/** Null where there is none of this id. */
export async function readRebuild(pool: Pool, taskId: string): Promise<RebuildTask | null> {
  const found = await pool.query<RebuildTask>(
    `SELECT ${columns} FROM projector.rebuild_task WHERE task_id::text = $1`,
    [taskId],
  )
  return found.rows[0] ?? null
}

const openAndOurs = `projection = $1 AND ended_at IS NULL
  AND EXISTS (SELECT FROM projector.projection p WHERE p.projection = $1 AND p.epoch = $2)`

/** An attempt begins. Errors: `projection_fenced`. */
export async function noteAttempt(pool: Pool, owner: Ownership): Promise<void> {
  await inTransaction(pool, async (client) => {
    await noteRebuild(client, owner, 'building')
    await client.query(
      `UPDATE projector.rebuild_task SET state = 'building', attempts = attempts + 1, applied_records = 0,
         error_code = NULL, error_message = NULL WHERE ${openAndOurs}`,
      [owner.projection, owner.epoch],
    )
  })
}

/** Of an owner that was replaced nothing is noted. */
export async function noteProgress(pool: Pool, owner: Ownership, applied: number, total: number): Promise<void> {
  await pool.query(`UPDATE projector.rebuild_task SET applied_records = $3, total_records = $4 WHERE ${openAndOurs}`, [
    owner.projection,
    owner.epoch,
    applied,
    total,
  ])
}

/** An attempt broke off and another one will follow. */
export async function noteTrouble(pool: Pool, owner: Ownership, error: RebuildTask['error']): Promise<void> {
  await pool.query(`UPDATE projector.rebuild_task SET error_code = $3, error_message = $4 WHERE ${openAndOurs}`, [
    owner.projection,
    owner.epoch,
    error?.code,
    error?.message,
  ])
}

/**
 * Gives a rebuild up: the tables stay as they are. One that is swapping is never given up, since readers may see a part of
 * it: it answers false, and the next owner finishes it.
 */
export async function giveUp(pool: Pool, owner: Ownership, error: NonNullable<RebuildTask['error']>): Promise<boolean> {
  return inTransaction(pool, async (client) => {
    const cleared = await client.query(
      `UPDATE projector.projection SET rebuild = NULL
       WHERE projection = $1 AND epoch = $2 AND rebuild IS DISTINCT FROM 'swapping'`,
      [owner.projection, owner.epoch],
    )
    if (cleared.rowCount !== 1) return false
    await client.query(
      `UPDATE projector.rebuild_task SET state = 'failed', ended_at = now(), error_code = $3, error_message = $4
       WHERE ${openAndOurs}`,
      [owner.projection, owner.epoch, error.code, error.message],
    )
    return true
  })
}
