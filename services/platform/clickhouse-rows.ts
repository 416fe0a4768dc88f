import type { ClickHouseClient } from '@clickhouse/client'

/** A query as the pure functions of `clickhouse/queries` make it. */
export interface ClickHouseQuery {
  readonly sql: string
  readonly params: object
}

/** The rows that a query answers, 64-bit numbers as numbers: counts and sums stay below 2^53. Errors are those of the client. */
export async function rowsOf<Row>(clickhouse: ClickHouseClient, { sql, params }: ClickHouseQuery): Promise<Row[]> {
  const result = await clickhouse.query({
    query: sql,
    query_params: { ...params },
    format: 'JSONEachRow',
    clickhouse_settings: { output_format_json_quote_64bit_integers: 0 },
    // What is too long for an address goes with the body.
    use_multipart_params_auto: true,
  })
  return result.json<Row>()
}
