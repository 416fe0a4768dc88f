import type { Pool, PoolClient } from 'pg'
import { appliedOf, readMigrations, stepsBack } from './migrate.ts'

export interface Way {
  readonly schema: string
  readonly directory: string
  readonly target: number
}

/** The migrations of a Postgres schema that would be taken back, by name and in order. */
export interface StepsBack {
  readonly schema: string
  readonly steps: readonly string[]
}

/** What going back would do to a Postgres schema, and what would be lost by it. */
export interface WayBack extends StepsBack {
  readonly tables: readonly { readonly table: string; readonly rows: number }[]
  /** Columns of tables that stay. */
  readonly columns: readonly { readonly table: string; readonly column: string }[]
}

/** Finds out by reading, in nobody's way. Errors: those of `readMigrations`, of the driver. */
export async function readStepsBack(pool: Pool, { schema, directory, target }: Way): Promise<StepsBack> {
  const migrations = await readMigrations(directory)
  const client = await pool.connect()
  try {
    const applied = await appliedOf(client, schema)
    return { schema, steps: stepsBack(migrations, applied.at(-1)?.number ?? 0, target).map(({ name }) => name) }
  } finally {
    client.release()
  }
}

/**
 * Finds out by going back in a transaction that is rolled back: tables are locked meanwhile, nothing changes. Errors: those
 * of `readMigrations`, of the driver.
 */
export async function lookBack(pool: Pool, { schema, directory, target }: Way): Promise<WayBack> {
  const migrations = await readMigrations(directory)
  const client = await pool.connect()
  try {
    const applied = await appliedOf(client, schema)
    const back = stepsBack(migrations, applied.at(-1)?.number ?? 0, target)
    const steps = back.map(({ name }) => name)
    if (steps.length === 0) return { schema, steps, tables: [], columns: [] }
    await client.query('BEGIN')
    await client.query("SET LOCAL lock_timeout = '5s'")
    await client.query(`SET LOCAL search_path TO ${client.escapeIdentifier(schema)}, public`)
    const before = await columnsOf(client, schema)
    for (const { down } of back) await client.query(down ?? '')
    const after = await columnsOf(client, schema)
    await client.query('ROLLBACK')
    const lost = [...before.keys()].filter((table) => !after.has(table))
    const tables = []
    for (const table of lost) tables.push({ table, rows: await rowsOf(client, schema, table) })
    const columns = [...after].flatMap(([table, left]) =>
      [...(before.get(table) ?? [])].filter((column) => !left.has(column)).map((column) => ({ table, column })),
    )
    return { schema, steps, tables, columns }
  } finally {
    await client.query('ROLLBACK').catch(() => {})
    client.release()
  }
}

async function columnsOf(client: PoolClient, schema: string): Promise<Map<string, Set<string>>> {
  const found = await client.query<{ table: string; columns: string[] }>(
    `SELECT c.relname AS table, array_agg(a.attname::text) AS columns
     FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
     WHERE c.relkind = 'r' AND c.relnamespace = to_regnamespace($1) GROUP BY 1 ORDER BY 1`,
    [client.escapeIdentifier(schema)],
  )
  return new Map(found.rows.map(({ table, columns }) => [table, new Set(columns)]))
}

async function rowsOf(client: PoolClient, schema: string, table: string): Promise<number> {
  const name = `${client.escapeIdentifier(schema)}.${client.escapeIdentifier(table)}`
  const counted = await client.query<{ rows: number }>(`SELECT count(*)::float8 AS rows FROM ${name}`)
  return counted.rows[0]!.rows
}

/** Connections that programs of this product have to the database besides that of the caller. Errors: those of the driver. */
export async function otherConnections(pool: Pool): Promise<number> {
  const counted = await pool.query<{ connections: number }>(
    `SELECT count(*)::int AS connections FROM pg_stat_activity
     WHERE datname = current_database() AND application_name = current_setting('application_name')
       AND pid <> pg_backend_pid()`,
  )
  return counted.rows[0]!.connections
}
