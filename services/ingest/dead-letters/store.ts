import type { Pool, PoolClient } from 'pg'
import type { ActionKind } from './marks.ts'
import type { MendingRule } from './rule.ts'
import type { LetterSelector } from './selector.ts'
import { emptyTally, type Tally } from './tally.ts'

/** What was ordered about dead letters, in PostgreSQL, schema `ingest`. */

export type ActionStatus = 'PENDING' | 'PROCESSING' | 'COMPLETED' | 'FAILED'

export interface ActionOrder {
  readonly actionId: string
  readonly kind: ActionKind
  readonly selector: LetterSelector
  /** Null for a discard, and where letters are replayed as they are. */
  readonly rule: MendingRule | null
  /** Why letters are discarded; null for a replay. */
  readonly reason: string | null
  /** Null where the caller did not say. */
  readonly orderedBy: string | null
  /** Offsets of the dead letters when it was ordered: nothing that comes later is touched. */
  readonly starts: readonly number[]
  readonly ends: readonly number[]
}

/** Saved together with the marks that it speaks of. */
export interface ActionCheckpoint {
  /** Next letter of each partition. */
  readonly next: readonly number[]
  /** Ends of the transactions before the first record of this action that is not marked yet. */
  readonly publishedFrom: readonly number[]
}

export interface Action extends ActionOrder {
  readonly orderedAtMs: number
  readonly status: ActionStatus
  readonly attempts: number
  readonly checkpoint: ActionCheckpoint | null
  readonly tally: Tally
  readonly finishedAtMs: number | null
  readonly errorCode: string | null
  readonly errorMessage: string | null
}

interface ActionRow {
  action_id: string
  kind: ActionKind
  selector: LetterSelector
  rule: MendingRule | null
  reason: string | null
  ordered_by: string | null
  ordered_at: Date
  status: ActionStatus
  attempts: number
  starts: number[]
  ends: number[]
  checkpoint: ActionCheckpoint | null
  counts: Partial<Tally>
  finished_at: Date | null
  error_code: string | null
  error_message: string | null
}

export class ActionStore {
  readonly #pool: Pool

  constructor(pool: Pool) {
    this.#pool = pool
  }

  async create(order: ActionOrder): Promise<Action> {
    const { rows } = await this.#pool.query<ActionRow>(
      `insert into ingest.dead_letter_actions (action_id, kind, selector, rule, reason, ordered_by, starts, ends)
       values ($1, $2, $3, $4, $5, $6, $7, $8) returning *`,
      [
        order.actionId,
        order.kind,
        JSON.stringify(order.selector),
        order.rule === null ? null : JSON.stringify(order.rule),
        order.reason,
        order.orderedBy,
        JSON.stringify(order.starts),
        JSON.stringify(order.ends),
      ],
    )
    return actionOf(rows[0]!)
  }

  /** True where there is something to do. */
  async anyOpen(): Promise<boolean> {
    const { rows } = await this.#pool.query(
      `select 1 from ingest.dead_letter_actions where status in ('PENDING', 'PROCESSING') limit 1`,
    )
    return rows.length > 0
  }

  /** The oldest action that has not ended, or null. The caller holds the lock: one under way was left by a crash. */
  async claim(): Promise<Action | null> {
    const { rows } = await this.#pool.query<ActionRow>(
      `update ingest.dead_letter_actions set status = 'PROCESSING', attempts = attempts + 1
       where action_id = (select action_id from ingest.dead_letter_actions where status in ('PENDING', 'PROCESSING')
                          order by ordered_at, action_id limit 1)
       returning *`,
    )
    return rows[0] === undefined ? null : actionOf(rows[0])
  }

  /** How far an action is; `client` is in the transaction that saves its marks. */
  async save(client: Pool | PoolClient, actionId: string, checkpoint: ActionCheckpoint, tally: Tally): Promise<void> {
    await client.query('update ingest.dead_letter_actions set checkpoint = $2, counts = $3 where action_id = $1', [
      actionId,
      JSON.stringify(checkpoint),
      JSON.stringify(tally),
    ])
  }

  async complete(actionId: string): Promise<void> {
    await this.#end(actionId, 'COMPLETED', null, null)
  }

  async fail(actionId: string, code: string, message: string): Promise<void> {
    await this.#end(actionId, 'FAILED', code, message)
  }

  async #end(actionId: string, status: ActionStatus, code: string | null, message: string | null): Promise<void> {
    await this.#pool.query(
      `update ingest.dead_letter_actions
       set status = $2, error_code = $3, error_message = $4, finished_at = current_timestamp where action_id = $1`,
      [actionId, status, code, message],
    )
  }

  async action(actionId: string): Promise<Action | null> {
    const { rows } = await this.#pool.query<ActionRow>(
      'select * from ingest.dead_letter_actions where action_id = $1',
      [actionId],
    )
    return rows[0] === undefined ? null : actionOf(rows[0])
  }

  /** Newest first. */
  async list(skip: number, limit: number): Promise<{ total: number; actions: Action[] }> {
    const counted = await this.#pool.query<{ total: number }>(
      'select count(*)::int as total from ingest.dead_letter_actions',
    )
    const { rows } = await this.#pool.query<ActionRow>(
      'select * from ingest.dead_letter_actions order by ordered_at desc, action_id offset $1 limit $2',
      [skip, limit],
    )
    return { total: counted.rows[0]!.total, actions: rows.map(actionOf) }
  }
}

function actionOf(row: ActionRow): Action {
  return {
    actionId: row.action_id,
    kind: row.kind,
    selector: row.selector,
    rule: row.rule,
    reason: row.reason,
    orderedBy: row.ordered_by,
    orderedAtMs: row.ordered_at.getTime(),
    status: row.status,
    attempts: row.attempts,
    starts: row.starts,
    ends: row.ends,
    checkpoint: row.checkpoint,
    tally: { ...emptyTally(), ...row.counts },
    finishedAtMs: row.finished_at?.getTime() ?? null,
    errorCode: row.error_code,
    errorMessage: row.error_message,
  }
}
