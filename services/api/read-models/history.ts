import type { ClickHouseClient } from '@clickhouse/client'
import { type ClientHistoryRow, clientHistory } from '#clickhouse/queries/client-history.ts'

/** One accepted transaction of a client; the empty texts of ClickHouse are null here. */
export interface HistoryEntry {
  readonly transactionId: string
  readonly kind: 'sale' | 'refund' | 'void'
  readonly occurredAtMs: number
  readonly amountMinor: number
  readonly receiptNumber: string | null
  readonly storeId: string | null
  readonly originalTransactionId: string | null
  readonly itemsCount: number
  readonly source: string
}

/** Newest first. Errors are those of the ClickHouse client. */
export async function readHistory(
  clickhouse: ClickHouseClient,
  clientId: string,
  limit: number,
): Promise<HistoryEntry[]> {
  const { sql, params } = clientHistory(clientId, limit)
  const result = await clickhouse.query({ query: sql, query_params: params, format: 'JSONEachRow' })
  const rows = await result.json<ClientHistoryRow>()
  return rows.map((row) => ({
    transactionId: row.transaction_id,
    kind: row.kind,
    occurredAtMs: Number(row.occurred_at_ms),
    amountMinor: Number(row.amount_minor),
    receiptNumber: row.receipt_number || null,
    storeId: row.store_id || null,
    originalTransactionId: row.original_transaction_id || null,
    itemsCount: row.items_count,
    source: row.source,
  }))
}
