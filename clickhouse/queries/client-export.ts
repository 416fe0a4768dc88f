/** A row of `clientExport`. Dates are ISO dates in the programme's time zone. */
export interface ExportedClient {
  readonly client_id: string
  readonly recency_days: number | null
  readonly frequency: number
  readonly monetary_gross_minor: number
  readonly monetary_net_minor: number
  readonly first_purchase: string | null
  readonly last_purchase: string | null
  readonly r: number | null
  readonly f: number | null
  readonly m: number | null
  readonly rfm_score: string | null
  readonly segment: string | null
  readonly loyalty_score: number | null
  readonly model: string | null
  readonly as_of: string | null
}

/**
 * The next `limit` clients after `afterClientId` ('' begins), by client_id in byte order. Pages keep memory bounded on
 * both sides; each is read from the sort key. Date and model are those of the programme now (null before its first day):
 * recency is counted to `asOfDay` (days since 1970-01-01).
 */
export function clientExport(input: {
  afterClientId: string
  limit: number
  asOfDay: number | null
  model: string | null
}): { sql: string; params: { after: string; limit: number; asOf: number | null; model: string | null } } {
  return {
    sql: `SELECT
    client_id,
    {asOf:Nullable(Int32)} - toInt32(last_purchase_day) AS recency_days,
    frequency, monetary_gross_minor, monetary_net_minor,
    toString(first_purchase_day) AS first_purchase,
    toString(last_purchase_day) AS last_purchase,
    r_score AS r, f_score AS f, m_score AS m,
    nullIf(toString(client_state.rfm_score), '') AS rfm_score,
    nullIf(toString(client_state.segment), '') AS segment,
    loyalty_score,
    if(client_state.segment = '', NULL, {model:Nullable(String)}) AS model,
    toString(toDate32({asOf:Nullable(Int32)})) AS as_of
FROM client_state FINAL
WHERE client_id > {after:String}
ORDER BY client_id
LIMIT {limit:UInt32}`,
    params: { after: input.afterClientId, limit: input.limit, asOf: input.asOfDay, model: input.model },
  }
}
