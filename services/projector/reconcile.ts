import type { ClickHouseClient } from '@clickhouse/client'
import {
  type Difference,
  type DuplicateRows,
  dailySalesDifferences,
  duplicateRows,
  populationDifferences,
} from '#clickhouse/queries/reconcile.ts'
import { describeTables, isView } from './clickhouse-rebuild.ts'
import type { Reconciliation } from './engine.ts'
import { command, select } from './projections/clickhouse-target.ts'

const checks = {
  'clickhouse-facts': {
    tables: ['transactions', 'transaction_effects'],
    differences: dailySalesDifferences,
  },
  'clickhouse-segments': {
    tables: ['segment_changes'],
    differences: populationDifferences,
  },
} as const satisfies Record<
  string,
  {
    tables: readonly DuplicateRows['table'][]
    differences: () => { sql: string; params: Record<string, unknown> }
  }
>

/** Compares the views of a projection with its facts; null where it has none. */
export async function reconcileViews(client: ClickHouseClient, projection: string): Promise<Reconciliation | null> {
  if (!Object.hasOwn(checks, projection)) return null
  const { tables, differences } = checks[projection as keyof typeof checks]
  const counts: DuplicateRows[] = []
  for (const table of tables) counts.push(...(await select<DuplicateRows>(client, duplicateRows(table))))
  return {
    projection,
    duplicateRows: counts.filter(({ rows, identities }) => rows !== identities),
    differences: await select<Difference>(client, differences()),
  }
}

const repairSuffix = '__repair'

/**
 * Fills the table behind each view anew from the facts, read with FINAL, and exchanges it. The repeated rows themselves
 * are merged away by the facts' own engine.
 */
export async function repairViews(client: ClickHouseClient, names: readonly string[]): Promise<void> {
  for (const view of (await describeTables(client, names)).filter(isView)) {
    const behind = / TO (?:`?\w+`?\.)?`?(\w+)`?/.exec(view.create_table_query)?.[1]
    const facts = / FROM ((?:`?\w+`?\.)?`?\w+`?)/.exec(view.as_select)?.[1]
    if (behind === undefined || facts === undefined) continue
    const repaired = `${behind}${repairSuffix}`
    await command(client, `DROP TABLE IF EXISTS ${repaired} SYNC`)
    await command(client, `CREATE TABLE ${repaired} AS ${behind}`)
    await command(client, `INSERT INTO ${repaired} ${view.as_select.replace(facts, `${facts} FINAL`)}`)
    await command(client, `EXCHANGE TABLES ${behind} AND ${repaired}`)
    await command(client, `DROP TABLE ${repaired} SYNC`)
  }
}
