import { LoyaltyError } from '../../core/error.ts'
import type { LogBatch } from '../log.ts'
import type { Catalogue, TopicInfo } from './catalogue.ts'
import type { Connections } from './connections.ts'
import { copyOut } from './copy.ts'
import { sqlState, topicMissing } from './errors.ts'
import { firstInt8, RecordCollector, secondInt8 } from './rows.ts'

/** Rows of one batch at most, whatever their size. */
const mostRows = 10_000

export interface Fetched {
  readonly topicId: number
  readonly batch: LogBatch
}

/** Where a partition is read from, and what is known of it. */
export interface FetchFrom {
  readonly topic: string
  readonly partition: number
  readonly offset: number
  readonly maxBytes: number
  /**
   * The end that records are known to reach, where `offset` is the end of a batch that was read: what lies between is asked
   * for by a statement that costs a fraction. The caller knows by what was read before that it is little.
   */
  readonly knownEnd: number | null
}

/**
 * Reads one batch of a partition: what one snapshot holds, so an empty answer really reaches to the end.
 *
 * Errors: `log_offset_out_of_range`, `log_topic_missing`, `log_unavailable`.
 */
export async function fetchBatch(connections: Connections, catalogue: Catalogue, from: FetchFrom): Promise<Fetched> {
  const info = await catalogue.topic(from.topic, from.partition)
  try {
    return (await fetchTail(connections, info, from)) ?? (await fetchAny(connections, info, from))
  } catch (error) {
    const gone = sqlState((error as { cause?: unknown }).cause) === '42P01'
    if (!gone && !(error instanceof LoyaltyError && error.code === 'log_topic_missing')) throw error
    catalogue.forget()
    throw topicMissing(from.topic)
  }
}

/** Null where the records do not begin at the offset: they may have expired, or been compacted away. */
async function fetchTail(
  connections: Connections,
  info: TopicInfo,
  { topic, partition, offset, knownEnd }: FetchFrom,
): Promise<Fetched | null> {
  if (knownEnd === null) return null
  const collector = new RecordCollector(offset)
  const select = `SELECT record_offset, timestamp_ms, key, value, headers, packed FROM ${info.table}
    WHERE partition = ${partition} AND record_offset >= ${offset} AND record_offset < ${knownEnd} ORDER BY record_offset`
  await connections.reading('read', (client) => copyOut(client, select, (row) => collector.add(row)))
  const { records, bytes } = collector
  if (records[0]?.offset !== offset) return null
  const nextOffset = records.at(-1)!.offset + 1
  const batch = { topic, partition, records, count: records.length, bytes, fromOffset: offset, nextOffset }
  return { topicId: info.id, batch: { ...batch, endOffset: Math.max(knownEnd, nextOffset) } }
}

async function fetchAny(
  connections: Connections,
  info: TopicInfo,
  { topic, partition, offset, maxBytes }: FetchFrom,
): Promise<Fetched> {
  const collector = new RecordCollector(offset)
  let bounds: { start: number; end: number } | undefined
  await connections.reading('read', (client) =>
    copyOut(client, selectBatch(connections, info, partition, offset, maxBytes), (row) => {
      const first = firstInt8(row)
      if (first >= 0) collector.add(row)
      else bounds = { start: -1 - first, end: secondInt8(row) }
    }),
  )
  if (bounds === undefined) throw topicMissing(topic)
  const { start, end } = bounds
  if (offset < start || offset > end)
    throw new LoyaltyError(
      'log_offset_out_of_range',
      `${topic}[${partition}] holds offsets ${start} to ${end}, not ${offset}`,
      { details: { topic, partition, offset, startOffset: start, endOffset: end } },
    )
  const { records, rows, bytes } = collector
  const more = bytes >= maxBytes || rows === mostRows
  const nextOffset = more ? records.at(-1)!.offset + 1 : end
  const size = { count: records.length, bytes }
  return {
    topicId: info.id,
    batch: { topic, partition, records, ...size, fromOffset: offset, nextOffset, endOffset: end },
  }
}

/**
 * The bounds of the partition as a row whose first field is −1 − start, and the rows from the one that holds `offset`, which
 * may begin before it. The running sum bounds the bytes that the server sends; the row that passes the bound is the last,
 * so one that is larger than it is read all the same. All values are numbers of ours: COPY takes no parameters.
 */
function selectBatch(
  connections: Connections,
  info: TopicInfo,
  partition: number,
  offset: number,
  maxBytes: number,
): string {
  const size = `coalesce(octet_length(key), 0) + coalesce(octet_length(value), 0) + coalesce(octet_length(headers), 0)`
  return `SELECT -1 - start_offset, next_offset, NULL::bytea, NULL::bytea, NULL::bytea, NULL::int
    FROM ${connections.table('partitions')} WHERE topic_id = ${info.id} AND partition = ${partition}
    UNION ALL
    SELECT record_offset, timestamp_ms, key, value, headers, packed FROM (
      SELECT record_offset, timestamp_ms, key, value, headers, packed, sum(${size}) OVER (
        ORDER BY record_offset ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS before
      FROM ${info.table} WHERE partition = ${partition} AND record_offset + coalesce(packed, 1) > ${offset}
        AND record_offset >= coalesce((SELECT max(record_offset) FROM ${info.table}
          WHERE partition = ${partition} AND record_offset <= ${offset}), ${offset})
      ORDER BY record_offset LIMIT ${mostRows}) r
    WHERE before IS NULL OR before < ${maxBytes}`
}
