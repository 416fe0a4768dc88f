import type { ClientProfileChanged, ClientStateChanged } from '#schemas/events.ts'
import { jsons, nested, numbers, texts } from './postgres-arrays.ts'
import type { HistoryRow, PostgresTarget, ProfileRow } from './postgres-profiles.ts'

/** One column of a row of `unnest`: its type there, how it becomes the column's value, and the array to send. */
interface Column<Row> {
  readonly name: string
  readonly type: 'text' | 'int' | 'bigint' | 'float8' | 'day' | 'time' | 'jsonb' | 'texts'
  readonly of: (row: Row) => unknown
}

const sqlTypes = {
  text: 'text[]',
  int: 'int[]',
  bigint: 'bigint[]',
  float8: 'float8[]',
  day: 'int[]',
  time: 'float8[]',
  jsonb: 'jsonb[]',
  texts: 'text[]',
} as const

function expressionOf({ name, type }: { readonly name: string; readonly type: Column<never>['type'] }): string {
  if (type === 'day') return `DATE '1970-01-01' + u.${name}`
  if (type === 'time') return `to_timestamp(u.${name} / 1000)`
  return type === 'texts' ? `u.${name}::text[]` : `u.${name}`
}

function arrayOf<Row>(column: Column<Row>, rows: readonly Row[]): string {
  const values = rows.map(column.of)
  if (column.type === 'text') return texts(values as (string | null)[])
  if (column.type === 'texts') return nested(values as (readonly string[])[])
  return column.type === 'jsonb' ? jsons(values) : numbers(values as (number | null)[])
}

/** INSERT … SELECT FROM unnest(…), one parameter per column. */
function insertText<Row>(table: string, columns: readonly Column<Row>[], onConflict: string): string {
  const names = columns.map(({ name }) => name).join(', ')
  const arrays = columns.map(({ type }, index) => `$${index + 1}::${sqlTypes[type]}`).join(', ')
  return `INSERT INTO ${table} AS t (${names}) SELECT ${columns.map(expressionOf).join(', ')}
    FROM unnest(${arrays}) AS u(${names}) ON CONFLICT ${onConflict}`
}

function overwrite<Row>(columns: readonly Column<Row>[]): string {
  const names = columns.map(({ name }) => name).filter((name) => name !== 'client_id')
  return `(client_id) DO UPDATE SET (${names.join(', ')}) = (${names.map((name) => `excluded.${name}`).join(', ')})`
}

const state = (name: keyof ClientStateChanged, type: Column<never>['type']): Column<ClientStateChanged> => ({
  name,
  type,
  of: (row) => row[name],
})

const time = (name: string, field: 'first_purchase_at' | 'last_purchase_at'): Column<ClientStateChanged> => ({
  name,
  type: 'time',
  of: (row) => row[field],
})

const stateColumns: readonly Column<ClientStateChanged>[] = [
  state('client_id', 'text'),
  time('first_purchase_at', 'first_purchase_at'),
  time('last_purchase_at', 'last_purchase_at'),
  state('first_purchase_day', 'day'),
  state('last_purchase_day', 'day'),
  state('frequency', 'int'),
  state('monetary_gross_minor', 'bigint'),
  state('monetary_net_minor', 'bigint'),
  state('refunded_minor', 'bigint'),
  state('mean_receipt_minor', 'float8'),
  state('purchases_30d', 'int'),
  state('purchases_90d', 'int'),
  state('purchases_365d', 'int'),
  state('spend_30d_minor', 'bigint'),
  state('spend_90d_minor', 'bigint'),
  state('spend_365d_minor', 'bigint'),
  state('mean_days_between', 'float8'),
  state('refund_share', 'float8'),
  state('bonus_earned_minor', 'bigint'),
  state('bonus_spent_minor', 'bigint'),
  state('stores', 'int'),
  state('transactions', 'int'),
  state('waiting', 'int'),
  state('flags', 'int'),
  state('r_score', 'int'),
  state('f_score', 'int'),
  state('m_score', 'int'),
  state('rfm_score', 'text'),
  state('segment', 'text'),
  state('loyalty_score', 'int'),
  state('model_id', 'text'),
  state('model_version', 'text'),
  state('as_of', 'day'),
  state('version', 'bigint'),
]

/** Inserts or replaces current rows, unless a newer version is there. One row per client, in key order. */
export async function upsertStates(
  { client, schema }: PostgresTarget,
  rows: readonly ClientStateChanged[],
): Promise<void> {
  const guard = `${overwrite(stateColumns)} WHERE t.version < excluded.version`
  await client.query({
    name: `states of ${schema}`,
    text: insertText(`${schema}.clients`, stateColumns, guard),
    values: stateColumns.map((column) => arrayOf(column, rows)),
  })
}

const profile = (
  name: string,
  type: Column<never>['type'],
  field: keyof ClientProfileChanged = name as keyof ClientProfileChanged,
): Column<ProfileRow> => ({ name, type, of: (row) => row.profile?.[field] ?? null })

const profileColumns: readonly Column<ProfileRow>[] = [
  { name: 'client_id', type: 'text', of: (row) => row.clientId },
  profile('name', 'text'),
  profile('email', 'text'),
  profile('phone', 'text'),
  profile('gender', 'text'),
  profile('birth_date', 'day'),
  profile('registered_at', 'time'),
  profile('city', 'text'),
  profile('communication_preferences', 'jsonb'),
  profile('opening_bonus_minor', 'bigint'),
  profile('opening_bonus_at', 'time'),
  profile('profile_source', 'text', 'source'),
  profile('attributes', 'jsonb'),
  { name: 'profile_offset', type: 'bigint', of: (row) => row.offset },
]

/** Inserts or replaces profiles, unless one from a later record is there; a tombstone empties them. */
export async function upsertProfiles({ client, schema }: PostgresTarget, rows: readonly ProfileRow[]): Promise<void> {
  const guard = `${overwrite(profileColumns)} WHERE t.profile_offset < excluded.profile_offset`
  await client.query({
    name: `profiles of ${schema}`,
    text: insertText(`${schema}.clients`, profileColumns, guard),
    values: profileColumns.map((column) => arrayOf(column, rows)),
  })
}

/** Removes clients of whom nothing is left: no profile, and no transaction ever. */
export async function deleteErased({ client, schema }: PostgresTarget, clientIds: readonly string[]): Promise<void> {
  await client.query(
    `DELETE FROM ${schema}.clients WHERE client_id = ANY($1) AND version = 0 AND profile_source IS NULL`,
    [clientIds],
  )
}

const change = (name: string, type: Column<never>['type']): Column<HistoryRow> => ({
  name,
  type,
  of: (row) => row.change[name as keyof HistoryRow['change']],
})

const historyColumns: readonly Column<HistoryRow>[] = [
  change('client_id', 'text'),
  change('version', 'bigint'),
  { name: 'changed_at', type: 'time', of: (row) => row.changedMs },
  change('before', 'text'),
  change('after', 'text'),
  change('score_before', 'int'),
  change('score_after', 'int'),
  change('cause', 'text'),
  change('transaction_ids', 'texts'),
  change('model_id', 'text'),
  change('model_version', 'text'),
  change('as_of', 'day'),
]

/** Adds changes of segment that are not there yet. */
export async function insertHistory({ client, schema }: PostgresTarget, rows: readonly HistoryRow[]): Promise<void> {
  await client.query({
    name: `history of ${schema}`,
    text: insertText(`${schema}.client_segment_history`, historyColumns, 'DO NOTHING'),
    values: historyColumns.map((column) => arrayOf(column, rows)),
  })
}
