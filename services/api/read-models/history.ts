import type { ClickHouseClient } from '@clickhouse/client'
import { type ClientHistoryRow, clientHistory } from '#clickhouse/queries/client-history.ts'
import { rowsOf } from '../../platform/clickhouse-rows.ts'

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
  const rows = await rowsOf<ClientHistoryRow>(clickhouse, clientHistory(clientId, limit))
  return rows.map((row) => ({
    transactionId: row.transaction_id,
    kind: row.kind,
    occurredAtMs: row.occurred_at_ms,
    amountMinor: row.amount_minor,
    receiptNumber: row.receipt_number || null,
    storeId: row.store_id || null,
    originalTransactionId: row.original_transaction_id || null,
    itemsCount: row.items_count,
    source: row.source,
  }))
}
