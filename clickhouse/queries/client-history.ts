/**
 * A row of `clientHistory`; '' means that the source did not say. Effects are what the
 * transaction counts for now, refunds and voids considered.
 */
export interface ClientHistoryRow {
  readonly transaction_id: string
  readonly kind: 'sale' | 'refund' | 'void'
  readonly occurred_at_ms: number
  /** ISO date in the programme's time zone. */
  readonly day: string
  readonly amount_minor: number
  readonly store_id: string
  readonly receipt_number: string
  readonly original_transaction_id: string
  readonly payment_method: string
  readonly items_count: number
  readonly categories: readonly string[]
  readonly discount_minor: number
  readonly bonus_earned_minor: number
  readonly bonus_spent_minor: number
  readonly source: string
  readonly purchase_number: number | null
  readonly days_since_previous: number | null
  readonly sales: number
  readonly gross_minor: number
  readonly net_minor: number
}

/** One page of a client's accepted transactions, newest first. */
export function clientHistory(
  clientId: string,
  limit: number,
  skip = 0,
): { sql: string; params: { clientId: string; limit: number; skip: number } } {
  return {
    sql: `SELECT
    page.transaction_id AS transaction_id,
    toString(page.kind) AS kind,
    toUnixTimestamp64Milli(page.occurred_at) AS occurred_at_ms,
    toString(page.day) AS day,
    amount_minor, store_id, receipt_number, original_transaction_id, payment_method, items_count, categories,
    discount_minor, bonus_earned_minor, bonus_spent_minor, source, purchase_number, days_since_previous,
    toInt64(effects.sales) AS sales,
    effects.gross AS gross_minor,
    effects.net AS net_minor
FROM
(
    SELECT * FROM transactions FINAL
    WHERE client_id = {clientId:String}
    ORDER BY occurred_at DESC, transaction_id
    LIMIT {limit:UInt32} OFFSET {skip:UInt32}
) AS page
LEFT JOIN
(
    SELECT transaction_key, sum(sales_change) AS sales, sum(gross_change_minor) AS gross, sum(net_change_minor) AS net
    FROM transaction_effects FINAL
    WHERE client_id = {clientId:String}
    GROUP BY transaction_key
) AS effects ON effects.transaction_key = page.transaction_key
ORDER BY page.occurred_at DESC, page.transaction_id`,
    params: { clientId, limit, skip },
  }
}
