import type { Pool } from 'pg'
import { isoOfDay } from '#streams/domain/calendar.ts'
import { segments } from '#streams/domain/segments.ts'

/** How the programme's clients stand at the end of a day. */
export interface DayFigures {
  /** Clients with a purchase that counts. */
  readonly buyers: number
  /** Changes of segment on the day, first assignments among them. */
  readonly changes: number
  /** Clients by segment, every segment named. */
  readonly segments: Readonly<Record<string, number>>
}

export async function readFigures(pool: Pool, day: number): Promise<DayFigures> {
  const counts = await pool.query<{ segment: string | null; clients: number }>(
    'SELECT segment, count(*)::int AS clients FROM projector.clients WHERE frequency > 0 GROUP BY segment',
  )
  const changes = await pool.query<{ n: number }>(
    'SELECT count(*)::int AS n FROM projector.client_segment_history WHERE as_of = $1',
    [isoOfDay(day)],
  )
  const bySegment: Record<string, number> = Object.fromEntries(segments.map(({ id }) => [id, 0]))
  let buyers = 0
  for (const { segment, clients } of counts.rows) {
    buyers += clients
    if (segment !== null) bySegment[segment] = clients
  }
  return { buyers, changes: changes.rows[0]?.n ?? 0, segments: bySegment }
}
