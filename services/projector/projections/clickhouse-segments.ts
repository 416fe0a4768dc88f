import type { ReclassificationCause } from '#schemas/events.ts'
import type { Batch, Delivery, Projection } from '../projection.ts'
import { RowBinary } from '../row-binary.ts'
import { type ClickHouseTarget, command, insertOnce } from './clickhouse-target.ts'

const columns = [
  ...['client_id', 'version', 'changed_at', 'day', 'before', 'after', 'score_before', 'score_after', 'cause'],
  ...['transaction_ids', 'model_id', 'model_version'],
]
const causes: Readonly<Record<ReclassificationCause, number>> = {
  purchase: 1,
  refund: 2,
  correction: 3,
  time: 4,
  model: 5,
  cut_points: 6,
}
const dayMs = 86_400_000

class ChangesBatch implements Batch {
  readonly changes = new RowBinary()
  readonly open = false

  get rows(): number {
    return this.changes.rows
  }

  add(delivery: Delivery): void {
    if (delivery.name !== 'ClientReclassified') return
    const { event, record } = delivery
    const rows = this.changes
    rows.string(event.client_id)
    rows.int64(event.version)
    rows.int64(record.timestampMs)
    // Nothing is classified before the first day; a change without one is counted on the day it arrived.
    rows.int32(event.as_of ?? Math.floor(record.timestampMs / dayMs))
    rows.string(event.before ?? '')
    rows.string(event.after ?? '')
    rows.nullable(event.score_before, 'int16')
    rows.nullable(event.score_after, 'int16')
    rows.uint8(causes[event.cause])
    rows.strings(event.transaction_ids)
    rows.string(event.model_id ?? '')
    rows.string(event.model_version ?? '')
    rows.endRow()
  }
}

/** Changes of segment (`segment_changes`) and through a view the population of segments by day. */
export const clickhouseSegments: Projection<ClickHouseTarget, ChangesBatch> = {
  name: 'clickhouse-segments',
  version: 1,
  handles: ['clientReclassified'],
  tables: ['segment_changes', 'segment_population', 'segment_population_mv'],
  begin: () => new ChangesBatch(),
  async init() {},

  async apply(batch, target) {
    await insertOnce(target, 'segment_changes', columns, batch.changes)
  },

  async truncate({ client, suffix }) {
    for (const table of ['segment_changes', 'segment_population'])
      await command(client, `TRUNCATE TABLE ${table}${suffix}`)
  },
}
