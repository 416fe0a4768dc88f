import type { ClickHouseClient } from '@clickhouse/client'
import { type BonusSinceRow, bonusSince } from '#clickhouse/queries/bonus-since.ts'
import { rowsOf } from '../../platform/clickhouse-rows.ts'
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
  const query = bonusSince({ clientId, sinceMs: openedAt.getTime(), asOfDay })
  const [row] = await rowsOf<BonusSinceRow>(clickhouse, query)
  return Number(opening ?? 0) + (row?.earned_less_spent_minor ?? 0)
}
