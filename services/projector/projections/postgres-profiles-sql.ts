import type { ClientProfileChanged, ClientStateChanged } from '#schemas/events.ts'
import type { HistoryRow, PostgresTarget, ProfileRow } from './postgres-profiles.ts'
import { type Field, type FieldType, rowArray, typeOid } from './postgres-rows.ts'

/** INSERT … SELECT FROM unnest(rows), planned once per connection. */
async function insert<Row>(
  { client, schema }: PostgresTarget,
  type: string,
  fields: readonly Field<Row>[],
  rows: readonly Row[],
  table: string,
  onConflict: string,
): Promise<void> {
  const names = fields.map(({ name }) => name).join(', ')
  await client.query({
    name: `${type} of ${schema}`,
    text: `INSERT INTO ${schema}.${table} AS t (${names}) SELECT u.* FROM unnest($1::projector.${type}[]) AS u
           ON CONFLICT ${onConflict}`,
    values: [rowArray(await typeOid(client, type), fields, rows)],
  })
}

function overwrite<Row>(fields: readonly Field<Row>[]): string {
  const names = fields.map(({ name }) => name).filter((name) => name !== 'client_id')
  return `(client_id) DO UPDATE SET (${names.join(', ')}) = (${names.map((name) => `excluded.${name}`).join(', ')})`
}

const state = (name: keyof ClientStateChanged, type: FieldType): Field<ClientStateChanged> => ({
  name,
  type,
  of: (row) => row[name],
})

const stateColumns: readonly Field<ClientStateChanged>[] = [
  state('client_id', 'text'),
  state('first_purchase_at', 'timestamptz'),
  state('last_purchase_at', 'timestamptz'),
  state('first_purchase_day', 'date'),
  state('last_purchase_day', 'date'),
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
  state('as_of', 'date'),
  state('version', 'bigint'),
]

/** Inserts or replaces current rows, unless a newer version is there. One row per client, in key order. */
export async function upsertStates(target: PostgresTarget, rows: readonly ClientStateChanged[]): Promise<void> {
  const guard = `${overwrite(stateColumns)} WHERE t.version < excluded.version`
  await insert(target, 'state_row', stateColumns, rows, 'clients', guard)
}

const profile = (
  name: string,
  type: FieldType,
  field: keyof ClientProfileChanged = name as keyof ClientProfileChanged,
): Field<ProfileRow> => ({ name, type, of: (row) => row.profile?.[field] ?? null })

const profileColumns: readonly Field<ProfileRow>[] = [
  { name: 'client_id', type: 'text', of: (row) => row.clientId },
  profile('name', 'text'),
  profile('email', 'text'),
  profile('phone', 'text'),
  profile('gender', 'text'),
  profile('birth_date', 'date'),
  profile('registered_at', 'timestamptz'),
  profile('city', 'text'),
  profile('communication_preferences', 'jsonb'),
  profile('opening_bonus_minor', 'bigint'),
  profile('opening_bonus_at', 'timestamptz'),
  profile('profile_source', 'text', 'source'),
  profile('attributes', 'jsonb'),
  { name: 'profile_offset', type: 'bigint', of: (row) => row.offset },
]

/** Inserts or replaces profiles, unless one from a later record is there; a tombstone empties them. */
export async function upsertProfiles(target: PostgresTarget, rows: readonly ProfileRow[]): Promise<void> {
  const guard = `${overwrite(profileColumns)} WHERE t.profile_offset < excluded.profile_offset`
  await insert(target, 'profile_row', profileColumns, rows, 'clients', guard)
}

/** Removes clients of whom nothing is left: no profile, and no transaction ever. */
export async function deleteErased({ client, schema }: PostgresTarget, clientIds: readonly string[]): Promise<void> {
  await client.query(
    `DELETE FROM ${schema}.clients WHERE client_id = ANY($1) AND version = 0 AND profile_source IS NULL`,
    [clientIds],
  )
}

const change = (name: string, type: FieldType): Field<HistoryRow> => ({
  name,
  type,
  of: (row) => row.change[name as keyof HistoryRow['change']],
})

const historyColumns: readonly Field<HistoryRow>[] = [
  change('client_id', 'text'),
  change('version', 'bigint'),
  { name: 'changed_at', type: 'timestamptz', of: (row) => row.changedMs },
  change('before', 'text'),
  change('after', 'text'),
  change('score_before', 'int'),
  change('score_after', 'int'),
  change('cause', 'text'),
  change('transaction_ids', 'texts'),
  change('model_id', 'text'),
  change('model_version', 'text'),
  change('as_of', 'date'),
]

/** Adds changes of segment that are not there yet. */
export async function insertHistory(target: PostgresTarget, rows: readonly HistoryRow[]): Promise<void> {
  await insert(target, 'history_row', historyColumns, rows, 'client_segment_history', 'DO NOTHING')
}
