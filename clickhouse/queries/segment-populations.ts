/** A row of `segmentPopulations`; `day` is an ISO date. */
export interface SegmentPopulation {
  readonly day: string
  readonly segment: string
  readonly clients: number
}

/**
 * Clients per segment at the end of each day from `fromDay` to `toDay` (days since 1970-01-01, both included), also of
 * days without a change.
 */
export function segmentPopulations(range: { fromDay: number; toDay: number }): {
  sql: string
  params: { fromDay: number; toDay: number }
} {
  return {
    sql: `SELECT toString(grid.day) AS day, grid.segment AS segment, toInt64(sum(deltas.change)) AS clients
FROM
(
    SELECT toDate32(arrayJoin(range({fromDay:Int32}, {toDay:Int32} + 1))) AS day, segment
    FROM (SELECT DISTINCT segment FROM segment_population)
) AS grid
INNER JOIN
(
    SELECT segment, greatest(segment_population.day, toDate32({fromDay:Int32})) AS day, sum(delta) AS change
    FROM segment_population
    WHERE segment_population.day <= toDate32({toDay:Int32})
    GROUP BY segment, day
) AS deltas ON deltas.segment = grid.segment AND deltas.day <= grid.day
GROUP BY grid.day, grid.segment
ORDER BY day, segment`,
    params: { fromDay: range.fromDay, toDay: range.toDay },
  }
}
