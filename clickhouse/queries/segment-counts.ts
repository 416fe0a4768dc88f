/** Clients per loyalty segment as they are now; clients without a segment are left out. */
export function segmentCounts(): { sql: string; params: Record<string, unknown> } {
  return {
    sql: `SELECT segment, count() AS clients
FROM client_state FINAL
WHERE segment != ''
GROUP BY segment`,
    params: {},
  }
}

/** A row of `segmentCounts`; the count comes as text. */
export interface SegmentCountRow {
  readonly segment: string
  readonly clients: string | number
}
