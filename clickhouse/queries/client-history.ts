/** A client's accepted transactions, newest first. */
export function clientHistory(clientId: string, limit: number): { sql: string; params: Record<string, unknown> } {
  return {
    sql: `SELECT transaction_id, toString(kind) AS kind, toUnixTimestamp64Milli(occurred_at) AS occurred_at_ms,
  amount_minor, receipt_number, store_id, original_transaction_id, items_count, source
FROM transactions FINAL
WHERE client_id = {client_id: String}
ORDER BY occurred_at DESC, transaction_id DESC
LIMIT {limit: UInt32}`,
    params: { client_id: clientId, limit },
  }
}

/** A row of `clientHistory`; 64-bit numbers come as text, '' means that the source did not say. */
export interface ClientHistoryRow {
  readonly transaction_id: string
  readonly kind: 'sale' | 'refund' | 'void'
  readonly occurred_at_ms: string | number
  readonly amount_minor: string | number
  readonly receipt_number: string
  readonly store_id: string
  readonly original_transaction_id: string
  readonly items_count: number
  readonly source: string
}
