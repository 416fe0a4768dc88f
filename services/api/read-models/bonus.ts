import type { ClickHouseClient } from '@clickhouse/client'
import { type BonusSinceRow, bonusSince } from '#clickhouse/queries/bonus-since.ts'
import type { ClientDetailsRow } from './clients.ts'

/**
 * Bonus balance of a client, minor units: its opening balance and what came after that moment; without one, all there is.
 * Only the transactions themselves tell what came after a moment. `asOfDay`: the programme's date. Errors are those of the
 * ClickHouse client.
 */
export async function bonusBalance(
  clickhouse: ClickHouseClient,
  {
    client_id: clientId,
    opening_bonus_at: openedAt,
    opening_bonus_minor: opening,
    bonus_minor: moved,
  }: ClientDetailsRow,
  asOfDay: number | null,
): Promise<number> {
  if (openedAt === null) return Number(opening ?? 0) + Number(moved)
  const { sql, params } = bonusSince({ clientId, sinceMs: openedAt.getTime(), asOfDay })
  const result = await clickhouse.query({ query: sql, query_params: params, format: 'JSONEachRow' })
  const [row] = await result.json<BonusSinceRow>()
  return Number(opening ?? 0) + Number(row?.earned_less_spent_minor ?? 0)
}
