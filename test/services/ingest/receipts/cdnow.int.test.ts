import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { loadProfile } from '#services/ingest/profile.ts'
import { startClickHouse, type TestClickHouse } from '../../../support/clickhouse.ts'
import { fromSharedData } from '../../../support/shared-data.ts'
import { prepareFile } from '../support/prepare.ts'

const cdnow = fromSharedData('cdnow')

interface Totals {
  readonly rows: number
  readonly equal: number
  readonly zero: number
  readonly cents: number
}

/** By another route than ours: the words of each line, in SQL over the raw file; money as an exact decimal. */
const words = (path: string) => `
  SELECT
    splitByWhitespace(line) AS words, words[1] AS client, toDecimal64(words[4], 2) * 100 AS amount
  FROM file('${path}', LineAsString, 'line String') WHERE NOT match(line, '[A-Za-z]')`

describe.skipIf(cdnow === null)('the CDNOW file, columns at fixed places', () => {
  let clickhouse: TestClickHouse
  beforeAll(async () => {
    clickhouse = await startClickHouse()
  })
  afterAll(() => clickhouse?.stop())

  async function select<Row>(query: string): Promise<Row[]> {
    const answer = await clickhouse.client.query({ query, format: 'JSONEachRow' })
    return answer.json<Row>()
  }

  test('every row is read: equal ones are purchases of their own, those of nothing are rejected', async () => {
    const path = cdnow!.path('CDNOW_master.txt')
    const [totals] = await select<Totals>(
      `SELECT toInt32(count()) AS rows, toInt32(count() - uniqExact(words)) AS equal,
         toInt32(countIf(amount = 0)) AS zero, toFloat64(sum(amount)) AS cents
       FROM (${words(path)})`,
    )
    const { rows, equal, zero, cents } = totals!
    expect([rows, equal, zero]).toEqual([69_659, 255, 80])
    const { events, published } = await prepareFile(path, loadProfile('cdnow'))
    expect(events.rows).toBe(rows)
    expect(events.tally).toEqual({ acceptedRows: rows - zero, rejectedRows: zero, rejected: { zero_amount: zero } })
    expect(events.receipts).toMatchObject({ sales: rows - zero, refunds: 0, grossMinor: cents })
    expect(new Set(published.map((event) => event.transaction_id)).size).toBe(rows - zero)
    expect(published[0]).toMatchObject({
      client_id: '00001',
      amount_minor: 1_177,
      currency: 'USD',
      items_count: 1,
      occurred_at: Date.parse('1997-01-01T05:00:00Z'),
    })

    const clients = new Map<string, [number, number]>()
    for (const { client_id, amount_minor } of published) {
      const [purchases, sum] = clients.get(client_id) ?? [0, 0]
      clients.set(client_id, [purchases + 1, sum + amount_minor])
    }
    const byClient = await select<{ client: string; purchases: number; total: number }>(
      `SELECT client, toInt32(count()) AS purchases, toFloat64(sum(amount)) AS total
       FROM (${words(path)}) WHERE amount > 0 GROUP BY client ORDER BY client`,
    )
    expect([...clients].sort().map(([client, figures]) => [client, ...figures])).toEqual(
      byClient.map(({ client, purchases, total }) => [client, purchases, total]),
    )
  }, 120_000)
})
