import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { createMetrics } from '#services/platform/metrics.ts'
import { eventually } from '../../support/eventually.ts'
import { changeOf, partitions, rebuilt, type Stores, startStores, stateOf, topics, World } from './world.ts'

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

const client = async (id: string) => (await world.rows('SELECT * FROM projector.clients WHERE client_id = $1', [id]))[0]

const epoch = async () => {
  const [row] = await world.rows<{ epoch: string }>(
    "SELECT epoch FROM projector.projection WHERE projection = 'postgres-profiles'",
  )
  return Number(row?.epoch)
}

describe('the projection of profiles in Postgres', () => {
  it('keeps the newest row of every client, whatever order versions arrive in', async () => {
    await world.publish('ClientStateChanged', [stateOf('a', 1), stateOf('a', 3), stateOf('a', 2), stateOf('b', 1)])
    world.start()
    await world.applied('postgres-profiles')
    await world.publish('ClientStateChanged', [stateOf('b', 5), stateOf('a', 2), stateOf('b', 4)])
    await world.applied('postgres-profiles')
    expect(await client('a')).toMatchObject({
      version: '3',
      frequency: 3,
      monetary_gross_minor: '300',
      rfm_score: '545',
      segment: 'loyal',
      refund_share: 0.1,
      mean_days_between: null,
    })
    expect(await client('b')).toMatchObject({ version: '5' })
  })

  it('counts by topic what it has settled, and tells the lag of every partition it reads', async () => {
    const metrics = createMetrics('projector')
    await world.publish('ClientStateChanged', [stateOf('a', 1), stateOf('b', 1), stateOf('c', 1)])
    world.start({ metrics })
    await eventually(async () => {
      const { values } = await metrics.records.get()
      expect(values.find(({ labels }) => labels.topic === topics.clientState)?.value).toBe(3)
      const lags = (await metrics.lagSeconds.get()).values
      expect(lags.filter(({ labels }) => labels.topic === topics.clientState)).toHaveLength(partitions)
      expect(lags.map(({ value }) => value)).toEqual(lags.map(() => 0))
      return true
    })
  })

  it('stores times to the millisecond and days as dates', async () => {
    const at = Date.UTC(2011, 11, 9, 12, 34, 56, 789)
    await world.publish('ClientStateChanged', [stateOf('a', 1, { last_purchase_at: at, last_purchase_day: 15_317 })])
    world.start()
    await world.applied('postgres-profiles')
    const [row] = await world.rows(
      'SELECT extract(epoch FROM last_purchase_at)::float8 * 1000 AS at, last_purchase_day::text AS day FROM projector.clients',
    )
    expect(row).toEqual({ at, day: '2011-12-09' })
  })

  it('joins profile and current row, whichever comes first', async () => {
    world.start()
    await world.publish('ClientProfileChanged', [{ client_id: 'a', name: 'Old', city: 'Omsk', source: 'pos:x' }])
    await world.publish('ClientStateChanged', [stateOf('a', 1), stateOf('b', 1)])
    await world.publish('ClientProfileChanged', [
      {
        client_id: 'a',
        name: 'Анна "Ann" O\\Hara, {x}\u0000',
        communication_preferences: { email: true },
        birth_date: -3_000,
        attributes: { 'k"': 'v\u0000\\' },
        source: 'pos:x',
      },
      { client_id: 'b', city: 'Тверь', source: 'pos:x' },
    ])
    await world.applied('postgres-profiles')
    expect(await client('a')).toMatchObject({
      name: 'Анна "Ann" O\\Hara, {x}\ufffd',
      city: null,
      communication_preferences: { email: true },
      attributes: { 'k"': 'v\ufffd\\' },
      version: '1',
    })
    expect(await client('b')).toMatchObject({ city: 'Тверь', version: '1' })
  })

  it('erases a profile at its tombstone and keeps the figures; of a client without figures nothing is left', async () => {
    world.start()
    await world.publish('ClientProfileChanged', [
      { client_id: 'a', name: 'A', email: 'a@x', source: 's', attributes: { x: 'y' } },
      { client_id: 'b', name: 'B', source: 's' },
    ])
    await world.publish('ClientStateChanged', [stateOf('a', 1)])
    await world.applied('postgres-profiles')
    await world.erase('a')
    await world.erase('b')
    await world.applied('postgres-profiles')
    expect(await client('a')).toMatchObject({ name: null, email: null, attributes: null, frequency: 1 })
    expect(await client('b')).toBeUndefined()
    await world.publish('ClientProfileChanged', [{ client_id: 'a', name: 'Again', source: 's' }])
    await world.applied('postgres-profiles')
    expect(await client('a')).toMatchObject({ name: 'Again', email: null })
  })

  it('keeps every change of segment once', async () => {
    await world.publish('ClientReclassified', [changeOf('a', 1), changeOf('a', 2, { before: 'new', after: null })])
    world.start()
    await world.publish('ClientReclassified', [changeOf('a', 1)])
    await world.applied('postgres-profiles')
    const history = await world.rows(
      'SELECT version, before, after, transaction_ids, as_of::text FROM projector.client_segment_history ORDER BY version',
    )
    const transaction_ids = ['t1', 'с "кавычками" \\ {}']
    expect(history).toEqual([
      { version: '1', before: null, after: 'new', transaction_ids, as_of: '2011-01-06' },
      { version: '2', before: 'new', after: null, transaction_ids, as_of: '2011-01-06' },
    ])
  })

  it('seeds the segments', async () => {
    world.start()
    await world.applied('postgres-profiles')
    expect(await world.rows('SELECT segment_id, segment_name FROM projector.loyalty_segments')).toEqual([
      { segment_id: 'new', segment_name: 'Новички' },
    ])
  })

  it('sends a profile that cannot be read to dead letters and goes on', async () => {
    await world.log.writer().append(topics.clients, 1, [{ key: Buffer.from('x'), value: Buffer.from('no frame') }])
    await world.publish('ClientProfileChanged', [{ client_id: 'a', name: 'A', source: 's' }])
    world.start()
    await world.applied('postgres-profiles')
    expect(await client('a')).toMatchObject({ name: 'A' })
    const letters = world.log.records(topics.deadLetters)
    expect(letters.map(({ headers }) => Buffer.from(headers['loyalty-reason']!).toString())).toEqual(['undecodable'])
  })

  it('stops at a row of the processor that cannot be read, and says where, rather than leave it out', async () => {
    const projector = world.start()
    await world.applied('postgres-profiles')
    await world.log.writer().append(topics.clientState, 2, [{ key: Buffer.from('x'), value: Buffer.from('no frame') }])
    const status = await eventually(async () =>
      (await projector.status()).find(({ projection, error }) => projection === 'postgres-profiles' && error !== null),
    )
    expect(status).toMatchObject({ error: { code: 'projection_record_unreadable' } })
    expect(status.error?.message).toContain('[2] at 0')
  })

  it('waits while the registry is away', async () => {
    await world.publish('ClientStateChanged', [stateOf('a', 1)])
    world.registry.unavailable = true
    const projector = world.start()
    await eventually(async () => (await projector.status())[0]?.error?.code === 'registry_unavailable')
    world.registry.unavailable = false
    await world.applied('postgres-profiles')
    expect(await client('a')).toMatchObject({ version: '1' })
  })

  it('goes on where it stopped, in another process, and only one writes at a time', async () => {
    const first = world.start()
    await world.publish('ClientStateChanged', [stateOf('a', 1)])
    await world.applied('postgres-profiles')
    const second = world.start()
    const states = () => Promise.all([first, second].map(async (each) => (await each.status())[0]?.state))
    expect(await states()).toEqual(['running', 'standby'])
    await first.stop()
    await world.publish('ClientStateChanged', [stateOf('a', 2)])
    await world.applied('postgres-profiles')
    expect(await client('a')).toMatchObject({ version: '2' })
    expect(await states()).toEqual(['stopped', 'running'])
  })

  it('takes the projection over again when the connection of its owner breaks', async () => {
    world.start()
    await world.applied('postgres-profiles')
    const before = await epoch()
    await world.rows(
      `SELECT pg_terminate_backend(l.pid) FROM pg_locks l WHERE locktype = 'advisory' AND pid <> pg_backend_pid()
       AND database = (SELECT oid FROM pg_database WHERE datname = current_database())`,
    )
    await eventually(async () => (await epoch()) > before)
    await world.publish('ClientStateChanged', [stateOf('a', 1)])
    await world.applied('postgres-profiles')
    expect(await client('a')).toMatchObject({ version: '1' })
  })

  it('changes nothing under an epoch that is over', async () => {
    world.start()
    await world.publish('ClientStateChanged', [stateOf('a', 1)])
    await world.applied('postgres-profiles')
    await world.rows("UPDATE projector.projection_offset SET epoch = epoch + 1 WHERE projection = 'postgres-profiles'")
    const before = await epoch()
    await world.publish('ClientStateChanged', [stateOf('a', 2)])
    // Fenced once, it takes over under a new epoch and then applies.
    await world.applied('postgres-profiles')
    expect(await epoch()).toBeGreaterThan(before)
    expect(await client('a')).toMatchObject({ version: '2' })
  })

  it('is not disturbed by ClickHouse failing, and says what that waits for', async () => {
    const fail = () => {
      throw new Error('away')
    }
    const projector = world.start({ hook: fail })
    await world.publish('ClientStateChanged', [stateOf('a', 1)])
    await world.applied('postgres-profiles')
    expect(await client('a')).toMatchObject({ version: '1' })
    const status = await eventually(async () => {
      const all = await projector.status()
      return all.find(
        ({ projection, error }) => projection === 'clickhouse-state' && error?.message.includes('away') === true,
      )
    })
    expect(status.error?.message).toContain('away')
  })
})

describe('a rebuild of the profiles', () => {
  it('fills new tables while reads and writes go on, and loses nothing', async () => {
    const clients = Array.from({ length: 300 }, (_, n) => `client-${n}`)
    await world.publish(
      'ClientStateChanged',
      clients.map((id) => stateOf(id, 1)),
    )
    await world.publish(
      'ClientReclassified',
      clients.map((id) => changeOf(id, 1)),
    )
    const projector = world.start()
    await world.applied('postgres-profiles')
    // What only a rebuild can mend.
    await world.rows("UPDATE projector.clients SET refunded_minor = 99 WHERE client_id = 'client-7'")
    await world.rows("DELETE FROM projector.client_segment_history WHERE client_id = 'client-8'")
    let rebuilding = true
    const counts: number[] = []
    const reading = (async () => {
      while (rebuilding) {
        const [row] = await world.rows<{ n: string }>('SELECT count(*) AS n FROM projector.clients')
        counts.push(Number(row?.n))
      }
    })()
    const writing = world.publish(
      'ClientStateChanged',
      clients.slice(100).map((id) => stateOf(id, 2)),
    )
    await rebuilt(projector, 'postgres-profiles')
    await writing
    rebuilding = false
    await reading
    await world.applied('postgres-profiles')
    expect(Math.min(...counts)).toBe(300)
    const [sums] = await world.rows(
      'SELECT count(*)::int AS n, sum(frequency)::int AS f, sum(refunded_minor)::int AS r FROM projector.clients',
    )
    expect(sums).toEqual({ n: 300, f: 500, r: 5_000 })
    expect(await world.rows('SELECT count(*)::int AS n FROM projector.client_segment_history')).toEqual([{ n: 300 }])
    await world.publish('ClientStateChanged', [stateOf('client-7', 3)])
    await world.applied('postgres-profiles')
    expect(await client('client-7')).toMatchObject({ version: '3' })
  })

  it('leaves tables, indexes and settings as the migrations made them, also twice', async () => {
    const projector = world.start()
    await world.applied('postgres-profiles')
    const shape = () =>
      world.rows(
        `SELECT c.relname, c.relkind, c.reloptions, pg_get_indexdef(c.oid) AS def FROM pg_class c
         JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname LIKE 'projector%' AND relkind IN ('r', 'i') ORDER BY 1`,
      )
    const before = await shape()
    await rebuilt(projector, 'postgres-profiles')
    await rebuilt(projector, 'postgres-profiles')
    expect(await shape()).toEqual(before)
  })

  it('waits for a reader that is in its way', async () => {
    const projector = world.start()
    await world.publish('ClientStateChanged', [stateOf('a', 1)])
    await world.applied('postgres-profiles')
    const reader = await world.pool.connect()
    await reader.query('BEGIN; SELECT * FROM projector.clients')
    const swapped = rebuilt(projector, 'postgres-profiles')
    const waiting = "SELECT 1 FROM pg_locks WHERE NOT granted AND mode = 'AccessExclusiveLock'"
    await eventually(async () => (await world.rows(waiting)).length > 0)
    await reader.query('COMMIT')
    reader.release()
    await swapped
    expect(await client('a')).toMatchObject({ version: '1' })
  })

  it('is refused for a projection that does not exist', async () => {
    await expect(world.start().orderRebuild('nothing')).rejects.toMatchObject({ code: 'projection_unknown' })
  })
})
