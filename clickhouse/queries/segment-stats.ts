/** A row of `segmentStats`: `clients` of `segment` ('' holds those in none). */
export interface SegmentCount {
  readonly segment: string
  readonly clients: number
  readonly buyers: number
}

/** How many clients each segment holds now, and how many of them have a counted purchase. */
export function segmentStats(): { sql: string; params: Record<string, never> } {
  return {
    sql: `SELECT segment, count() AS clients, countIf(frequency > 0) AS buyers
FROM client_state FINAL
GROUP BY segment
ORDER BY segment`,
    params: {},
  }
}
