import assert from 'node:assert/strict'
import type { ClickHouseClient } from '@clickhouse/client'
import type { Pool } from 'pg'
import type { ClientStateChanged } from '#schemas/events.ts'
import { readBlocks, sumKey } from './blocks.ts'
import { type Change, readChanges, readRows, valuesOf } from './rows.ts'
import { add, type Sums, settled, total } from './tally.ts'
import type { World } from './world.ts'

type Row = Readonly<Record<string, unknown>>

/**
 * What the two stores hold, for comparing runs: without what only says when a row was written (runtime.md §1), without
 * history and without the segment before, which depend on how the transactions fell into steps.
 */
export interface Projected {
  /** Postgres: profiles of clients. */
  readonly profiles: readonly Row[]
  /** Postgres: rows of clients, with times and days as numbers. */
  readonly clients: readonly Row[]
  /** ClickHouse, likewise. */
  readonly states: readonly Row[]
  readonly transactions: readonly Row[]
  readonly effects: readonly Row[]
  readonly dailySales: readonly Row[]
  /** Clients by segment, as sums of what the view holds. */
  readonly population: readonly Row[]
  /** Rows that are there before copies are merged away. */
  readonly stored: readonly Row[]
}

/** Changes of segment in both stores. */
export interface ProjectedHistory {
  readonly postgres: readonly Row[]
  readonly clickhouse: readonly Row[]
}

const timing = ['version', 'as_of', 'model_id', 'model_version']
const profileColumns = [
  ...['client_id', 'name', 'email', 'phone', 'gender', 'birth_date', 'registered_at', 'city'],
  ...['communication_preferences', 'opening_bonus_minor', 'opening_bonus_at', 'profile_source', 'attributes'],
]

export async function readProjected(pool: Pool, clickhouse: ClickHouseClient): Promise<Projected> {
  const ask = asking(clickhouse)
  const clients = await pool.query<{ client: Row }>(
    'SELECT to_jsonb(c) - $1::text[] AS client FROM projector.clients AS c WHERE version > 0 ORDER BY client_id',
    [[...timing, 'profile_offset', ...profileColumns.slice(1)]],
  )
  const profiles = await pool.query<Row>(`SELECT ${profileColumns} FROM projector.clients ORDER BY client_id`)
  return {
    profiles: profiles.rows,
    clients: clients.rows.map(({ client }) => plain(client)),
    states: (await ask(`SELECT * EXCEPT (${timing}) FROM client_state FINAL ORDER BY client_id`)).map(plain),
    transactions: await ask(`SELECT * EXCEPT (segment_before) REPLACE (toString(transaction_key) AS transaction_key)
      FROM transactions FINAL ORDER BY partition, log_offset`),
    effects: await ask(`SELECT * REPLACE (toString(transaction_key) AS transaction_key)
      FROM transaction_effects FINAL ORDER BY client_id, log_offset, transaction_key`),
    dailySales: await ask(`SELECT day, store_id, sum(sales) AS sales, sum(gross_minor) AS gross, sum(net_minor) AS net,
      uniqIfMerge(clients) AS clients FROM daily_sales GROUP BY day, store_id ORDER BY day, store_id`),
    population: await ask(`SELECT segment, toInt32(sum(delta)) AS clients FROM segment_population
      GROUP BY segment HAVING clients != 0 ORDER BY segment`),
    stored: await ask(`SELECT (SELECT count() FROM transactions) AS transactions,
      (SELECT count() FROM transaction_effects) AS effects`),
  }
}

export async function readHistory(pool: Pool, clickhouse: ClickHouseClient): Promise<ProjectedHistory> {
  const postgres = await pool.query<Row>(
    `SELECT client_id, version::int, (extract(epoch FROM changed_at) * 1000)::float8 AS changed_ms, before, after,
       score_before, score_after, cause, transaction_ids, model_id, model_version
     FROM projector.client_segment_history ORDER BY client_id, version`,
  )
  const rows = await asking(clickhouse)(
    `SELECT client_id, toInt32(version) AS version, toFloat64(toUnixTimestamp64Milli(changed_at)) AS changed_ms,
       nullIf(before, '') AS before, nullIf(after, '') AS after, score_before, score_after, toString(cause) AS cause,
       transaction_ids, nullIf(model_id, '') AS model_id, nullIf(model_version, '') AS model_version
     FROM segment_changes ORDER BY client_id, version`,
  )
  return { postgres: postgres.rows, clickhouse: rows }
}

/** What is in both stores is what the log says, history included. Errors: those of `assert`. */
export async function checkProjected(world: World, projected: Projected, history: ProjectedHistory): Promise<void> {
  const rows: ClientStateChanged[] = []
  const changes: Change[] = []
  const effects: Sums = new Map()
  const facts: { partition: number; log_offset: number }[] = []
  const partitions = (await world.log.admin.partitions(world.topics.clientState))!
  for (let partition = 0; partition < partitions; partition++) {
    const last = await readRows(world, partition)
    rows.push(...last.values())
    changes.push(...(await readChanges(world, partition, last)))
    const blocks = await readBlocks(world, partition)
    facts.push(...blocks.factOffsets.map((log_offset) => ({ partition, log_offset })))
    for (const [key, sum] of blocks.effects) add(effects, key, sum)
  }
  const expected = rows.map(valuesOf).sort(byClient)
  assert.deepEqual(projected.clients, expected, 'clients in Postgres are the last rows of the log')
  assert.deepEqual(projected.states, expected, 'client_state in ClickHouse is the last rows of the log')
  assert.deepEqual(
    projected.transactions.map(({ partition, log_offset }) => ({ partition, log_offset })),
    facts,
    'transactions in ClickHouse are the facts of the log',
  )
  assert.deepEqual(effectsOf(projected), settled(effects), 'effects in ClickHouse are those of the log')
  const all = total(effects)
  assert.equal(sum(projected.dailySales, 'sales'), all.count, 'sales by day')
  assert.equal(sum(projected.dailySales, 'gross'), all.gross, 'gross by day')
  assert.equal(sum(projected.dailySales, 'net'), all.net, 'net by day')
  assert.deepEqual(projected.population, populationOf(rows), 'clients by segment')
  assert.deepEqual(
    projected.stored,
    [{ transactions: projected.transactions.length, effects: projected.effects.length }],
    'nothing is stored twice',
  )
  const expectedHistory = changes.map(historyOf).sort((a, b) => byClient(a, b) || a.version - b.version)
  assert.deepEqual(history.postgres, expectedHistory, 'history in Postgres')
  assert.deepEqual(history.clickhouse, expectedHistory, 'history in ClickHouse')
}

function effectsOf({ effects }: Projected): Sums {
  const sums: Sums = new Map()
  for (const row of effects) {
    const key = Buffer.alloc(8)
    key.writeBigUInt64BE(BigInt(String(row.transaction_key)))
    const count = Number(row.sales_change)
    const [gross, net] = [Number(row.gross_change_minor), Number(row.net_change_minor)]
    add(sums, sumKey(String(row.client_id), key), { count, gross, net })
  }
  return settled(sums)
}

function historyOf({ event, arrivedMs }: Change) {
  const { as_of: _, ...rest } = event
  return { ...rest, changed_ms: arrivedMs }
}

function populationOf(rows: readonly ClientStateChanged[]): Row[] {
  const counts = new Map<string, number>()
  for (const { segment } of rows) if (segment !== null) counts.set(segment, (counts.get(segment) ?? 0) + 1)
  return [...counts]
    .map(([segment, clients]) => ({ segment, clients }))
    .sort((a, b) => (a.segment < b.segment ? -1 : 1))
}

/** A row as events have it: times in milliseconds, days as numbers, no text as null. */
function plain(row: Row): Row {
  const fields = Object.entries(row).map(([name, value]): [string, unknown] => {
    if (value === null || value === '') return [name, null]
    if (name.endsWith('_at')) return [name, Date.parse(String(value).replace(/^(\S+) (\S+)$/, '$1T$2Z'))]
    if (name.endsWith('_day')) return [name, Date.parse(String(value)) / 86_400_000]
    return [name, value]
  })
  return Object.fromEntries(fields)
}

function asking(clickhouse: ClickHouseClient): (query: string) => Promise<Row[]> {
  return async (query) => {
    const clickhouse_settings = { output_format_json_quote_64bit_integers: 0 } as const
    const answer = await clickhouse.query({ query, format: 'JSONEachRow', clickhouse_settings })
    return answer.json<Row>()
  }
}

function sum(rows: readonly Row[], column: string): number {
  return rows.reduce((sum, row) => sum + Number(row[column]), 0)
}

function byClient(a: Row, b: Row): number {
  return a.client_id === b.client_id ? 0 : String(a.client_id) < String(b.client_id) ? -1 : 1
}
