import type { ClickHouseClient } from '@clickhouse/client'
import type { Pool } from 'pg'
import { type SegmentCount, segmentStats } from '#clickhouse/queries/segment-stats.ts'

export interface Segment {
  readonly segmentId: string
  readonly name: string
  readonly description: string
  readonly color: string
  readonly minScore: number
  readonly maxScore: number
}

export interface SegmentStats {
  readonly segmentId: string
  readonly name: string
  readonly clients: number
  /** Of all clients with a segment, 0–100, two decimals. */
  readonly percentage: number
}

/** The loyalty segments in their order. */
export async function listSegments(pool: Pool): Promise<Segment[]> {
  const { rows } = await pool.query<Segment>(
    `SELECT segment_id AS "segmentId", segment_name AS name, description, color_code AS color,
            min_score_threshold AS "minScore", max_score_threshold AS "maxScore"
     FROM projector.loyalty_segments ORDER BY position`,
  )
  return rows
}

/** Clients per segment, from ClickHouse. */
export async function countByClickHouse(clickhouse: ClickHouseClient): Promise<Map<string, number>> {
  const { sql, params } = segmentStats()
  const result = await clickhouse.query({ query: sql, query_params: params, format: 'JSONEachRow' })
  const rows = await result.json<SegmentCount>()
  return new Map(rows.flatMap(({ segment, clients }) => (segment === '' ? [] : [[segment, Number(clients)]])))
}

/** Clients per segment, from Postgres. */
export async function countByPostgres(pool: Pool): Promise<Map<string, number>> {
  const { rows } = await pool.query<{ segment: string; clients: string }>(
    'SELECT segment, count(*) AS clients FROM projector.clients WHERE segment IS NOT NULL GROUP BY segment',
  )
  return new Map(rows.map(({ segment, clients }) => [segment, Number(clients)]))
}

/** Every known segment with its share, also an empty one; a segment without a name goes by its id. */
export function shares(
  segments: readonly Pick<Segment, 'segmentId' | 'name'>[],
  counts: ReadonlyMap<string, number>,
): SegmentStats[] {
  const total = [...counts.values()].reduce((sum, count) => sum + count, 0)
  const unnamed = [...counts.keys()].filter((id) => !segments.some(({ segmentId }) => segmentId === id))
  return [...segments, ...unnamed.map((id) => ({ segmentId: id, name: id }))].map(({ segmentId, name }) => {
    const clients = counts.get(segmentId) ?? 0
    return { segmentId, name, clients, percentage: total === 0 ? 0 : Math.round((clients / total) * 10_000) / 100 }
  })
}
