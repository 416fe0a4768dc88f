/** A row of `salesReport`. `day` and `store` are null where the report is not by them; '' is a store that nobody named. */
export interface SalesRow {
  /** ISO date. */
  readonly day: string | null
  readonly store: string | null
  /** Counted sales: not voided, not fully refunded. */
  readonly sales: number
  readonly gross_minor: number
  readonly net_minor: number
  /** Distinct clients with a sale; exact up to some 65,000. */
  readonly clients: number
}

/** Sums over a range of days (days since 1970-01-01, both included), by day and by store where asked for. */
export function salesReport(input: { fromDay: number; toDay: number; byDay?: boolean; byStore?: boolean }): {
  sql: string
  params: { fromDay: number; toDay: number }
} {
  const day = input.byDay === true ? 'toString(daily_sales.day)' : "CAST(NULL, 'Nullable(String)')"
  const store = input.byStore === true ? 'toString(store_id)' : "CAST(NULL, 'Nullable(String)')"
  const keys = [...(input.byDay === true ? ['daily_sales.day'] : []), ...(input.byStore === true ? ['store_id'] : [])]
  const group = keys.length === 0 ? '' : `\nGROUP BY ${keys.join(', ')}\nORDER BY ${keys.join(', ')}`
  return {
    sql: `SELECT ${day} AS day, ${store} AS store,
    sum(daily_sales.sales) AS sales, sum(daily_sales.gross_minor) AS gross_minor, sum(daily_sales.net_minor) AS net_minor,
    uniqIfMerge(daily_sales.clients) AS clients
FROM daily_sales
WHERE daily_sales.day BETWEEN toDate32({fromDay:Int32}) AND toDate32({toDay:Int32})${group}`,
    params: { fromDay: input.fromDay, toDay: input.toDay },
  }
}

/** The one row of `factTotals`. */
export interface FactTotals {
  readonly transactions: number
  readonly sales: number
  readonly refunds: number
  readonly voids: number
  /** Amounts as reported by kind, whatever became of them later. */
  readonly sales_minor: number
  readonly refunds_minor: number
  readonly clients: number
}

/** Accepted transactions, of everything or of one upload batch. */
export function factTotals(input: { batchId?: string } = {}): { sql: string; params: { batchId: string } } {
  const where = input.batchId === undefined ? '' : '\nWHERE batch_id = {batchId:String}'
  return {
    sql: `SELECT count() AS transactions,
    countIf(kind = 'sale') AS sales, countIf(kind = 'refund') AS refunds, countIf(kind = 'void') AS voids,
    sumIf(amount_minor, kind = 'sale') AS sales_minor, sumIf(amount_minor, kind = 'refund') AS refunds_minor,
    uniqExact(client_id) AS clients
FROM transactions FINAL${where}`,
    params: { batchId: input.batchId ?? '' },
  }
}
