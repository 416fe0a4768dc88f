import { Readable } from 'node:stream'
import type { ClickHouseClient } from '@clickhouse/client'
import { LoyaltyError, messageOf } from '#streams/core/error.ts'
import { type ClickHouseQuery, rowsOf } from '../../platform/clickhouse-rows.ts'
import type { RowBinary } from '../row-binary.ts'

export interface ClickHouseTarget {
  readonly client: ClickHouseClient
  /** Appended to every table: '' or that of a rebuild. */
  readonly suffix: string
  /** Names the ranges that are being inserted. The same ranges always come under the same token. */
  readonly token: string
}

/**
 * What makes one INSERT one block and one entry in the deduplication log: nothing may cut it, nothing may merge it with
 * another, and views behind the table are deduplicated by the same token.
 */
const onceSettings = {
  async_insert: 0,
  // A block is written as it comes; what it repeats is merged later, and reads ask for FINAL: a quarter less work.
  optimize_on_insert: 0,
  deduplicate_blocks_in_dependent_materialized_views: 1,
  insert_deduplicate: 1,
  input_format_parallel_parsing: 0,
  max_insert_block_size: '1048449',
  min_insert_block_size_rows: '1048449',
  min_insert_block_size_bytes: '1073741824',
  wait_end_of_query: 1,
} as const

/** Rows that certainly form one block. */
export const largestInsert = 1_000_000

/**
 * Inserts rows once: a repetition under the same token changes nothing, also in the views behind the table, as long as
 * the table's deduplication window has not gone past it.
 *
 * Errors: `clickhouse_unavailable` (retriable), `clickhouse_refused` (the statement or the data is wrong),
 * `insert_too_large` (would be cut into blocks).
 */
export async function insertOnce(
  target: ClickHouseTarget,
  table: string,
  columns: readonly string[],
  rows: RowBinary,
): Promise<void> {
  if (rows.rows === 0) return
  if (rows.rows > largestInsert)
    throw new LoyaltyError('insert_too_large', `${rows.rows} rows for ${table} do not fit one block`)
  const name = table + target.suffix
  try {
    const { stream } = await target.client.exec({
      query: `INSERT INTO ${name} (${columns.join(', ')}) FORMAT RowBinary`,
      values: Readable.from([rows.bytes()], { objectMode: false }),
      clickhouse_settings: { ...onceSettings, insert_deduplication_token: `${target.token}/${table}` },
    })
    for await (const _ of stream) {
      // An INSERT answers nothing; the connection is free once that was read.
    }
  } catch (cause) {
    throw clickhouseError(cause, `inserting into ${name}`)
  }
}

/** What was asked, as rows. Errors: `clickhouse_unavailable` (retriable), `clickhouse_refused`. */
export async function select<Row>(client: ClickHouseClient, query: ClickHouseQuery): Promise<Row[]> {
  try {
    return await rowsOf<Row>(client, query)
  } catch (cause) {
    throw clickhouseError(cause, 'a query')
  }
}

/** Runs a statement. Errors: `clickhouse_unavailable` (retriable), `clickhouse_refused`. */
export async function command(client: ClickHouseClient, query: string): Promise<void> {
  try {
    await client.command({ query })
  } catch (cause) {
    throw clickhouseError(cause, query.slice(0, 80))
  }
}

/** A ClickHouse exception has a numeric code; everything else is the way there. Memory and time limits may pass. */
function clickhouseError(cause: unknown, what: string): LoyaltyError {
  const code = Number((cause as { code?: unknown }).code)
  const refused = Number.isInteger(code) && ![159, 202, 241, 242, 252].includes(code)
  return new LoyaltyError(
    refused ? 'clickhouse_refused' : 'clickhouse_unavailable',
    `${what}: ${messageOf(cause) || 'ClickHouse does not answer'}`,
    { retriable: !refused, cause, details: Number.isInteger(code) ? { exceptionCode: code } : {} },
  )
}
