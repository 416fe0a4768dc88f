import type pg from 'pg'
import { assignPartitions } from './assignment.ts'
import type { Connections } from './connections.ts'
import { groupCall } from './notifications.ts'

export interface MemberRow {
  readonly memberId: string
  readonly lockKey: number
  readonly partitions: number[]
  readonly acknowledged: number
  readonly expired: boolean
}

/** The group after a change, members in the order in which they joined. */
export interface SeenGroup {
  readonly generation: number
  readonly members: readonly MemberRow[]
}

export interface GroupChange {
  readonly group: string
  readonly topic: string
  /** Partitions of the topic. */
  readonly partitions: number
  readonly sessionMs: number
  readonly memberId: string
  /** Only to join: the advisory lock that the member's connection holds. */
  readonly lockKey: number
  readonly what: 'join' | 'renew' | 'leave'
}

export function groupTables(connections: Connections) {
  return { groups: connections.table('groups'), members: connections.table('members') }
}

/**
 * Joins, renews or leaves under the lock of the group's row; members whose session has ended or whose lock has fallen are
 * dropped by whoever looks. Where the set of members changed, the partitions are shared anew under the next generation.
 */
export async function changeGroup(
  client: pg.Client,
  connections: Connections,
  change: GroupChange,
): Promise<SeenGroup> {
  await client.query('BEGIN')
  try {
    const seen = await changeLocked(client, connections, change)
    await client.query('COMMIT')
    return seen
  } catch (error) {
    await client.query('ROLLBACK').catch(() => {})
    throw error
  }
}

async function changeLocked(client: pg.Client, connections: Connections, change: GroupChange): Promise<SeenGroup> {
  const { groups, members } = groupTables(connections)
  const { group, topic, memberId, sessionMs } = change
  const generation = await lockGroup(client, groups, change)
  let changed = change.what === 'join'
  if (change.what === 'join')
    await client.query(
      `INSERT INTO ${members} (member_id, group_id, topic, lock_key, deadline)
       VALUES ($1, $2, $3, $4, clock_timestamp() + make_interval(secs => $5))`,
      [memberId, group, topic, change.lockKey, sessionMs / 1000],
    )
  else if (change.what === 'renew')
    await client.query(
      `UPDATE ${members} SET deadline = clock_timestamp() + make_interval(secs => $2) WHERE member_id = $1`,
      [memberId, sessionMs / 1000],
    )
  else changed = (await client.query(`DELETE FROM ${members} WHERE member_id = $1`, [memberId])).rowCount === 1
  const rows = await client.query<MemberRow>(
    `SELECT member_id AS "memberId", lock_key AS "lockKey", partitions, acknowledged,
            deadline < clock_timestamp() AS expired
     FROM ${members} WHERE group_id = $1 AND topic = $2 ORDER BY joined`,
    [group, topic],
  )
  const gone: string[] = []
  for (const row of rows.rows) if (row.memberId !== memberId && (await isGone(client, row))) gone.push(row.memberId)
  const living = rows.rows.filter((row) => !gone.includes(row.memberId))
  if (!changed && gone.length === 0) return { generation, members: living }
  await client.query(`DELETE FROM ${members} WHERE member_id = ANY($1)`, [gone])
  return share(client, connections, change, generation + 1, living)
}

async function lockGroup(client: pg.Client, groups: string, { group, topic, what }: GroupChange): Promise<number> {
  if (what === 'join')
    await client.query(`INSERT INTO ${groups} (group_id, topic) VALUES ($1, $2) ON CONFLICT DO NOTHING`, [group, topic])
  const { rows } = await client.query<{ generation: number }>(
    `SELECT generation FROM ${groups} WHERE group_id = $1 AND topic = $2 FOR UPDATE`,
    [group, topic],
  )
  return rows[0]?.generation ?? 0
}

/** The lock of a living member is held by its connection, so it is not to be had. */
async function isGone(client: pg.Client, { expired, lockKey }: MemberRow): Promise<boolean> {
  if (expired) return true
  const { rows } = await client.query<{ free: boolean }>('SELECT pg_try_advisory_xact_lock($1) AS free', [lockKey])
  return rows[0]?.free === true
}

async function share(
  client: pg.Client,
  connections: Connections,
  { group, topic, partitions }: GroupChange,
  generation: number,
  living: readonly MemberRow[],
): Promise<SeenGroup> {
  const { groups, members } = groupTables(connections)
  const shares = assignPartitions(partitions, living)
  await client.query(`UPDATE ${groups} SET generation = $3 WHERE group_id = $1 AND topic = $2`, [
    group,
    topic,
    generation,
  ])
  for (const [memberId, share] of shares)
    await client.query(`UPDATE ${members} SET partitions = $2 WHERE member_id = $1`, [memberId, share])
  await client.query('SELECT pg_notify($1, $2)', [connections.channel, groupCall(group, topic)])
  return { generation, members: living.map((row) => ({ ...row, partitions: shares.get(row.memberId) ?? [] })) }
}
