import type { ClickHouseClient } from '@clickhouse/client'
import { LoyaltyError } from '#streams/core/error.ts'
import { command, select } from './projections/clickhouse-target.ts'

/** Suffix of the tables that a rebuild fills. */
export const nextSuffix = '__next'

interface TableRow {
  readonly database: string
  readonly name: string
  readonly engine: string
  readonly uuid: string
  readonly create_table_query: string
  readonly as_select: string
}

/** The tables of a set as they are, views last. Errors: `clickhouse_table_missing`. */
export async function describeTables(client: ClickHouseClient, names: readonly string[]): Promise<TableRow[]> {
  const rows = await select<TableRow>(client, {
    sql: `SELECT database, name, engine, toString(uuid) AS uuid, create_table_query, as_select FROM system.tables
          WHERE database = currentDatabase() AND name IN {names:Array(String)}`,
    params: { names },
  })
  const missing = names.filter((name) => !rows.some((row) => row.name === name))
  if (missing.length > 0)
    throw new LoyaltyError('clickhouse_table_missing', `ClickHouse has no table ${missing.join(', ')}; run migrate`)
  return rows.sort((a, b) => Number(isView(a)) - Number(isView(b)))
}

export function isView(table: { readonly engine: string }): boolean {
  return table.engine === 'MaterializedView'
}

/** True where any of the tables has a row. */
export async function holdRows(client: ClickHouseClient, names: readonly string[]): Promise<boolean> {
  const [found] = await select<{ tables: number }>(client, {
    sql: `SELECT toUInt32(count()) AS tables FROM system.tables
          WHERE database = currentDatabase() AND name IN {names:Array(String)} AND total_rows > 0`,
    params: { names },
  })
  return (found?.tables ?? 0) > 0
}

/** Copies of the tables, empty, with views of their own between them. The definitions are those of the live tables. */
export async function createNextTables(client: ClickHouseClient, names: readonly string[]): Promise<void> {
  for (const table of await describeTables(client, names))
    if (isView(table)) await command(client, renamed(table.create_table_query, names))
    else await command(client, `CREATE TABLE ${table.name}${nextSuffix} AS ${table.name}`)
}

/** Every `database.name` of the set gets the suffix; ClickHouse prints definitions with full names. */
function renamed(definition: string, names: readonly string[]): string {
  return names.reduce(
    (text, name) => text.replace(new RegExp(`(?<=\\.\`?)${name}\\b`, 'g'), `${name}${nextSuffix}`),
    definition,
  )
}

/** Views first, so that none outlives its tables. */
export async function dropNextTables(client: ClickHouseClient, names: readonly string[]): Promise<void> {
  for (const name of [...names].sort((a, b) => Number(b.endsWith('_mv')) - Number(a.endsWith('_mv'))))
    await command(client, `DROP TABLE IF EXISTS ${name}${nextSuffix} SYNC`)
}

/** Identity of each rebuilt table, by the name it shall have. Views stay: they are bound to names. */
export async function uuidsOf(client: ClickHouseClient, names: readonly string[]): Promise<Record<string, string>> {
  const tables = (await describeTables(client, names)).filter((table) => !isView(table)).map(({ name }) => name)
  const next = await describeTables(
    client,
    tables.map((name) => name + nextSuffix),
  )
  return Object.fromEntries(next.map(({ name, uuid }) => [name.slice(0, -nextSuffix.length), uuid]))
}

/**
 * Exchanges each table with its rebuilt one, unless that has been done: `swap` says which table each name shall have.
 * Every exchange is atomic; readers of several tables may see old and new for a few milliseconds.
 */
export async function exchangeTables(
  client: ClickHouseClient,
  swap: Readonly<Record<string, string>>,
  afterEach: () => void,
): Promise<void> {
  for (const [name, uuid] of Object.entries(swap)) {
    const [table] = await describeTables(client, [name])
    if (table!.uuid !== uuid) await command(client, `EXCHANGE TABLES ${name} AND ${name}${nextSuffix}`)
    afterEach()
  }
}
