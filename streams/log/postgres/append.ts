import type { PoolClient } from 'pg'
import { LoyaltyError } from '../../core/error.ts'
import type { GroupOffsets, NewRecord } from '../log.ts'
import type { Catalogue, TopicInfo } from './catalogue.ts'
import type { Connections } from './connections.ts'
import { copyIn } from './copy.ts'
import { asLogError, fenced, sqlState, topicMissing, wasRefused } from './errors.ts'
import { announcement } from './notifications.ts'
import { RowBuffer, recordBytes } from './rows.ts'

/** What one SQL transaction appends to one partition. */
export interface PendingRows {
  readonly info: TopicInfo
  readonly partition: number
  readonly rows: RowBuffer
}

/** Records waiting for their transaction, by partition. */
export class PendingAppends {
  bytes = 0
  private readonly byPartition = new Map<string, PendingRows>()

  /** Where the next record of the partition will stand, counted from the first one waiting. */
  count(info: TopicInfo, partition: number): number {
    return this.byPartition.get(`${info.id}/${partition}`)?.rows.count ?? 0
  }

  add(info: TopicInfo, partition: number, records: readonly NewRecord[]): void {
    const key = `${info.id}/${partition}`
    let pending = this.byPartition.get(key)
    if (pending === undefined) {
      pending = { info, partition, rows: new RowBuffer(!info.compacted) }
      this.byPartition.set(key, pending)
    }
    const before = pending.rows.bytes
    for (const record of records) pending.rows.add(record)
    this.bytes += pending.rows.bytes - before
  }

  /** In the one order in which every appender locks, so that two of them never wait for each other. */
  ordered(): PendingRows[] {
    return [...this.byPartition.values()].sort((a, b) => a.info.id - b.info.id || a.partition - b.partition)
  }
}

/** Errors: `log_record_too_large`. */
export function checkSizes(info: TopicInfo, partition: number, records: readonly NewRecord[]): void {
  for (const record of records) {
    const bytes = recordBytes(record)
    if (bytes > info.maxRecordBytes)
      throw new LoyaltyError(
        'log_record_too_large',
        `a record of ${bytes} bytes for ${info.topic}[${partition}] is above the topic's limit of ${info.maxRecordBytes}`,
        { details: { topic: info.topic, partition, bytes, maxRecordBytes: info.maxRecordBytes } },
      )
  }
}

export interface AppendOptions {
  /** Refuse with `log_fenced` unless the transactional id still has this epoch. */
  readonly epoch?: { readonly transactionalId: string; readonly epoch: number }
  readonly groupOffsets?: GroupOffsets
}

/** Offset of the first record per partition, by `<topic id>/<partition>`. */
export type BaseOffsets = ReadonlyMap<string, number>

/**
 * Everything in one SQL transaction: epoch checked under lock, offsets taken under lock in a fixed order, records, group
 * offsets and the wake-up of readers. Locks are held for this call only.
 *
 * Errors: `log_fenced`, `log_commit_unknown` (COMMIT was sent and not answered), `log_unavailable` and `log_topic_missing`
 * (surely nothing was written).
 */
export async function appendTransaction(
  connections: Connections,
  catalogue: Catalogue,
  appends: PendingAppends,
  options: AppendOptions = {},
): Promise<BaseOffsets> {
  const pending = appends.ordered()
  try {
    return await connections.writing('append', async (client) => {
      await client.query('BEGIN')
      if (options.epoch !== undefined) await checkEpoch(client, connections, options.epoch)
      const bases = await insert(client, connections, pending)
      if (options.groupOffsets !== undefined) await storeGroupOffsets(client, connections, options.groupOffsets)
      await commit(client)
      return bases
    })
  } catch (error) {
    const cause = (error as { cause?: unknown }).cause
    if (sqlState(cause) === '55P03') await connections.endStoppedSenders().catch(() => {})
    if (sqlState(cause) === '42P01') {
      catalogue.forget()
      throw topicMissing(pending.map(({ info }) => info.topic).join(', '))
    }
    throw error
  }
}

async function checkEpoch(
  client: PoolClient,
  connections: Connections,
  { transactionalId, epoch }: { transactionalId: string; epoch: number },
): Promise<void> {
  const { rows } = await client.query<{ epoch: number }>({
    name: 'lock-epoch',
    text: `SELECT epoch FROM ${connections.table('writers')} WHERE transactional_id = $1 FOR UPDATE`,
    values: [transactionalId],
  })
  if (rows[0]?.epoch !== epoch) throw fenced(transactionalId)
}

async function insert(client: PoolClient, connections: Connections, pending: PendingRows[]): Promise<BaseOffsets> {
  const bases = new Map<string, number>()
  if (pending.length === 0) return bases
  const partitions = connections.table('partitions')
  const ids = pending.map(({ info }) => info.id)
  const numbers = pending.map(({ partition }) => partition)
  const locked = await client.query<{ next: number; nowMs: number }>({
    name: 'lock-partitions',
    text: `SELECT p.next_offset AS next, (extract(epoch FROM clock_timestamp()) * 1000)::bigint AS "nowMs"
           FROM ${partitions} p JOIN unnest($1::int[], $2::int[]) AS w (topic_id, partition) USING (topic_id, partition)
           ORDER BY topic_id, partition FOR UPDATE OF p`,
    values: [ids, numbers],
  })
  if (locked.rows.length !== pending.length) throw topicGone()
  const ends: number[] = []
  const nowMs = locked.rows.at(-1)!.nowMs
  const byTable = new Map<string, Buffer[]>()
  for (const [index, { info, partition, rows }] of pending.entries()) {
    const base = locked.rows[index]!.next
    bases.set(`${info.id}/${partition}`, base)
    ends.push(base + rows.count)
    if (rows.count === 0) continue
    const chunks = byTable.get(info.table)
    if (chunks === undefined) byTable.set(info.table, rows.seal(partition, base, nowMs))
    else chunks.push(...rows.seal(partition, base, nowMs))
  }
  for (const [table, chunks] of byTable) await copyIn(client, table, chunks)
  await client.query({
    name: 'advance-partitions',
    text: `WITH advanced AS (
             UPDATE ${partitions} p SET next_offset = w.next_offset
             FROM unnest($1::int[], $2::int[], $3::bigint[]) AS w (topic_id, partition, next_offset)
             WHERE p.topic_id = w.topic_id AND p.partition = w.partition)
           SELECT pg_notify($4, message) FROM unnest($5::text[]) AS message`,
    values: [ids, numbers, ends, connections.channel, announcement(ids, numbers, ends)],
  })
  return bases
}

/** As the server would say it of a table that is gone. */
function topicGone(): Error {
  return Object.assign(new Error('a topic was deleted'), { code: '42P01' })
}

/** Stores next offsets of a group inside the caller's transaction; rows are taken in order of partition. */
export async function storeGroupOffsets(
  client: PoolClient,
  connections: Connections,
  { group, topic, offsets }: GroupOffsets,
): Promise<void> {
  const sorted = [...offsets].sort(([a], [b]) => a - b)
  if (sorted.length === 0) return
  await client.query({
    name: 'store-group-offsets',
    text: `INSERT INTO ${connections.table('group_offsets')} (group_id, topic, partition, next_offset)
           SELECT $1, $2, partition, next_offset FROM unnest($3::int[], $4::bigint[]) AS o (partition, next_offset)
           ON CONFLICT (group_id, topic, partition) DO UPDATE SET next_offset = excluded.next_offset`,
    values: [group, topic, sorted.map(([partition]) => partition), sorted.map(([, next]) => next)],
  })
}

async function commit(client: PoolClient): Promise<void> {
  let command: string | null
  try {
    command = (await client.query('COMMIT')).command
  } catch (cause) {
    if (wasRefused(cause)) throw asLogError(cause, 'commit')
    throw new LoyaltyError('log_commit_unknown', 'the connection was lost while a transaction was being committed', {
      cause,
    })
  }
  if (command !== 'COMMIT') throw new LoyaltyError('log_unavailable', 'the server rolled back', { retriable: true })
}
