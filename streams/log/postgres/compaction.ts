import type { PoolClient } from 'pg'
import type { Catalogue, TopicInfo } from './catalogue.ts'
import type { Connections } from './connections.ts'

export interface CompactionOptions {
  /** The newest records of a partition that are left alone, for readers close to the end. Default 1,000. */
  readonly keepTail?: number
  /** How long a tombstone stays, so that a reader sees it that told the log no offsets. Default one day. */
  readonly tombstoneMs?: number
  /** A partition is gone over when its new records are at least this share of it. Default 0.5; 0: always. */
  readonly minDirtyRatio?: number
}

export interface CompactionReport {
  /** Records that a newer one of their key replaced, and tombstones past their time. */
  readonly superseded: number
  /** Records past their topic's retention. */
  readonly expired: number
}

/**
 * Lock of the group offsets of a compacted partition: a compaction holds it from reading them to its end, whoever changes
 * them shares it. So a reader whose offset is stored may rely on it: no compaction that did not know of it is under way.
 */
export function offsetsLock(info: Pick<TopicInfo, 'table'>, partition: number): string {
  return `offsets ${info.table} ${partition}`
}

/** One partition takes a second or so per million records. */
const longestMs = 3_600_000

const defaults = { keepTail: 1_000, tombstoneMs: 24 * 3_600_000, minDirtyRatio: 0.5 }

/**
 * Removes what compacted topics and topics with retention need no longer. Readers and writers go on meanwhile: only
 * records are deleted, and a reader's snapshot keeps its own. Several processes may call it; one does the work of a topic.
 *
 * Of a compacted topic nothing goes that the slowest group has still to read: a reader that has seen a record must see the
 * tombstone that erases it. A reader without a group may start before both and miss both, or read slowly and miss the
 * tombstone alone; who cares about tombstones stores group offsets before it reads.
 */
export async function compactTopics(
  connections: Connections,
  catalogue: Catalogue,
  options: CompactionOptions = {},
): Promise<CompactionReport> {
  const settings = { ...defaults, ...options }
  const report = { superseded: 0, expired: 0 }
  for (const info of await catalogue.all()) {
    if (!info.compacted && info.retentionMs === null) continue
    for (let partition = 0; partition < info.partitions; partition++)
      await connections.transaction(
        'compact',
        async (client) => {
          if (!(await isOurs(client, info, partition))) return
          if (info.retentionMs !== null) report.expired += await expire(client, connections, info, partition)
          if (info.compacted)
            report.superseded += await compactPartition(client, connections, info, partition, settings)
        },
        longestMs,
      )
  }
  return report
}

async function isOurs(client: PoolClient, info: TopicInfo, partition: number): Promise<boolean> {
  const { rows } = await client.query<{ ours: boolean }>(
    'SELECT pg_try_advisory_xact_lock(hashtextextended($1, 0)) AS ours',
    [`compact ${info.table} ${partition}`],
  )
  return rows[0]?.ours === true
}

async function compactPartition(
  client: PoolClient,
  connections: Connections,
  info: TopicInfo,
  partition: number,
  settings: Required<CompactionOptions>,
): Promise<number> {
  await client.query('SELECT pg_advisory_xact_lock(hashtextextended($1, 0))', [offsetsLock(info, partition)])
  const bounds = await client.query<{ start: number; next: number; compactedTo: number; slowest: number | null }>(
    `SELECT start_offset AS start, next_offset AS next, compacted_to AS "compactedTo",
            (SELECT min(next_offset) FROM ${connections.table('group_offsets')} WHERE topic = $3 AND partition = $2) AS slowest
     FROM ${connections.table('partitions')} WHERE topic_id = $1 AND partition = $2`,
    [info.id, partition, info.topic],
  )
  const row = bounds.rows[0]
  if (row === undefined) return 0
  const { start, next, compactedTo, slowest } = row
  const below = Math.min(next - settings.keepTail, slowest ?? next)
  const dirty = below - Math.max(start, compactedTo)
  if (dirty <= 0 || dirty < settings.minDirtyRatio * (below - start)) return 0
  await client.query("SET LOCAL work_mem = '64MB'")
  const superseded = await client.query(
    `DELETE FROM ${info.table} t USING (
       SELECT record_offset, value IS NULL AND timestamp_ms < (extract(epoch FROM now()) * 1000)::bigint - $3 AS spent,
              lead(record_offset) OVER (PARTITION BY key ORDER BY record_offset) AS newer
       FROM ${info.table} WHERE partition = $1 AND record_offset < $2 AND key IS NOT NULL) d
     WHERE t.partition = $1 AND t.record_offset = d.record_offset AND (d.newer IS NOT NULL OR d.spent AND NOT EXISTS (
       -- Rows of several records, from before the topic was compacted, stay: what they hold must not come back to life.
       SELECT FROM ${info.table} WHERE partition = $1 AND packed IS NOT NULL))`,
    [partition, below, settings.tombstoneMs],
  )
  await client.query(
    `UPDATE ${connections.table('partitions')} SET compacted_to = $3 WHERE topic_id = $1 AND partition = $2`,
    [info.id, partition, below],
  )
  return superseded.rowCount ?? 0
}

/** The first record young enough becomes the start of the partition; those before it go. */
async function expire(
  client: PoolClient,
  connections: Connections,
  info: TopicInfo,
  partition: number,
): Promise<number> {
  const { rows } = await client.query<{ start: number }>(
    `SELECT coalesce(
       (SELECT record_offset FROM ${info.table} WHERE partition = $2
          AND timestamp_ms >= (extract(epoch FROM now()) * 1000)::bigint - $3 ORDER BY record_offset LIMIT 1),
       next_offset) AS start
     FROM ${connections.table('partitions')} WHERE topic_id = $1 AND partition = $2`,
    [info.id, partition, info.retentionMs],
  )
  const start = rows[0]?.start ?? 0
  const deleted = await client.query<{ records: number }>(
    `WITH deleted AS (DELETE FROM ${info.table} WHERE partition = $1 AND record_offset < $2 RETURNING packed)
     SELECT coalesce(sum(coalesce(packed, 1)), 0)::bigint AS records FROM deleted`,
    [partition, start],
  )
  await client.query(
    `UPDATE ${connections.table('partitions')} SET start_offset = $3
     WHERE topic_id = $1 AND partition = $2 AND start_offset < $3`,
    [info.id, partition, start],
  )
  return deleted.rows[0]?.records ?? 0
}
