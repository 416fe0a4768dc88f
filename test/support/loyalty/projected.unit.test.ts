import { afterAll, beforeAll, expect, test } from 'vitest'
import { readBlocks } from './blocks.ts'
import { TopologyDriver } from './driver.ts'
import { checkProjected, type Projected, type ProjectedHistory } from './projected.ts'
import { readChanges, readRows, valuesOf } from './rows.ts'
import { total } from './tally.ts'
import { jan10, traffic } from './traffic.ts'

/** The check of the two stores must fail where they hold something else than the log: here what was read is doctored. */

interface Read {
  readonly projected: Projected
  readonly history: ProjectedHistory
}

let driver: TopologyDriver
let proper: Read

beforeAll(async () => {
  driver = await TopologyDriver.open({ partitions: 1 })
  const { publisher } = driver
  await publisher.programme()
  await publisher.model('1')
  await publisher.cutPoints([30], [1], [5_000])
  await publisher.day(jan10)
  await publisher.transactions(traffic(1))
  await driver.settled(await driver.startWorker())
  proper = await readLog()
})

afterAll(() => driver.close())

/** What a projector without faults would have made of the log. */
async function readLog(): Promise<Read> {
  const rows = await readRows(driver, 0)
  const changes = await readChanges(driver, 0, rows)
  const blocks = await readBlocks(driver, 0)
  const clients = [...rows.values()].map(valuesOf).sort((a, b) => (String(a.client_id) < String(b.client_id) ? -1 : 1))
  const segments = new Set(clients.map(({ segment }) => segment))
  const transactions = blocks.factOffsets.map((log_offset) => ({ partition: 0, log_offset }))
  const { count: sales, gross, net } = total(blocks.effects)
  const history = changes
    .map(({ event: { as_of: _, ...rest }, arrivedMs }) => ({ ...rest, changed_ms: arrivedMs }))
    .sort((a, b) => (a.client_id < b.client_id ? -1 : a.client_id > b.client_id ? 1 : a.version - b.version))
  return {
    projected: {
      profiles: [],
      clients,
      states: clients,
      transactions,
      effects: [...blocks.effects].map(([key, { count, gross, net }]) => ({
        client_id: key.split(' ')[0],
        transaction_key: String(BigInt(`0x${key.split(' ')[1]}`)),
        sales_change: count,
        gross_change_minor: gross,
        net_change_minor: net,
      })),
      dailySales: [
        { sales, gross, net: 0 },
        { sales: 0, gross: 0, net },
      ],
      population: [...segments]
        .flatMap((segment) =>
          segment === null ? [] : [{ segment, clients: clients.filter((row) => row.segment === segment).length }],
        )
        .sort((a, b) => (String(a.segment) < String(b.segment) ? -1 : 1)),
      stored: [{ transactions: transactions.length, effects: blocks.effects.size }],
    },
    history: { postgres: history, clickhouse: history },
  }
}

test('stores that hold what the log says are in order', async () => {
  expect(proper.projected.population.length).toBeGreaterThan(1)
  await checkProjected(driver, proper.projected, proper.history)
})

type Rows = Projected['clients']
const without = (rows: Rows): Rows => rows.slice(1)
const twice = (rows: Rows): Rows => [...rows, rows.at(-1)!]
const changed = (rows: Rows, change: Readonly<Record<string, unknown>>): Rows => [
  { ...rows[0], ...change },
  ...without(rows),
]

const faults: Readonly<Record<string, readonly [doctor: (read: Read) => Partial<Projected>, complaint: RegExp]>> = {
  'a client is missing in Postgres': [
    ({ projected }) => ({ clients: without(projected.clients) }),
    /clients in Postgres/,
  ],
  'a client in Postgres has an older row': [
    ({ projected }) => ({ clients: changed(projected.clients, { frequency: 0 }) }),
    /clients in Postgres/,
  ],
  'a client is missing in ClickHouse': [({ projected }) => ({ states: without(projected.states) }), /client_state/],
  'a client in ClickHouse has an older row': [
    ({ projected }) => ({ states: changed(projected.states, { loyalty_score: 101 }) }),
    /client_state/,
  ],
  'a transaction is missing': [
    ({ projected }) => ({ transactions: without(projected.transactions) }),
    /transactions in ClickHouse/,
  ],
  'a transaction is there twice': [
    ({ projected }) => ({ transactions: twice(projected.transactions) }),
    /transactions in ClickHouse/,
  ],
  'an effect is missing': [({ projected }) => ({ effects: without(projected.effects) }), /effects in ClickHouse/],
  'an effect is another one': [
    ({ projected }) => ({ effects: changed(projected.effects, { net_change_minor: 1 }) }),
    /effects in ClickHouse/,
  ],
  'an effect was summed up twice': [({ projected }) => ({ dailySales: twice(projected.dailySales) }), /net by day/],
  'a block was summed up twice': [
    ({ projected }) => ({ dailySales: [...projected.dailySales, ...projected.dailySales] }),
    /sales by day/,
  ],
  'a change of segment was summed up twice': [
    ({ projected }) => ({ population: changed(projected.population, { clients: 99 }) }),
    /clients by segment/,
  ],
  'an insert left copies behind': [
    ({ projected }) => ({ stored: changed(projected.stored, { effects: projected.effects.length + 1 }) }),
    /nothing is stored twice/,
  ],
}

test.each(Object.entries(faults))('it is noticed when %s', async (_name, [doctor, complaint]) => {
  const doctored = { ...proper.projected, ...doctor(proper) }
  await expect(checkProjected(driver, doctored, proper.history)).rejects.toThrow(complaint)
})

test.each([
  ['postgres', /history in Postgres/],
  ['clickhouse', /history in ClickHouse/],
] as const)('it is noticed when a change of segment is missing or repeated in %s', async (store, complaint) => {
  for (const doctor of [without, twice]) {
    const history = { ...proper.history, [store]: doctor(proper.history[store]) }
    await expect(checkProjected(driver, proper.projected, history)).rejects.toThrow(complaint)
  }
})
