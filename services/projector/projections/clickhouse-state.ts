import type { ClientStateChanged } from '#schemas/events.ts'
import type { Batch, Delivery, Projection } from '../projection.ts'
import { RowBinary } from '../row-binary.ts'
import { type ClickHouseTarget, command, insertOnce } from './clickhouse-target.ts'

type Kind = 'string' | 'int32' | 'int64' | 'float64' | 'int16?' | 'int32?' | 'int64?' | 'float64?'

/** In the order of the wire; how each is written. Times are DateTime64(3), days Date32. */
const columns: readonly (readonly [keyof ClientStateChanged, Kind])[] = [
  ['client_id', 'string'],
  ['first_purchase_at', 'int64?'],
  ['last_purchase_at', 'int64?'],
  ['first_purchase_day', 'int32?'],
  ['last_purchase_day', 'int32?'],
  ['frequency', 'int32'],
  ['monetary_gross_minor', 'int64'],
  ['monetary_net_minor', 'int64'],
  ['refunded_minor', 'int64'],
  ['mean_receipt_minor', 'float64'],
  ['purchases_30d', 'int32'],
  ['purchases_90d', 'int32'],
  ['purchases_365d', 'int32'],
  ['spend_30d_minor', 'int64'],
  ['spend_90d_minor', 'int64'],
  ['spend_365d_minor', 'int64'],
  ['mean_days_between', 'float64?'],
  ['refund_share', 'float64'],
  ['bonus_earned_minor', 'int64'],
  ['bonus_spent_minor', 'int64'],
  ['stores', 'int32'],
  ['transactions', 'int32'],
  ['waiting', 'int32'],
  ['flags', 'int32'],
  ['r_score', 'int16?'],
  ['f_score', 'int16?'],
  ['m_score', 'int16?'],
  ['rfm_score', 'string'],
  ['segment', 'string'],
  ['loyalty_score', 'int16?'],
  ['model_id', 'string'],
  ['model_version', 'string'],
  ['as_of', 'int32?'],
  ['version', 'int64'],
]
const names = columns.map(([name]) => name)

/** Several rows of one client in a batch become one: the newest. */
class StateBatch implements Batch {
  readonly newest = new Map<string, ClientStateChanged>()
  readonly open = false

  get rows(): number {
    return this.newest.size
  }

  add(delivery: Delivery): void {
    if (delivery.name !== 'ClientStateChanged') return
    const known = this.newest.get(delivery.event.client_id)
    if (known === undefined || known.version < delivery.event.version)
      this.newest.set(delivery.event.client_id, delivery.event)
  }
}

/** The current row of every client (`client_state`). An older version that comes late loses when rows merge. */
export const clickhouseState: Projection<ClickHouseTarget, StateBatch> = {
  name: 'clickhouse-state',
  version: 1,
  handles: ['clientState'],
  tables: ['client_state'],
  begin: () => new StateBatch(),
  async init() {},

  async apply(batch, target) {
    const rows = new RowBinary(256 * batch.rows + 1_024)
    for (const state of batch.newest.values()) writeState(rows, state)
    await insertOnce(target, 'client_state', names, rows)
  },

  async truncate({ client, suffix }) {
    await command(client, `TRUNCATE TABLE client_state${suffix}`)
  },
}

function writeState(rows: RowBinary, state: ClientStateChanged): void {
  for (const [name, kind] of columns) {
    const value = state[name]
    if (kind === 'string') rows.string((value ?? '') as string)
    else if (kind === 'int16?') rows.nullable(value as number | null, 'int16')
    else if (kind === 'int32?') rows.nullable(value as number | null, 'int32')
    else if (kind === 'int64?') rows.nullable(value as number | null, 'int64')
    else if (kind === 'float64?') rows.nullable(value as number | null, 'float64')
    else rows[kind](value as number)
  }
  rows.endRow()
}
