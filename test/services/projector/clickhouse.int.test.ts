import { createClient } from '@clickhouse/client'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { clientHistory } from '#clickhouse/queries/client-history.ts'
import type { Fact } from '#schemas/events.ts'
import type { WriteHook, WritePoint } from '#services/projector/engine.ts'
import { clickhouseFacts } from '#services/projector/projections/clickhouse-facts.ts'
import { insertOnce } from '#services/projector/projections/clickhouse-target.ts'
import { RowBinary } from '#services/projector/row-binary.ts'
import { eventually } from '../../support/eventually.ts'
import { adjustmentOf, changeOf, factOf, rebuilt, type Stores, startStores, stateOf, World } from './world.ts'

let stores: Stores
let world: World

beforeAll(async () => {
  stores = await startStores()
})
afterAll(() => stores.stop())
beforeEach(async () => {
  world = await World.open(stores)
  return () => world.close()
})

const facts = (from: number, to: number, over: Partial<Fact> = {}) =>
  Array.from({ length: to - from }, (_, n) => factOf(from + n, over))

/** What everything adds up to: tables without FINAL, so that a row too many is seen. */
async function totals() {
  const [row] = await world.ask(
    `SELECT (SELECT count() FROM transactions) AS transactions,
            (SELECT sum(sales_change) FROM transaction_effects) AS effects,
            (SELECT sum(sales) FROM daily_sales) AS sales,
            (SELECT sum(net_minor) FROM daily_sales) AS net`,
  )
  return row
}

/** Throws at one point, once: the process is gone there, as far as the stores can tell. */
function dieOnce(point: WritePoint, projection: string): WriteHook & { died: () => boolean } {
  let died = false
  const hook = (at: WritePoint, of: string) => {
    if (died || at !== point || of !== projection) return
    died = true
    throw new Error(`died ${point}`)
  }
  return Object.assign(hook, { died: () => died })
}

describe('facts in ClickHouse', () => {
  it('hold every field of every accepted transaction once', async () => {
    const full = factOf(2 ** 40, {
      client_id: 'клиент',
      kind: 'REFUND',
      transaction_key: Buffer.from('fedcba9876543210', 'hex'),
      occurred_at: Date.UTC(1969, 5, 1),
      day: -214,
      amount_minor: 2 ** 52,
      batch_id: 'b',
      original_transaction_id: 't0',
      gross_effect_minor: 0,
      count_effect: 0,
      net_effect_minor: -(2 ** 40),
      purchase_number: null,
      days_since_previous: -3,
    })
    await world.accept(0, { facts: [full] })
    world.start()
    await world.applied('clickhouse-facts')
    const [row] = await world.ask('SELECT *, toString(transaction_key) AS key FROM transactions')
    expect(row).toMatchObject({
      client_id: 'клиент',
      kind: 'refund',
      key: BigInt('0xfedcba9876543210').toString(),
      occurred_at: '1969-06-01 00:00:00.000',
      day: '1969-06-01',
      log_offset: 2 ** 40,
      amount_minor: 2 ** 52,
      batch_id: 'b',
      terminal_id: '',
      categories: ['tea', 'чай'],
      purchase_number: null,
      days_since_previous: -3,
    })
    expect(await totals()).toEqual({ transactions: 1, effects: 0, sales: 0, net: -(2 ** 40) })
  })

  it('add up by day and store, whatever order effects arrive in, and adjustments find their store', async () => {
    world.start()
    await world.accept(1, {
      part: 1,
      parts: 2,
      adjustments: [adjustmentOf(7, { count_effect: -1, net_effect_minor: -100 })],
    })
    await world.accept(1, { part: 2, parts: 2, facts: [factOf(7), factOf(12, { store_id: 's2' })] })
    await world.applied('clickhouse-facts')
    await world.accept(1, { adjustments: [adjustmentOf(12, { gross_effect_minor: -100, net_effect_minor: -100 })] })
    await world.applied('clickhouse-facts')
    expect(await world.ask('SELECT * FROM bi_daily_sales ORDER BY store')).toEqual([
      { day: '2011-01-03', store: 's1', sales: 0, gross_minor: 100, net_minor: 0, clients: 1 },
      { day: '2011-01-03', store: 's2', sales: 1, gross_minor: 0, net_minor: 0, clients: 1 },
    ])
    const { sql, params } = clientHistory('c7', 10)
    expect(await world.ask(sql, params)).toMatchObject([
      { transaction_id: 't7', sales: 0, gross_minor: 100, net_minor: 0 },
    ])
  })

  it.each<WritePoint>(['after-intent', 'after-insert'])('are there once when the process dies %s', async (point) => {
    const hook = dieOnce(point, 'clickhouse-facts')
    await world.accept(0, { facts: facts(0, 500) })
    await world.accept(3, { facts: facts(500, 700), adjustments: [adjustmentOf(500, { net_effect_minor: -5 })] })
    world.start({ hook })
    await world.applied('clickhouse-facts')
    await world.accept(0, { facts: facts(1_000, 1_100) })
    await world.applied('clickhouse-facts')
    expect(hook.died()).toBe(true)
    expect(await totals()).toEqual({ transactions: 800, effects: 800, sales: 800, net: 79_995 })
    expect(await world.rows('SELECT * FROM projector.intent')).toEqual([])
  })

  it('are there once when ClickHouse dies between two inserts of a batch, and the batch is found again', async () => {
    // The first insert (transactions) is made, the second (effects) never arrives.
    const broken = createClient({ url: stores.clickhouse.url, database: world.database })
    const exec = broken.exec.bind(broken)
    let left = 1
    broken.exec = (params) => (left-- > 0 ? exec(params) : Promise.reject(new Error('socket hang up')))
    await world.accept(0, { facts: facts(0, 300) })
    const first = world.start({ clickhouse: broken })
    await eventually(async () =>
      (await first.status()).some(({ projection, error }) => projection === 'clickhouse-facts' && error !== null),
    )
    expect(await totals()).toEqual({ transactions: 300, effects: 0, sales: 0, net: 0 })
    await first.stop()
    await broken.close()
    world.start()
    await world.applied('clickhouse-facts')
    expect(await totals()).toEqual({ transactions: 300, effects: 300, sales: 300, net: 30_000 })
  })

  it('are there once when the engine is killed and started again under the projector', async () => {
    world.start()
    await world.accept(0, { facts: facts(0, 200) })
    await world.applied('clickhouse-facts')
    const crash = stores.clickhouse.crash()
    for (let n = 0; n < 20; n++) await world.accept(n % 4, { facts: facts(1_000 + n * 10, 1_010 + n * 10) })
    await crash
    await world.applied('clickhouse-facts')
    expect(await totals()).toEqual({ transactions: 400, effects: 400, sales: 400, net: 40_000 })
  })

  it('form one block per insert, so that one token covers it, also when it is large', async () => {
    world.start()
    await world.applied('clickhouse-facts')
    await world.clickhouse.command({ query: 'CREATE TABLE large AS transaction_effects' })
    const rows = new RowBinary()
    for (let n = 0; n < 400_000; n++) {
      rows.string(`c${n}`)
      rows.int64(n)
      rows.int64(n)
      rows.int32(1)
      rows.string('s')
      rows.int32(1)
      rows.int64(1)
      rows.int64(1)
      rows.endRow()
    }
    const target = { client: world.clickhouse, suffix: '', token: 'x' }
    const columns = [
      'client_id',
      'transaction_key',
      'log_offset',
      'day',
      'store_id',
      'sales_change',
      'gross_change_minor',
      'net_change_minor',
    ]
    await insertOnce(target, 'large', columns, rows)
    await insertOnce(target, 'large', columns, rows)
    const [parts] = await world.ask(
      "SELECT count() AS parts, sum(rows) AS rows FROM system.parts WHERE active AND table = 'large' AND database = currentDatabase()",
    )
    expect(parts).toEqual({ parts: 1, rows: 400_000 })
  })
})

describe('what ClickHouse promises and the projector relies on', () => {
  it('a repetition under the token of an insert that never reached the view fills the view alone', async () => {
    world.start()
    await world.applied('clickhouse-facts')
    const { clickhouse } = world
    const once = { insert_deduplication_token: 't', deduplicate_blocks_in_dependent_materialized_views: 1 } as const
    const window = 'SETTINGS non_replicated_deduplication_window = 10'
    await clickhouse.command({ query: `CREATE TABLE f (x Int64) ENGINE = MergeTree ORDER BY x ${window}` })
    await clickhouse.command({ query: `CREATE TABLE v (x Int64) ENGINE = SummingMergeTree ORDER BY tuple() ${window}` })
    const insert = () => clickhouse.command({ query: 'INSERT INTO f SELECT 1', clickhouse_settings: once })
    await insert()
    await clickhouse.command({ query: 'CREATE MATERIALIZED VIEW f_mv TO v AS SELECT x FROM f' })
    await insert()
    await insert()
    expect(await world.ask('SELECT (SELECT count() FROM f) AS f, (SELECT sum(x) FROM v) AS v')).toEqual([
      { f: 1, v: 1 },
    ])
  })
})

describe('state and segments in ClickHouse', () => {
  it('keep the newest row of every client, also when versions come out of order over several batches', async () => {
    world.start()
    await world.publish('ClientStateChanged', [stateOf('a', 2), stateOf('b', 1), stateOf('a', 1)])
    await world.applied('clickhouse-state')
    await world.publish('ClientStateChanged', [
      stateOf('b', 3),
      stateOf('b', 2),
      stateOf('c', 1, { segment: null, rfm_score: null, r_score: null }),
    ])
    await world.applied('clickhouse-state')
    expect(
      await world.ask('SELECT client_id, version, segment, r_score FROM client_state FINAL ORDER BY client_id'),
    ).toEqual([
      { client_id: 'a', version: 2, segment: 'loyal', r_score: 5 },
      { client_id: 'b', version: 3, segment: 'loyal', r_score: 5 },
      { client_id: 'c', version: 1, segment: '', r_score: null },
    ])
  })

  it('hold the population of every segment on every day', async () => {
    world.start()
    await world.publish('ClientReclassified', [
      changeOf('a', 1),
      changeOf('b', 1),
      changeOf('a', 2, { before: 'new', after: 'loyal', as_of: 14_982, cause: 'time', transaction_ids: [] }),
      changeOf('b', 2, { before: 'new', after: null, as_of: 14_981, cause: 'refund' }),
    ])
    await world.applied('clickhouse-segments')
    expect(
      await world.ask("SELECT day, clients FROM bi_segment_population WHERE segment = 'new' ORDER BY day"),
    ).toEqual([
      { day: '2011-01-06', clients: 2 },
      { day: '2011-01-07', clients: 1 },
      { day: '2011-01-08', clients: 0 },
    ])
  })
})

describe('a rebuild in ClickHouse', () => {
  it('fills new tables while reads and writes go on, and ends with the same sums', async () => {
    for (let n = 0; n < 40; n++) await world.accept(n % 4, { facts: facts(n * 50, n * 50 + 50) })
    const projector = world.start()
    await world.applied('clickhouse-facts')
    await world.clickhouse.command({
      query: 'ALTER TABLE daily_sales DELETE WHERE 1',
      clickhouse_settings: { mutations_sync: '1' },
    })
    let rebuilding = true
    const counts: number[] = []
    const reading = (async () => {
      while (rebuilding) counts.push(Number((await world.ask('SELECT count() AS n FROM transactions FINAL'))[0]?.n))
    })()
    const writing = (async () => {
      for (let n = 40; n < 60; n++) await world.accept(n % 4, { facts: facts(n * 50, n * 50 + 50) })
    })()
    await rebuilt(projector, 'clickhouse-facts')
    rebuilding = false
    await Promise.all([reading, writing])
    await world.applied('clickhouse-facts')
    expect(Math.min(...counts)).toBeGreaterThanOrEqual(2_000)
    expect(counts).toEqual([...counts].sort((a, b) => a - b))
    expect(await totals()).toEqual({ transactions: 3_000, effects: 3_000, sales: 3_000, net: 300_000 })
    await world.accept(0, { facts: facts(9_000, 9_010) })
    await world.applied('clickhouse-facts')
    expect(await totals()).toMatchObject({ transactions: 3_010, sales: 3_010 })
    expect(
      await world.ask("SELECT name FROM system.tables WHERE database = currentDatabase() AND name LIKE '%\\_\\_%'"),
    ).toEqual([])
  })

  it('is finished by the next owner when the process dies between two exchanges', async () => {
    const hook = dieOnce('inside-swap', 'clickhouse-facts')
    await world.accept(0, { facts: facts(0, 100) })
    const projector = world.start({ hook })
    await world.applied('clickhouse-facts')
    const { task } = await projector.orderRebuild('clickhouse-facts')
    await eventually(() => hook.died())
    await world.accept(0, { facts: facts(100, 150) })
    await eventually(async () => {
      const [row] = await world.rows("SELECT rebuild FROM projector.projection WHERE projection = 'clickhouse-facts'")
      return row?.rebuild === null
    })
    await world.applied('clickhouse-facts')
    expect(await totals()).toEqual({ transactions: 150, effects: 150, sales: 150, net: 15_000 })
    expect(await projector.rebuildTask(task.taskId)).toMatchObject({ state: 'done', attempts: 1, error: null })
  })

  it('begins by itself when the tables are of another version than the code', async () => {
    await world.accept(0, { facts: facts(0, 100) })
    const first = world.start()
    await world.applied('clickhouse-facts')
    await first.stop()
    await world.rows("UPDATE projector.projection SET version = 0 WHERE projection = 'clickhouse-facts'")
    await world.clickhouse.command({ query: 'TRUNCATE TABLE transactions' })
    world.start()
    const version = "SELECT version FROM projector.projection WHERE projection = 'clickhouse-facts'"
    await eventually(async () => (await world.rows(version))[0]?.version === clickhouseFacts.version, {
      timeoutMs: 10_000,
    })
    expect(await totals()).toEqual({ transactions: 100, effects: 100, sales: 100, net: 10_000 })
  })
})

describe('reconciliation', () => {
  it('raises when a repetition comes after the deduplication window is over, and the second net holds', async () => {
    const projector = world.start()
    await world.applied('clickhouse-facts', 'clickhouse-segments')
    for (const table of ['transactions', 'transaction_effects', 'daily_sales'])
      await world.clickhouse.command({
        query: `ALTER TABLE ${table} MODIFY SETTING non_replicated_deduplication_window = 2`,
      })
    // Merging would remove the repeated rows sooner or later; here they are to be seen.
    for (const table of ['transactions', 'transaction_effects'])
      await world.clickhouse.command({ query: `SYSTEM STOP MERGES ${table}` })
    await world.accept(0, { facts: facts(0, 100) })
    await world.applied('clickhouse-facts')
    expect(await projector.reconcile('clickhouse-facts')).toEqual([
      { projection: 'clickhouse-facts', duplicateRows: [], differences: [] },
    ])
    await projector.stop()
    for (let n = 1; n <= 4; n++) {
      const other = world.start()
      await world.accept(1, { facts: facts(n * 100, n * 100 + 1) })
      await world.applied('clickhouse-facts')
      await other.stop()
    }
    // As if the offsets had been lost: the first block is inserted again under its old token.
    await world.rows(
      "UPDATE projector.projection_offset SET next_offset = 0 WHERE projection = 'clickhouse-facts' AND partition = 0",
    )
    const again = world.start()
    await world.applied('clickhouse-facts')
    expect(await totals()).toMatchObject({ transactions: 204, sales: 204 })
    const [report] = await again.reconcile('clickhouse-facts')
    expect(report?.duplicateRows).toEqual([
      { table: 'transactions', rows: 204, identities: 104 },
      { table: 'transaction_effects', rows: 204, identities: 104 },
    ])
    expect(report?.differences).toHaveLength(5)
    expect(report?.differences[0]).toMatchObject({ name: 's1', view: [44, 4_400, 4_400], facts: [24, 2_400, 2_400] })
    // Reads with FINAL were right all along; the view is right again.
    expect(await world.ask('SELECT count() AS n FROM transactions FINAL')).toEqual([{ n: 104 }])
    expect(await totals()).toMatchObject({ sales: 104, net: 10_400 })
    expect((await again.reconcile('clickhouse-facts'))[0]?.differences).toEqual([])
    await world.accept(1, { facts: facts(900, 910) })
    await world.applied('clickhouse-facts')
    expect(await totals()).toMatchObject({ sales: 114 })
  })
})

describe('the lag of a projection', () => {
  it('is 0 when it is level, and known in records and seconds when it is not', async () => {
    let held = true
    const hook: WriteHook = (_, projection) => {
      if (held && projection === 'clickhouse-facts') throw new Error('held')
    }
    const projector = world.start({ hook })
    await world.accept(0, { facts: facts(0, 10) })
    await world.accept(1, { facts: facts(10, 20) })
    const lagOf = async () => (await projector.status()).find(({ projection }) => projection === 'clickhouse-facts')
    await eventually(async () => (await lagOf())?.error !== null)
    held = false
    await world.applied('clickhouse-facts')
    await eventually(async () => (await lagOf())?.lagRecords === 0)
    expect(await lagOf()).toMatchObject({ state: 'running', lagRecords: 0, lagSeconds: 0, error: null })
  })
})
