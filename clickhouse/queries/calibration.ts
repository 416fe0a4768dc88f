/** The one row of `calibration`: ascending cuts, one per level; all empty or of nothing where `buyers` is 0. */
export interface Calibration {
  readonly buyers: number
  readonly recency_days: readonly number[]
  readonly frequency: readonly number[]
  readonly net_minor: readonly number[]
  readonly gross_minor: readonly number[]
}

/**
 * Cut-points from the clients with a counted purchase: the cut at level l is the element at index floor(l·n) of the n
 * sorted values, which is what ClickHouse's quantileExact answers (QuantileExact.h: `level * array.size()`). `levels` are
 * shares between 0 and 1, ascending; the default makes quintiles. Recency counts days up to `asOfDay` (days since
 * 1970-01-01), never below 0.
 */
export function calibration(input: { asOfDay: number; levels?: readonly number[] }): {
  sql: string
  params: { asOfDay: number }
} {
  const levels = input.levels ?? [0.2, 0.4, 0.6, 0.8]
  if (levels.length === 0 || levels.some((level) => !(level > 0 && level < 1)))
    throw new RangeError('levels must be shares between 0 and 1')
  // Parameters of an aggregate function must be constants of the text.
  const cuts = `quantilesExact(${levels.join(', ')})`
  return {
    sql: `SELECT
    count() AS buyers,
    ${cuts}(greatest(0, {asOfDay:Int32} - toInt32(assumeNotNull(last_purchase_day)))) AS recency_days,
    ${cuts}(frequency) AS frequency,
    ${cuts}(monetary_net_minor) AS net_minor,
    ${cuts}(monetary_gross_minor) AS gross_minor
FROM client_state FINAL
WHERE client_state.frequency >= 1 AND last_purchase_day IS NOT NULL`,
    params: { asOfDay: input.asOfDay },
  }
}
