import type { ClickHouseClient } from '@clickhouse/client'
import type { Pool } from 'pg'
import { type SegmentCount, segmentStats } from '#clickhouse/queries/segment-stats.ts'
import { segments } from '#streams/domain/segments.ts'
import { rowsOf } from '../../platform/clickhouse-rows.ts'

export interface SegmentStats {
  readonly segmentId: string
  readonly name: string
  readonly clients: number
  /** Of all clients with a segment, 0–100, two decimals. */
  readonly percentage: number
}

/** Clients per segment, from ClickHouse. */
export async function countByClickHouse(clickhouse: ClickHouseClient): Promise<Map<string, number>> {
  const rows = await rowsOf<SegmentCount>(clickhouse, segmentStats())
  return new Map(rows.flatMap(({ segment, clients }) => (segment === '' ? [] : [[segment, clients]])))
}

/** Clients per segment, from Postgres. */
export async function countByPostgres(pool: Pool): Promise<Map<string, number>> {
  const { rows } = await pool.query<{ segment: string; clients: string }>(
    'SELECT segment, count(*) AS clients FROM projector.clients WHERE segment IS NOT NULL GROUP BY segment',
  )
  return new Map(rows.map(({ segment, clients }) => [segment, Number(clients)]))
}

/** Every loyalty segment with its share, also an empty one; a segment of a foreign model goes by its id. */
export function shares(counts: ReadonlyMap<string, number>): SegmentStats[] {
  const total = [...counts.values()].reduce((sum, count) => sum + count, 0)
  const named: { id: string; name: string }[] = segments.map(({ id, name }) => ({ id, name }))
  const foreign = [...counts.keys()].filter((id) => !named.some((segment) => segment.id === id))
  return [...named, ...foreign.map((id) => ({ id, name: id }))].map(({ id, name }) => {
    const clients = counts.get(id) ?? 0
    return { segmentId: id, name, clients, percentage: total === 0 ? 0 : Math.round((clients / total) * 10_000) / 100 }
  })
}
