import { join } from 'node:path'
import { type ClickHouseClient, ClickHouseLogLevel, createClient } from '@clickhouse/client'
import type { OpenAPIHono } from '@hono/zod-openapi'
import { Pool } from 'pg'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { topicsOf } from '#schemas/topics.ts'
import { createApiApp } from '#services/api/app.ts'
import { type ApiState, openState } from '#services/api/state.ts'
import { createLogger } from '#services/platform/logging.ts'
import { createMetrics } from '#services/platform/metrics.ts'
import { migrateClickHouse, migratePostgres } from '#services/platform/migrate.ts'
import { systemClock } from '#streams/core/clock.ts'
import { partitionOf } from '#streams/core/partitioner.ts'
import { dayOfIso } from '#streams/domain/calendar.ts'
import { encodePosition, positionHeader } from '#streams/runtime/position.ts'
import { root } from '../../architecture/source-files.ts'
import { startClickHouse, type TestClickHouse } from '../../support/clickhouse.ts'
import { eventually } from '../../support/eventually.ts'
import { Publisher, sale } from '../../support/loyalty/publisher.ts'
import { MemoryLog } from '../../support/memory-log.ts'
import { MemoryRegistry } from '../../support/memory-registry.ts'
import { freePort, type RunningPostgres, startPostgres } from '../../support/postgres.ts'

const topics = topicsOf('api')

/** What the tests look at in an answer, whatever it is. */
interface Answer {
  readonly as_of?: string
  readonly programme?: unknown
  readonly paths?: object
  readonly transaction_history?: unknown
  readonly parts?: unknown
  readonly lags?: readonly { name: string; lag_records: number; lag_seconds: number | null }[] | null
  readonly rfm_values?: unknown
  readonly bonus_balance_minor?: number | null
}

describe('the API over its read models', () => {
  let postgres: RunningPostgres
  let clickhouse: TestClickHouse
  let pool: Pool
  let deadPool: Pool
  let deadClickHouse: ClickHouseClient
  let log: MemoryLog
  let publisher: Publisher
  const registry = new MemoryRegistry()
  const states: ApiState[] = []

  /** The API over stores that live, or over one that nobody serves. */
  function api(stores: { pool?: Pool; clickhouse?: ClickHouseClient; ingest?: string } = {}): OpenAPIHono {
    const metrics = createMetrics('api')
    const url = stores.ingest ?? 'http://127.0.0.1:1'
    const state = openState({
      pool: stores.pool ?? pool,
      clickhouse: stores.clickhouse ?? clickhouse.client,
      log,
      registry,
      topics,
      urls: { ingest: url, processor: url, projector: url, registry: url },
      clock: systemClock,
      logger: createLogger('api', 'silent'),
      metrics,
      version: '9.9.9',
    })
    states.push(state)
    return createApiApp(state)
  }

  const get = async (app: OpenAPIHono, path: string) => {
    const response = await app.request(path)
    return { status: response.status, headers: response.headers, body: (await response.json()) as Answer }
  }

  beforeAll(async () => {
    ;[postgres, clickhouse] = await Promise.all([startPostgres(), startClickHouse()])
    pool = new Pool({ connectionString: postgres.url })
    pool.on('error', () => {})
    await migratePostgres(pool, { schema: 'projector', directory: join(root, 'migrations/projector') })
    await migrateClickHouse({ url: clickhouse.url, database: 'loyalty' }, join(root, 'clickhouse/migrations'))
    await fillStores(pool, clickhouse.client)
    const closed = await freePort()
    deadPool = new Pool({ connectionString: `postgres://nobody@127.0.0.1:${closed}/none` })
    deadClickHouse = createClient({ url: `http://127.0.0.1:${closed}`, log: { level: ClickHouseLogLevel.OFF } })

    log = new MemoryLog()
    publisher = await Publisher.open(log, registry, topics, 2)
    await publisher.programme()
    await publisher.day(dayOfIso('2011-12-09'))
  })

  afterAll(async () => {
    await Promise.all(states.map(({ programme }) => programme.close()))
    await Promise.all([pool?.end(), deadPool?.end(), deadClickHouse?.close()])
    await Promise.all([postgres?.stop(), clickhouse?.stop()])
  })

  it('lists clients by pages, by segment, and by what people search for', async () => {
    const app = api()
    const ids = async (query: string) =>
      ((await (await app.request(`/api/v1/clients?${query}`)).json()) as { client_id: string }[]).map(
        ({ client_id }) => client_id,
      )
    expect(await ids('')).toEqual(['12346', '12347', '14911', 'late_1'])
    expect(await ids('skip=1&limit=2')).toEqual(['12347', '14911'])
    expect(await ids('segment_id=champions')).toEqual(['12347', '14911'])
    expect(await ids('search_query=1234')).toEqual(['12346', '12347'])
    expect(await ids('search_query=anna')).toEqual(['12347'])
    expect(await ids('search_query=ANNA@EXAMPLE.ORG')).toEqual(['12347'])
    // A wildcard of SQL is no wildcard here.
    expect(await ids('search_query=late%25')).toEqual([])
    expect(await ids('search_query=late_')).toEqual(['late_1'])
    expect((await get(app, '/api/v1/clients?limit=5000')).status).toBe(400)
  })

  it.each([
    ['/api/v1/clients/%00', 'client_id'],
    ['/api/v1/clients/12%0046', 'client_id'],
    ['/api/v1/clients?search_query=%00', 'search_query'],
    ['/api/v1/clients?segment_id=loyal%00', 'segment_id'],
  ])('%s: the character that no store knows is refused by name', async (path, field) => {
    expect(await get(api(), path)).toMatchObject({
      status: 400,
      body: { code: 'request_invalid', details: { faults: [{ field, fault: expect.stringContaining('U+0000') }] } },
    })
  })

  it('shows a client with segment, values as of the programme and transactions', async () => {
    const app = api()
    const found = await eventually(async () => {
      const answer = await get(app, '/api/v1/clients/12346')
      return answer.body.as_of === '2011-12-09' && answer
    })
    expect(found.body).toMatchObject({
      client_id: '12346',
      loyalty_segment: { segment_id: 'sleeping', name: 'Sleeping' },
      loyalty_score: 29,
      rfm_values: { recency: 325, frequency: 1, monetary: 0, monetary_gross_minor: 7_718_360, basis: 'net', r: 1 },
      currency: 'GBP',
      communication_preferences: null,
      attributes: null,
      degraded: [],
    })
    expect(found.body.transaction_history).toMatchObject([
      { kind: 'refund', occurred_at: '2011-01-18T10:17:00.000Z', amount_minor: 7_718_360, store_id: null },
      { kind: 'sale', receipt_number: '541431' },
    ])
    expect(found.headers.get('loyalty-as-of')).toBe('2011-12-09')
    expect(found.headers.get('loyalty-lag-records')).toBe('0')
    expect(await get(app, '/api/v1/clients/nobody')).toMatchObject({ status: 404, body: { code: 'client_not_found' } })
  })

  it('shows consents and attributes of a profile', async () => {
    expect((await get(api(), '/api/v1/clients/12347')).body).toMatchObject({
      communication_preferences: { email: true, sms: false },
      attributes: { card: 'gold' },
    })
  })

  it('names the basis of the cut-points in force, and gives the sum on it', async () => {
    const app = api()
    const valuesOf = async () => (await get(app, '/api/v1/clients/12346')).body.rfm_values
    await eventually(async () => (await get(app, '/api/v1/clients/12346')).body.as_of === '2011-12-09')
    expect(await valuesOf()).toMatchObject({ basis: 'net', monetary: 0 })
    await publisher.cutPoints([10], [1], [5_000], 'gross')
    await eventually(async () => expect(await valuesOf()).toMatchObject({ basis: 'gross', monetary: 77_183.6 }))
    await publisher.cutPoints([10], [1], [5_000], 'net')
    await eventually(async () => expect(await valuesOf()).toMatchObject({ basis: 'net', monetary: 0 }))
  })

  it('counts clients per segment, also in an empty one', async () => {
    const { body } = await get(api(), '/api/v1/segments/stats')
    expect(body).toHaveLength(5)
    expect(body).toContainEqual({
      segment_id: 'champions',
      segment_name: 'Чемпионы',
      client_count: 2,
      percentage: 66.67,
    })
    expect(body).toContainEqual({ segment_id: 'new', segment_name: 'Новички', client_count: 0, percentage: 0 })
  })

  it('counts from an opening balance what came after its moment, and from none all there is', async () => {
    const balance = async (client: string) => (await get(api(), `/api/v1/clients/${client}`)).body.bonus_balance_minor
    expect(await balance('14911')).toBe(300)
    // 900 by the sale before the opening balance of 1,250, 30 and -5 by those after it.
    expect(await balance('late_1')).toBe(1_275)
  })

  it('serves a profile without history, and says so, while ClickHouse is down', async () => {
    const app = api({ clickhouse: deadClickHouse })
    const { status, body, headers } = await get(app, '/api/v1/clients/12347')
    expect(status).toBe(200)
    expect(body).toMatchObject({ client_id: '12347', transaction_history: [], degraded: ['transaction_history'] })
    expect(headers.get('loyalty-degraded')).toBe('clickhouse')
    // Where no opening balance is known the whole is: the sum is among the profiles.
    expect(body).toMatchObject({ bonus_balance_minor: 0 })
    expect((await get(app, '/api/v1/clients/late_1')).body).toMatchObject({
      ...{ bonus_balance_minor: null, degraded: ['transaction_history', 'bonus_balance_minor'] },
    })
    expect((await get(app, '/api/v1/segments/stats')).body).toContainEqual(
      expect.objectContaining({ segment_id: 'champions', client_count: 2 }),
    )
    expect((await app.request('/readiness')).status).toBe(200)
  })

  it('serves statistics while Postgres is down, and is not ready without both', async () => {
    const app = api({ pool: deadPool })
    const stats = await get(app, '/api/v1/segments/stats')
    expect(stats.status).toBe(200)
    expect(stats.body).toContainEqual(expect.objectContaining({ segment_id: 'champions', client_count: 2 }))
    expect((await get(app, '/api/v1/clients')).status).toBe(503)
    expect((await app.request('/readiness')).status).toBe(200)
    expect((await api({ pool: deadPool, clickhouse: deadClickHouse }).request('/readiness')).status).toBe(503)
  })

  it('tells which parts are down and how far the projections are', async () => {
    const app = api()
    const { body } = await eventually(async () => {
      const answer = await get(app, '/api/v1/service/status')
      return answer.body.programme !== null && answer
    })
    expect(body).toMatchObject({
      service_status: 'DEGRADED',
      api_version: '9.9.9',
      as_of: '2011-12-09',
      programme: { currency: 'GBP', partitions: 2 },
    })
    expect(body.parts).toContainEqual({ name: 'postgres', status: 'up' })
    expect(body.parts).toContainEqual(expect.objectContaining({ name: 'ingest', status: 'down' }))
    expect(body.lags).toContainEqual({ name: 'postgres-profiles', lag_records: 0, lag_seconds: 0 })
  })

  it('tells since when records wait for the processor, and for a projection that never took one in', async () => {
    const lagOf = async (name: string) => {
      const { body } = await get(api(), '/api/v1/service/status')
      return body.lags?.find((lag) => lag.name === name)
    }
    const partition = partitionOf(Buffer.from('12346'), 2)
    const blockAt = (transactions: number) => {
      const position = { programme: 'p', transactions, control: 0, sweep: null, step: 1, attempt: 'a', foldVersion: 1 }
      const headers = { [positionHeader]: encodePosition({ ...position, dead: [], part: 1, parts: 1 }) }
      return log.writer().append(topics.accepted, partition, [{ key: null, value: Buffer.from('block'), headers }])
    }
    expect(await lagOf('processor')).toEqual({ name: 'processor', lag_records: 0, lag_seconds: 0 })

    await publisher.transactions([sale('12346')])
    await eventually(async () => ((await lagOf('processor'))?.lag_seconds ?? 0) >= 0.1)
    await publisher.transactions([sale('12346')])
    const askedAt = performance.now()
    const both = await lagOf('processor')
    expect(both).toMatchObject({ lag_records: 2, lag_seconds: expect.any(Number) })
    expect(both?.lag_seconds).toBeGreaterThan(0.1)
    await blockAt(1)
    const second = await lagOf('processor')
    expect(second).toMatchObject({ lag_records: 1, lag_seconds: expect.any(Number) })
    // The first transaction was a tenth of a second older, and time has passed.
    const passed = (performance.now() - askedAt) / 1_000
    expect(second?.lag_seconds).toBeLessThan(both!.lag_seconds! + passed - 0.05)
    await blockAt(2)
    expect(await lagOf('processor')).toMatchObject({ lag_records: 0, lag_seconds: 0 })

    await pool.query(
      "INSERT INTO projector.projection_offset VALUES ('clickhouse-facts', $1, $2, 1, 1, NULL), ('old', $1, $2, 1, 1, 0)",
      [topics.accepted, partition],
    )
    for (const name of ['clickhouse-facts', 'old']) {
      const lag = await lagOf(name)
      expect(lag).toMatchObject({ lag_records: 1, lag_seconds: expect.any(Number) })
      expect(lag?.lag_seconds).toBeLessThan(60)
    }
    await pool.query("DELETE FROM projector.projection_offset WHERE projection IN ('clickhouse-facts', 'old')")
  })

  it('answers 503 with a code for what ingestion serves, while ingestion is down', async () => {
    const answer = await get(api(), '/api/v1/management/data/uploads')
    expect(answer).toMatchObject({ status: 503, body: { code: 'ingest_unavailable' } })
  })

  it('shows one OpenAPI document of both programs, and its pages from files of its own', async () => {
    const app = api()
    const { body } = await get(app, '/openapi.json')
    expect(Object.keys(body.paths ?? {})).toEqual(
      expect.arrayContaining([
        '/api/v1/clients',
        '/api/v1/clients/{client_id}',
        '/api/v1/segments/stats',
        '/api/v1/transactions',
        '/api/v1/clients/import',
        '/api/v1/management/data/upload',
        '/api/v1/management/tasks/{task_id}/status',
        '/api/v1/management/dead-letters',
        '/api/v1/management/dead-letters/{id}',
        '/api/v1/management/dead-letters/replay',
        '/api/v1/service/status',
      ]),
    )
    const page = await (await app.request('/docs')).text()
    expect(page).not.toMatch(/https?:\/\//)
    for (const [, path] of page.matchAll(/(?:src|href)="([^"]+)"/g)) expect((await app.request(path!)).status).toBe(200)
  })
})

async function fillStores(pool: Pool, clickhouse: ClickHouseClient): Promise<void> {
  await pool.query(`INSERT INTO projector.loyalty_segments VALUES
    ('champions', 'Champions', 'best', '#fff', 60, 100, 0), ('sleeping', 'Sleeping', 'long ago', '#000', 0, 40, 1)`)
  await pool.query(`INSERT INTO projector.clients
    (client_id, name, email, frequency, monetary_gross_minor, monetary_net_minor, first_purchase_day, last_purchase_day,
     r_score, f_score, m_score, rfm_score, segment, loyalty_score, version, communication_preferences, attributes) VALUES
    ('12346', NULL, NULL, 1, 7718360, 0, '2011-01-18', '2011-01-18', 1, 1, 1, '111', 'sleeping', 29, 2, NULL, NULL),
    ('12347', 'Anna Example', 'anna@example.org', 7, 431000, 431000, '2010-12-07', '2011-12-07', 5, 5, 5, '555',
     'champions', 88, 2, '{"email": true, "sms": false}', '{"card": "gold"}'),
    ('14911', NULL, NULL, 201, 14382506, 13257262, '2010-12-01', '2011-12-08', 5, 5, 5, '555', 'champions', 96, 9, NULL, NULL),
    ('late_1', NULL, NULL, 0, 0, 0, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 1, NULL, NULL)`)
  await pool.query(`UPDATE projector.clients SET bonus_earned_minor = 930, bonus_spent_minor = 5,
    opening_bonus_minor = 1250, opening_bonus_at = '2011-01-01T00:00:00Z' WHERE client_id = 'late_1'`)
  await pool.query(
    `UPDATE projector.clients SET bonus_earned_minor = 400, bonus_spent_minor = 100 WHERE client_id = '14911'`,
  )
  const bonus = (transaction_key: number, day: string, earned: number, spent: number) => ({
    ...{ client_id: 'late_1', transaction_key, transaction_id: `bonus-${transaction_key}`, kind: 'sale', day },
    ...{ occurred_at: `${day} 00:00:00.000`, amount_minor: 100, bonus_earned_minor: earned, bonus_spent_minor: spent },
  })
  await clickhouse.insert({
    table: 'transactions',
    format: 'JSONEachRow',
    values: [bonus(1, '2011-01-01', 900, 0), bonus(2, '2011-01-02', 30, 0), bonus(3, '2011-01-03', 0, 5)],
  })
  await pool.query(`INSERT INTO projector.projection_offset VALUES
    ('postgres-profiles', 'api.client-state', 0, 0, 1, 0), ('clickhouse-state', 'api.client-state', 0, 0, 1, 0)`)
  const state = (client_id: string, segment: string) => ({ client_id, segment, frequency: 1, version: 1 })
  await clickhouse.insert({
    table: 'client_state',
    format: 'JSONEachRow',
    values: [state('12346', 'sleeping'), state('12347', 'champions'), state('14911', 'champions'), state('late_1', '')],
  })
  const sale = {
    client_id: '12346',
    amount_minor: 7_718_360,
    items_count: 74_215,
    source: 'upload:x',
    day: '2011-01-18',
  }
  await clickhouse.insert({
    table: 'transactions',
    format: 'JSONEachRow',
    values: [
      {
        ...sale,
        transaction_key: 1,
        transaction_id: 'a',
        kind: 'sale',
        receipt_number: '541431',
        occurred_at: '2011-01-18 10:01:00.000',
      },
      {
        ...sale,
        transaction_key: 2,
        transaction_id: 'b',
        kind: 'refund',
        receipt_number: 'C541433',
        occurred_at: '2011-01-18 10:17:00.000',
      },
    ],
  })
}
