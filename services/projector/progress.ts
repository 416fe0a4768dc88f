import type { Pool, PoolClient } from 'pg'
import { LoyaltyError } from '#streams/core/error.ts'
import type { Range } from './projection.ts'

/** Offsets, intents and ownership of projections, in Postgres (schema projector). */

/** Who writes: an owner of a projection. Every write names the epoch, so an owner that was replaced changes nothing. */
export interface Ownership {
  readonly projection: string
  readonly epoch: number
}

export interface ProjectionRow {
  readonly version: number
  readonly epoch: number
  readonly rebuild: 'building' | 'swapping' | null
  readonly swap: Readonly<Record<string, string>> | null
}

/** A range whose insert into ClickHouse was begun; those with one token are one insert. */
export interface Intent extends Range {
  readonly token: string
}

/** Key of the offsets of a rebuild under way. */
export function nextKey(projection: string): string {
  return `${projection}@next`
}

/** Makes the caller the owner: whoever owned the projection before can write nothing any more. */
export async function takeOver(pool: Pool, projection: string, version: number): Promise<ProjectionRow> {
  return inTransaction(pool, async (client) => {
    const taken = await client.query<ProjectionRow>(
      `INSERT INTO projector.projection AS p (projection, version, epoch) VALUES ($1, $2, 1)
       ON CONFLICT (projection) DO UPDATE SET epoch = p.epoch + 1
       RETURNING version, epoch::float8 AS epoch, rebuild, swap`,
      [projection, version],
    )
    const row = taken.rows[0]!
    await client.query('UPDATE projector.projection_offset SET epoch = $1 WHERE projection = ANY($2)', [
      row.epoch,
      [projection, nextKey(projection)],
    ])
    return row
  })
}

const undefinedTable = '42P01'

/**
 * Whether writes of this owner still count. False once another owner took over, and also where the table is not there or
 * does not know the owner, as after a migration backwards. Errors: those of the driver.
 */
export async function isOwner(pool: Pool, { projection, epoch }: Ownership): Promise<boolean> {
  const owned = 'SELECT FROM projector.projection WHERE projection = $1 AND epoch = $2'
  try {
    return (await pool.query(owned, [projection, epoch])).rowCount === 1
  } catch (error) {
    if ((error as { code?: unknown }).code === undefinedTable) return false
    throw error
  }
}

/** Whether it is known how far a projection is. */
export async function hasOffsets(pool: Pool, projection: string): Promise<boolean> {
  const found = await pool.query('SELECT FROM projector.projection_offset WHERE projection = $1 LIMIT 1', [projection])
  return found.rowCount === 1
}

/** Offsets by topic and partition; partitions that were never read get a row that starts at `start`. */
export async function openOffsets(
  pool: Pool,
  key: string,
  epoch: number,
  starts: readonly { readonly topic: string; readonly partition: number; readonly offset: number }[],
): Promise<AppliedOffset[]> {
  await pool.query(
    `INSERT INTO projector.projection_offset (projection, topic, partition, next_offset, epoch)
     SELECT $1, t, p, o, $2 FROM unnest($3::text[], $4::int[], $5::bigint[]) AS s(t, p, o)
     ON CONFLICT DO NOTHING`,
    [key, epoch, starts.map(({ topic }) => topic), starts.map((s) => s.partition), starts.map(({ offset }) => offset)],
  )
  return (await readOffsets(pool)).filter(({ projection }) => projection === key)
}

const rangeColumns = (ranges: readonly Range[]) => [
  ranges.map(({ topic }) => topic),
  ranges.map(({ partition }) => partition),
  ranges.map(({ from }) => from),
  ranges.map(({ to }) => to),
  ranges.map(({ recordMs }) => recordMs),
]

/**
 * Moves the offsets over `ranges` inside the caller's transaction.
 *
 * Errors: `projection_fenced` when a range does not begin at the stored offset under our epoch: roll back.
 */
export async function advance(client: PoolClient, owner: Ownership, ranges: readonly Range[]): Promise<void> {
  const moved = await client.query(
    `UPDATE projector.projection_offset AS o
     SET next_offset = r.upto, record_ms = coalesce(r.record_ms, o.record_ms)
     FROM unnest($3::text[], $4::int[], $5::bigint[], $6::bigint[], $7::bigint[]) AS r(topic, partition, since, upto, record_ms)
     WHERE o.projection = $1 AND o.epoch = $2 AND o.topic = r.topic AND o.partition = r.partition AND o.next_offset = r.since`,
    [owner.projection, owner.epoch, ...rangeColumns(ranges)],
  )
  if (moved.rowCount !== ranges.length) throw fenced(owner)
}

/**
 * Writes down what is about to be inserted. The offsets are locked, so that a takeover comes wholly before or after it.
 * Errors: `projection_fenced`.
 */
export async function intend(pool: Pool, owner: Ownership, ranges: readonly Range[], token: string): Promise<void> {
  await inTransaction(pool, async (client) => {
    const written = await client.query(
      `INSERT INTO projector.intent (projection, topic, partition, from_offset, to_offset, record_ms, token)
       SELECT $1, r.topic, r.partition, r.since, r.upto, r.record_ms, $8
       FROM unnest($3::text[], $4::int[], $5::bigint[], $6::bigint[], $7::bigint[]) AS r(topic, partition, since, upto, record_ms)
       JOIN projector.projection_offset AS o
         ON o.projection = $1 AND o.epoch = $2 AND o.topic = r.topic AND o.partition = r.partition AND o.next_offset = r.since
       FOR SHARE OF o`,
      [owner.projection, owner.epoch, ...rangeColumns(ranges), token],
    )
    if (written.rowCount !== ranges.length) throw fenced(owner)
  })
}

/** The insert is done: moves the offsets and forgets the intent. Errors: `projection_fenced`. */
export async function fulfil(pool: Pool, owner: Ownership, ranges: readonly Range[]): Promise<void> {
  await inTransaction(pool, async (client) => {
    await advance(client, owner, ranges)
    await client.query('DELETE FROM projector.intent WHERE projection = $1', [owner.projection])
  })
}

/** Intents of an insert that was begun and perhaps done; a projection has at most one insert under way. */
export async function readIntents(pool: Pool, key: string): Promise<Intent[]> {
  const found = await pool.query<Intent>(
    `SELECT topic, partition, from_offset::float8 AS from, to_offset::float8 AS to, record_ms::float8 AS "recordMs", token
     FROM projector.intent WHERE projection = $1 ORDER BY topic, partition`,
    [key],
  )
  return found.rows
}

/** Forgets offsets and intents of a key, as before a rebuild. */
export async function forget(client: Pool | PoolClient, key: string): Promise<void> {
  await client.query('DELETE FROM projector.projection_offset WHERE projection = $1', [key])
  await client.query('DELETE FROM projector.intent WHERE projection = $1', [key])
}

/** Notes the state of a rebuild. Errors: `projection_fenced`. */
export async function noteRebuild(
  client: Pool | PoolClient,
  owner: Ownership,
  rebuild: ProjectionRow['rebuild'],
  swap: ProjectionRow['swap'] = null,
): Promise<void> {
  const noted = await client.query(
    'UPDATE projector.projection SET rebuild = $3, swap = $4 WHERE projection = $1 AND epoch = $2',
    [owner.projection, owner.epoch, rebuild, swap],
  )
  if (noted.rowCount !== 1) throw fenced(owner)
}

/** The rebuilt tables are in place: their offsets become the projection's, the order is done. Errors: `projection_fenced`. */
export async function adoptNext(client: PoolClient, owner: Ownership, version: number): Promise<void> {
  await noteRebuild(client, owner, null)
  await forget(client, owner.projection)
  await client.query('UPDATE projector.projection_offset SET projection = $1 WHERE projection = $2', [
    owner.projection,
    nextKey(owner.projection),
  ])
  await client.query('UPDATE projector.projection SET version = $2 WHERE projection = $1', [owner.projection, version])
  await client.query(
    `UPDATE projector.rebuild_task SET state = 'done', ended_at = now(), applied_records = total_records,
       error_code = NULL, error_message = NULL WHERE projection = $1 AND ended_at IS NULL`,
    [owner.projection],
  )
}

/** How far a projection has applied one partition. */
export interface AppliedOffset {
  readonly projection: string
  readonly topic: string
  readonly partition: number
  readonly nextOffset: number
  /** Arrival of the last record applied, epoch milliseconds; null before the first. */
  readonly recordMs: number | null
}

/** Every offset, also of rebuilds under way (`<projection>@next`): what ingestion and status pages ask. */
export async function readOffsets(pool: Pool): Promise<AppliedOffset[]> {
  const found = await pool.query<AppliedOffset>(
    `SELECT projection, topic, partition, next_offset::float8 AS "nextOffset", record_ms::float8 AS "recordMs"
     FROM projector.projection_offset ORDER BY projection, topic, partition`,
  )
  return found.rows
}

/** Runs `work` in a transaction of its own. */
export async function inTransaction<T>(pool: Pool, work: (client: PoolClient) => Promise<T>): Promise<T> {
  const client = await pool.connect()
  let broken: Error | undefined
  try {
    await client.query('BEGIN')
    const result = await work(client)
    await client.query('COMMIT')
    return result
  } catch (error) {
    await client.query('ROLLBACK').catch((failure: Error) => {
      broken = failure
    })
    throw error
  } finally {
    client.release(broken)
  }
}

function fenced(owner: Ownership): LoyaltyError {
  return new LoyaltyError('projection_fenced', `${owner.projection} has another owner than epoch ${owner.epoch}`, {
    details: { ...owner },
    retriable: true,
  })
}
