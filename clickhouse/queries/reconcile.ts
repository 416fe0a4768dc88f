/** A row of `duplicateRows`: rows above identities mean that an insert was repeated outside its deduplication window. */
export interface DuplicateRows {
  readonly table: 'transactions' | 'transaction_effects' | 'segment_changes'
  readonly rows: number
  readonly identities: number
}

/** Counts rows and identities of the tables that feed views. */
export function duplicateRows(table: DuplicateRows['table']): { sql: string; params: Record<string, never> } {
  const identity = {
    transactions: 'client_id, transaction_key',
    transaction_effects: 'client_id, transaction_key, log_offset',
    segment_changes: 'client_id, version',
  }[table]
  return {
    sql: `SELECT '${table}' AS table, count() AS rows, uniqExact(${identity}) AS identities FROM ${table}`,
    params: {},
  }
}

/** A row of `dailySalesDifferences` and `populationDifferences`: what the view says and what its facts say. */
export interface Difference {
  /** ISO date. */
  readonly day: string
  /** Store or segment. */
  readonly name: string
  readonly view: readonly number[]
  readonly facts: readonly number[]
}

/** Days and stores on which daily_sales differs from the effects (sales, gross, net), at most `limit` of them. */
export function dailySalesDifferences(limit = 100): { sql: string; params: { limit: number } } {
  return {
    sql: `SELECT toString(day) AS day, name, view, facts
FROM
(
    SELECT day, toString(store_id) AS name,
        [sum(sales_change), sum(gross_change_minor), sum(net_change_minor)] AS facts
    FROM transaction_effects FINAL GROUP BY day, store_id
) AS a
FULL JOIN
(
    SELECT day, toString(store_id) AS name, [sum(sales), sum(gross_minor), sum(net_minor)] AS view
    FROM daily_sales GROUP BY day, store_id
) AS b USING (day, name)
WHERE arrayResize(view, 3) != arrayResize(facts, 3)
ORDER BY day, name
LIMIT {limit:UInt32}`,
    params: { limit },
  }
}

/** Days and segments on which segment_population differs from the changes, at most `limit` of them. */
export function populationDifferences(limit = 100): { sql: string; params: { limit: number } } {
  return {
    sql: `SELECT toString(day) AS day, name, view, facts
FROM
(
    SELECT day, toString(change.1) AS name, [sum(change.2)] AS facts
    FROM segment_changes FINAL
    ARRAY JOIN [(before, toInt64(-1)), (after, toInt64(1))] AS change
    WHERE change.1 != ''
    GROUP BY day, name
) AS a
FULL JOIN
(
    SELECT day, toString(segment) AS name, [sum(delta)] AS view
    FROM segment_population GROUP BY day, segment
) AS b USING (day, name)
WHERE arrayResize(view, 1) != arrayResize(facts, 1)
ORDER BY day, name
LIMIT {limit:UInt32}`,
    params: { limit },
  }
}
