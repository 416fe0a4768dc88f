/** The one row of `bonusSince`. */
export interface BonusSinceRow {
  readonly earned_less_spent_minor: number
}

export interface BonusSinceParams {
  readonly clientId: string
  /** Epoch milliseconds; what took place later counts. */
  readonly sinceMs: number
  /** Programme's date, days since 1970-01-01: later days have not come. Null: the programme has none, all have. */
  readonly asOfDay: number | null
}

/** Past the last day that a transaction may have. */
const noDay = 100_000

/**
 * Bonus that a client earned less what it spent after a moment, as the ledger counts it: sales and refunds that are not
 * voided; of refunds of a sale only those whose sale is there and not voided.
 */
export function bonusSince({ clientId, sinceMs, asOfDay }: BonusSinceParams): {
  sql: string
  params: { clientId: string; sinceMs: number; endDay: number }
} {
  const ofClient = `SELECT * FROM transactions FINAL
    WHERE client_id = {clientId:String} AND toInt32(day) <= {endDay:Int32}`
  const voided = `SELECT original_transaction_id FROM (${ofClient}) WHERE kind = 'void'`
  const sales = `SELECT transaction_id FROM (${ofClient}) WHERE kind = 'sale' AND transaction_id NOT IN (${voided})`
  return {
    sql: `SELECT sum((bonus_earned_minor - bonus_spent_minor) * if(kind = 'sale', 1, -1)) AS earned_less_spent_minor
FROM (${ofClient})
WHERE kind IN ('sale', 'refund') AND toUnixTimestamp64Milli(occurred_at) > {sinceMs:Int64}
  AND transaction_id NOT IN (${voided})
  AND (kind = 'sale' OR original_transaction_id = '' OR original_transaction_id IN (${sales}))`,
    params: { clientId, sinceMs, endDay: asOfDay ?? noDay },
  }
}
