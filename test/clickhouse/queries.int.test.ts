import { createReadStream } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { type Calibration, calibration } from '#clickhouse/queries/calibration.ts'
import { clientExport, type ExportedClient } from '#clickhouse/queries/client-export.ts'
import { clientHistory } from '#clickhouse/queries/client-history.ts'
import { dailySalesDifferences, populationDifferences } from '#clickhouse/queries/reconcile.ts'
import { factTotals, salesReport } from '#clickhouse/queries/sales-report.ts'
import { segmentPopulations } from '#clickhouse/queries/segment-populations.ts'
import { segmentStats } from '#clickhouse/queries/segment-stats.ts'
import { migrateClickHouse, statementsOf } from '#services/platform/migrate.ts'
import { clickHouseFigures } from '#services/wiring/ingest.ts'
import { startClickHouse, type TestClickHouse } from '../support/clickhouse.ts'

let clickhouse: TestClickHouse

const run = (query: string) => clickhouse.client.command({ query })
async function ask<Row>({ sql, params }: { sql: string; params: object }): Promise<Row[]> {
  const result = await clickhouse.client.query({ query: sql, query_params: { ...params }, format: 'JSONEachRow' })
  return result.json<Row>()
}
const day = (iso: string) => Date.parse(iso) / 86_400_000

beforeAll(async () => {
  clickhouse = await startClickHouse()
  await migrateClickHouse({ url: clickhouse.url, database: 'loyalty' }, 'clickhouse/migrations')
})
afterAll(() => clickhouse.stop())
beforeEach(async () => {
  for (const table of [
    'transactions',
    'transaction_effects',
    'daily_sales',
    'client_state',
    'segment_changes',
    'segment_population',
  ])
    await run(`TRUNCATE TABLE ${table}`)
})

const states = (rows: string) =>
  run(
    `INSERT INTO client_state (client_id, frequency, last_purchase_day, monetary_net_minor, segment, version) VALUES ${rows}`,
  )

describe('segments', () => {
  it('are counted by the newest row of every client', async () => {
    await states("('a', 1, '2011-01-01', 1, 'new', 1), ('b', 0, NULL, 0, '', 1)")
    await states("('a', 2, '2011-01-01', 1, 'loyal', 2), ('c', 2, '2011-01-01', 1, 'loyal', 2)")
    expect(await ask(segmentStats())).toEqual([
      { segment: '', clients: 1, buyers: 0 },
      { segment: 'loyal', clients: 2, buyers: 2 },
    ])
  })

  it('have a population on every day of a range, changes before it included', async () => {
    await run(`INSERT INTO segment_changes (client_id, version, day, before, after, cause) VALUES
      ('a', 1, '2011-01-01', '', 'new', 'purchase'), ('b', 1, '2011-01-01', '', 'new', 'purchase'),
      ('a', 2, '2011-01-04', 'new', 'loyal', 'time'), ('b', 2, '2011-01-03', 'new', '', 'refund')`)
    expect(await ask(segmentPopulations({ fromDay: day('2011-01-02'), toDay: day('2011-01-04') }))).toEqual([
      { day: '2011-01-02', segment: 'new', clients: 2 },
      { day: '2011-01-03', segment: 'new', clients: 1 },
      { day: '2011-01-04', segment: 'loyal', clients: 1 },
      { day: '2011-01-04', segment: 'new', clients: 0 },
    ])
    expect(await ask(populationDifferences())).toEqual([])
  })
})

it('knows a transaction only of the client that has it, however many are asked about', async () => {
  await run(`INSERT INTO transactions (client_id, transaction_key, transaction_id, kind, occurred_at, day, amount_minor) VALUES
    ('a', 1, 'till:r=1', 'sale', '2011-01-01 10:00:00', '2011-01-01', 100),
    ('b''', 2, 'till:r=2', 'sale', '2011-01-02 10:00:00', '2011-01-02', 50)`)
  const asked = [
    { clientId: 'a', transactionId: 'till:r=1' },
    { clientId: "b'", transactionId: 'till:r=1' },
    { clientId: "b'", transactionId: 'till:r=2' },
    { clientId: 'c', transactionId: 'till:r=3' },
  ]
  const many = Array.from({ length: 3_000 }, (_, i) => ({
    clientId: `client-${i}`,
    transactionId: `till:r=${1_000 + i}`,
  }))
  const unknown = await clickHouseFigures(clickhouse.client).unknown([...asked, ...many, asked[0]!])
  expect(unknown.slice(0, 4)).toEqual([false, true, false, true])
  expect(unknown).toHaveLength(3_005)
  expect(unknown.slice(4)).toEqual([...many.map(() => true), false])
})

describe('a history', () => {
  it('comes in pages, newest first, with what each transaction counts for now', async () => {
    await run(`INSERT INTO transactions (client_id, transaction_key, transaction_id, kind, occurred_at, day, amount_minor) VALUES
      ('a', 1, 't1', 'sale', '2011-01-01 10:00:00', '2011-01-01', 100),
      ('a', 2, 't2', 'sale', '2011-01-02 10:00:00', '2011-01-02', 50),
      ('a', 3, 't3', 'void', '2011-01-03 10:00:00', '2011-01-03', 0),
      ('b', 4, 't4', 'sale', '2011-01-04 10:00:00', '2011-01-04', 1)`)
    await run(`INSERT INTO transaction_effects VALUES ('a', 1, 1, '2011-01-01', '', 1, 100, 100),
      ('a', 2, 2, '2011-01-02', '', 1, 50, 50), ('a', 2, 3, '2011-01-02', '', -1, -50, -50)`)
    const read = async (limit: number, skip: number) => ask<Record<string, unknown>>(clientHistory('a', limit, skip))
    expect(await read(2, 0)).toMatchObject([
      { transaction_id: 't3', kind: 'void', sales: 0, net_minor: 0 },
      { transaction_id: 't2', sales: 0, gross_minor: 0, net_minor: 0, occurred_at_ms: Date.UTC(2011, 0, 2, 10) },
    ])
    expect(await read(2, 2)).toMatchObject([{ transaction_id: 't1', sales: 1, gross_minor: 100, day: '2011-01-01' }])
  })
})

describe('the sales report', () => {
  it('sums by day and store; a later refund counts on its own day, a void takes the sale back on the sale’s', async () => {
    await run(`INSERT INTO transaction_effects VALUES
      ('a', 1, 1, '2011-01-01', 's1', 1, 100, 100), ('b', 2, 2, '2011-01-01', 's2', 1, 70, 70),
      ('a', 3, 3, '2011-01-02', 's1', 0, 0, -30), ('b', 2, 4, '2011-01-01', 's2', -1, -70, -70)`)
    const range = { fromDay: day('2011-01-01'), toDay: day('2011-01-02') }
    expect(await ask(salesReport({ ...range, byDay: true }))).toEqual([
      { day: '2011-01-01', store: null, sales: 1, gross_minor: 100, net_minor: 100, clients: 2 },
      { day: '2011-01-02', store: null, sales: 0, gross_minor: 0, net_minor: -30, clients: 0 },
    ])
    expect(await ask(salesReport(range))).toMatchObject([{ sales: 1, gross_minor: 100, net_minor: 70, clients: 2 }])
    expect(await ask(dailySalesDifferences())).toEqual([])
  })
})

describe('the export', () => {
  it('goes page by page over every client, with recency to the date of the programme', async () => {
    await states("('b', 2, '2011-01-01', 5, 'new', 1), ('a', 1, '2011-01-03', 7, 'loyal', 1), ('c', 0, NULL, 0, '', 1)")
    const page = (afterClientId: string, asOfDay: number | null) =>
      ask<ExportedClient>(clientExport({ afterClientId, limit: 2, asOfDay, model: 'm/1' }))
    const first = await page('', day('2011-01-04'))
    expect(first).toMatchObject([
      { client_id: 'a', recency_days: 1, last_purchase: '2011-01-03', model: 'm/1', as_of: '2011-01-04' },
      { client_id: 'b', recency_days: 3, rfm_score: null },
    ])
    expect(await page('b', null)).toMatchObject([
      { client_id: 'c', recency_days: null, last_purchase: null, segment: null, model: null, as_of: null },
    ])
    expect(await page('c', null)).toEqual([])
  })
})

describe('the calibration', () => {
  it('cuts at the element at index floor(l·n) of the sorted values, over buyers alone', async () => {
    const rows = Array.from(
      { length: 11 },
      (_, n) => `('c${n}', ${n + 1}, '2011-01-${String(n + 1).padStart(2, '0')}', ${n * 10}, '', 1)`,
    )
    await states([...rows, "('none', 0, NULL, 999, '', 1)"].join(', '))
    const [cuts] = await ask<Calibration>(calibration({ asOfDay: day('2011-01-11') }))
    expect(cuts).toEqual({
      buyers: 11,
      recency_days: [2, 4, 6, 8],
      frequency: [3, 5, 7, 9],
      net_minor: [20, 40, 60, 80],
      gross_minor: [0, 0, 0, 0],
    })
  })

  it('gives the cut-points that were computed independently from Online Retail', async () => {
    await run(`CREATE OR REPLACE TABLE lines (InvoiceNo String, StockCode String, Description String, Quantity Int64,
      InvoiceDate DateTime, UnitPrice Decimal64(4), CustomerID String, Country String) ENGINE = MergeTree ORDER BY InvoiceNo`)
    await fetch(
      `${clickhouse.url}/?database=loyalty&query=${encodeURIComponent('INSERT INTO lines FORMAT CSVWithNames')}`,
      {
        method: 'POST',
        headers: { 'content-encoding': 'gzip' },
        body: createReadStream('samples/online_retail.csv.gz') as unknown as ReadableStream,
        duplex: 'half',
      } as RequestInit,
    )
    await run(`INSERT INTO client_state
      (client_id, frequency, monetary_gross_minor, monetary_net_minor, first_purchase_day, last_purchase_day, version)
      SELECT client, countIf(minor > 0), sumIf(minor, minor > 0), sum(minor),
        minIfOrNull(day, minor > 0), maxIfOrNull(day, minor > 0), 1
      FROM (
        SELECT replaceOne(CustomerID, '.0', '') AS client, toDate32(min(InvoiceDate)) AS day,
          toInt64(roundBankers(sum(Quantity * UnitPrice), 2) * 100) AS minor
        FROM lines WHERE CustomerID != '' GROUP BY InvoiceNo, client
      ) WHERE minor != 0 GROUP BY client`)
    const [cuts] = await ask<Calibration>(calibration({ asOfDay: day('2011-12-09') }))
    expect(cuts).toEqual({
      buyers: 4338,
      recency_days: [12, 32, 71, 179],
      frequency: [1, 2, 3, 6],
      net_minor: [24322, 47528, 91493, 201891],
      gross_minor: [25015, 49022, 94226, 205945],
    })
    expect(
      await ask({ sql: 'SELECT count() AS n, sum(monetary_gross_minor) AS gross FROM client_state FINAL', params: {} }),
    ).toEqual([{ n: 4371, gross: 891140790 }])
  })
})

describe('the totals of facts', () => {
  it('count by kind, of one upload batch or of all', async () => {
    await run(`INSERT INTO transactions (client_id, transaction_key, kind, amount_minor, batch_id) VALUES
      ('a', 1, 'sale', 100, 'x'), ('a', 2, 'refund', 30, 'x'), ('b', 3, 'sale', 5, ''), ('b', 4, 'void', 0, '')`)
    await run(
      "INSERT INTO transactions (client_id, transaction_key, kind, amount_minor, batch_id) VALUES ('a', 1, 'sale', 100, 'x')",
    )
    expect(await ask(factTotals({ batchId: 'x' }))).toEqual([
      { transactions: 2, sales: 1, refunds: 1, voids: 0, sales_minor: 100, refunds_minor: 30, clients: 1 },
    ])
    expect(await ask(factTotals())).toMatchObject([{ transactions: 4, sales: 2, voids: 1, clients: 2 }])
  })
})

describe('the pages for BI tools', () => {
  it.each(['docs/bi.md', 'docs/data-quality.md'])('%s has examples that run', async (path) => {
    const page = await readFile(path, 'utf8')
    const examples = statementsOf([...page.matchAll(/```sql\n([\s\S]*?)```/g)].map((match) => match[1]).join(';\n'))
    expect(examples.length).toBeGreaterThanOrEqual(3)
    for (const sql of examples) await ask({ sql, params: {} })
  })

  it('name every view with its grain', async () => {
    const page = await readFile('docs/bi.md', 'utf8')
    const views = await ask<{ name: string; comment: string; query: string }>({
      sql: "SELECT name, comment, create_table_query AS query FROM system.tables WHERE database = 'loyalty' AND name LIKE 'bi_%'",
      params: {},
    })
    expect(views.length).toBe(7)
    for (const { name, comment, query } of views) {
      expect(page).toContain(`| \`${name}\` |`)
      expect(comment + query).toContain('Grain:')
      await ask({ sql: `SELECT * FROM ${name} LIMIT 1`, params: {} })
    }
  })
})
