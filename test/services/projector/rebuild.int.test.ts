import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { awaitRebuild, orderRebuild } from '#services/cli/rebuild.ts'
import type { RunningServer } from '#services/platform/http.ts'
import { createLogger } from '#services/platform/logging.ts'
import { createMetrics } from '#services/platform/metrics.ts'
import { migratePostgres } from '#services/platform/migrate.ts'
import type { WriteHook } from '#services/projector/engine.ts'
import type { Projector } from '#services/projector/program.ts'
import { type RebuildAnswer, serveProjector } from '#services/projector/server.ts'
import { LoyaltyError } from '#streams/core/error.ts'
import { eventually } from '../../support/eventually.ts'
import { factOf, type Stores, startStores, stateOf, topics, World } from './world.ts'

const profiles = 'postgres-profiles'

let stores: Stores
let world: World
let servers: RunningServer[]

beforeAll(async () => {
  stores = await startStores()
})
afterAll(() => stores.stop())
beforeEach(async () => {
  world = await World.open(stores)
  servers = []
  return async () => {
    await Promise.all(servers.map((server) => server.close()))
    await world.close()
  }
})

async function serve(projector: Projector, port = 0): Promise<RunningServer> {
  const parts = { logger: createLogger('projector', 'silent'), metrics: createMetrics('projector') }
  const server = await serveProjector({ projector, ...parts, port, bind: '127.0.0.1' })
  servers.push(server)
  return server
}

/** A reader that every rebuild of the profiles has to wait for, before its tables are made. */
async function obstacle(): Promise<() => Promise<void>> {
  const client = await world.pool.connect()
  await client.query('BEGIN; LOCK TABLE projector.client_segment_history')
  return async () => {
    await client.query('COMMIT')
    client.release()
  }
}

const follow = (url: string, taskId: string, seen: RebuildAnswer[] = []) =>
  awaitRebuild(url, taskId, (task) => void seen.push(task), new AbortController().signal)
const post = async (url: string, projection = profiles) => {
  const response = await fetch(`${url}/rebuild/${projection}`, { method: 'POST' })
  return { status: response.status, body: (await response.json()) as RebuildAnswer & { code?: string } }
}
const clients = (count: number) => Array.from({ length: count }, (_, n) => stateOf(`client-${n}`, 1))

describe('a projector whose tables were dropped', () => {
  it('makes them anew, and fills them, as soon as it looks', async () => {
    await world.publish('ClientStateChanged', clients(20))
    const projector = world.start()
    await world.applied(profiles)
    await migratePostgres(world.pool, { schema: 'projector', directory: 'migrations/projector', target: 0 })
    await eventually(
      async () => (await world.rows('SELECT count(*)::int AS n FROM projector.clients').catch(() => []))[0]?.n === 20,
      { timeoutMs: 15_000, what: 'the profiles again' },
    )
    await eventually(async () => (await projector.status())[0]?.state === 'running')
  })

  it('begins anew what it keeps elsewhere: nothing is counted twice, at no time', async () => {
    const sales = async () => {
      const rows = await world.ask('SELECT toUInt32(sum(sales)) AS n FROM bi_daily_sales')
      return (rows as { n: number }[])[0]!.n
    }
    for (const n of [1, 2, 3]) await world.accept(0, { facts: [factOf(n)] })
    const first = world.start()
    await world.applied('clickhouse-facts')
    await first.stop()
    for (const n of [4, 5]) await world.accept(0, { facts: [factOf(n)] })
    await migratePostgres(world.pool, { schema: 'projector', directory: 'migrations/projector', target: 0 })
    const seen: number[] = []
    const watching = new AbortController()
    const watch = (async () => {
      while (!watching.signal.aborted) seen.push(await sales())
    })()
    world.start()
    const ends = await world.log.admin.endOffsets(topics.accepted)
    await eventually(
      async () => {
        const applied = `SELECT FROM projector.projection_offset
          WHERE projection = 'clickhouse-facts' AND partition = 0 AND next_offset >= ${ends[0]}`
        return (await world.rows(applied).catch(() => [])).length === 1
      },
      { timeoutMs: 15_000, what: 'the facts from the beginning' },
    )
    watching.abort()
    await watch
    expect(await sales()).toBe(5)
    expect(Math.max(...seen)).toBe(5)
  })

  it('builds nothing anew that was never begun', async () => {
    await world.accept(0, { facts: [factOf(1)] })
    world.start()
    await world.applied('clickhouse-facts', 'clickhouse-state', 'clickhouse-segments', profiles)
    expect(await world.rows('SELECT projection FROM projector.rebuild_task')).toEqual([])
  })
})

describe('an order to rebuild a projection', () => {
  it('is answered at once, followed while it goes on, and ends with all records applied', async () => {
    await world.publish('ClientStateChanged', clients(50))
    const { url } = await serve(world.start())
    await world.applied(profiles)
    await world.rows('UPDATE projector.clients SET frequency = 99')
    const remove = await obstacle()
    const { status, body } = await post(url)
    expect(status).toBe(202)
    expect(body).toMatchObject({ projection: profiles, status: 'PENDING', progress_percentage: 0, failure: null })
    await eventually(async () => {
      const task = (await (await fetch(`${url}/rebuild/tasks/${body.task_id}`)).json()) as RebuildAnswer
      return task.status === 'PROCESSING' && task.attempts === 1
    })
    const again = await post(url)
    expect(again.status).toBe(200)
    expect(again.body).toMatchObject({ task_id: body.task_id, status: 'PROCESSING' })
    await remove()
    const seen: RebuildAnswer[] = []
    const done = await follow(url, body.task_id, seen)
    expect(done).toMatchObject({
      ...{ status: 'COMPLETED', progress_percentage: 100, applied_records: 50, total_records: 50, attempts: 1 },
      ...{ waiting_for: null, failure: null },
    })
    expect(done.seconds).toBeGreaterThan(0)
    expect(seen.every(({ progress_percentage: p }, n) => p >= (seen[n - 1]?.progress_percentage ?? 0))).toBe(true)
    expect(await world.rows('SELECT DISTINCT frequency FROM projector.clients')).toEqual([{ frequency: 1 }])
    const next = await post(url)
    expect(next.status).toBe(202)
    expect(next.body.task_id).not.toBe(body.task_id)
    await follow(url, next.body.task_id)
  })

  it('says how many records are applied of how many', async () => {
    await world.publish('ClientStateChanged', clients(50))
    const { url } = await serve(world.start())
    await world.applied(profiles)
    // The tables are made and filled, but the swap has to wait.
    const reader = await world.pool.connect()
    await reader.query('BEGIN; SELECT FROM projector.clients')
    const { body } = await post(url)
    const task = await eventually(async () => {
      const now = (await (await fetch(`${url}/rebuild/tasks/${body.task_id}`)).json()) as RebuildAnswer
      return now.applied_records === 50 && now
    })
    expect(task).toMatchObject({ status: 'PROCESSING', total_records: 50, progress_percentage: 99 })
    await reader.query('COMMIT')
    reader.release()
    await follow(url, body.task_id)
  })

  it('is taken in by a projector that stands by, and carried out by the owner', async () => {
    const owner = world.start()
    await world.applied(profiles)
    const standby = world.start()
    const { url } = await serve(standby)
    expect((await standby.status())[0]).toMatchObject({ state: 'standby' })
    const { task_id } = await orderRebuild(url, profiles)
    expect(await follow(url, task_id)).toMatchObject({ status: 'COMPLETED' })
    // The task is over with the swap; the owner says so of itself a moment later.
    await eventually(async () => (await owner.status())[0]?.state === 'running')
  })

  it('is begun again by the next owner when its owner ends, and whoever follows it need not know', async () => {
    await world.publish('ClientStateChanged', clients(20))
    const first = world.start()
    const server = await serve(first)
    await world.applied(profiles)
    const remove = await obstacle()
    const { task_id } = await orderRebuild(server.url, profiles)
    await eventually(async () => (await first.rebuildTask(task_id)).attempts === 1)
    const following = follow(server.url, task_id)
    await server.close()
    const stopping = first.stop()
    await remove()
    await stopping
    await serve(world.start(), server.port)
    expect(await following).toMatchObject({ status: 'COMPLETED', attempts: 2, applied_records: 20 })
  })

  it('waits for what may pass, and says for what', async () => {
    let away = false
    const hook: WriteHook = (point) => {
      if (away && point === 'after-intent')
        throw new LoyaltyError('clickhouse_unavailable', 'it is away', { retriable: true })
    }
    await world.accept(0, { facts: [factOf(1), factOf(2)] })
    const projector = world.start({ hook })
    const { url } = await serve(projector)
    await world.applied('clickhouse-facts')
    away = true
    const { task_id } = await orderRebuild(url, 'clickhouse-facts')
    const seen: RebuildAnswer[] = []
    const following = follow(url, task_id, seen)
    await eventually(() => seen.some(({ waiting_for }) => waiting_for?.code === 'clickhouse_unavailable'))
    away = false
    const done = await following
    expect(done).toMatchObject({ status: 'COMPLETED', waiting_for: null, failure: null })
    expect(done.attempts).toBeGreaterThan(1)
    expect(await world.ask('SELECT count() AS n FROM transactions')).toEqual([{ n: 2 }])
  })

  it('is given up when it breaks off again and again for reasons nobody foresaw', async () => {
    let broken = false
    const hook: WriteHook = () => {
      if (broken) throw new Error('who would have thought')
    }
    await world.accept(0, { facts: [factOf(1)] })
    const { url } = await serve(world.start({ hook }))
    await world.applied('clickhouse-facts')
    broken = true
    const { task_id } = await orderRebuild(url, 'clickhouse-facts')
    await expect(follow(url, task_id)).rejects.toMatchObject({
      code: 'rebuild_failed',
      message: 'who would have thought',
    })
    expect(await world.ask('SELECT count() AS n FROM transactions')).toEqual([{ n: 1 }])
  })

  it('fails with the code of what cannot pass, leaves the tables as they are, and may be ordered again', async () => {
    await world.publish('ClientStateChanged', [stateOf('a', 1)])
    const projector = world.start()
    const { url } = await serve(projector)
    await world.applied(profiles)
    // A record that the running projection is past: only a rebuild meets it.
    await world.log.writer().append(topics.clientState, 3, [{ key: Buffer.from('x'), value: Buffer.from('no frame') }])
    const failing = await eventually(async () => (await projector.status())[0]?.error !== null)
    expect(failing).toBe(true)
    await world.rows(
      `UPDATE projector.projection_offset SET next_offset = 1 WHERE topic = '${topics.clientState}' AND partition = 3`,
    )
    await eventually(async () => (await projector.status())[0]?.state === 'running')
    const { task_id } = await orderRebuild(url, profiles)
    await expect(follow(url, task_id)).rejects.toMatchObject({ code: 'projection_record_unreadable' })
    const told = (await (await fetch(`${url}/rebuild/tasks/${task_id}`)).json()) as RebuildAnswer
    expect(told).toMatchObject({ status: 'FAILED', attempts: 1, failure: { code: 'projection_record_unreadable' } })
    expect(await world.rows('SELECT client_id FROM projector.clients')).toEqual([{ client_id: 'a' }])
    expect(await world.rows(`SELECT rebuild FROM projector.projection WHERE projection = '${profiles}'`)).toEqual([
      { rebuild: null },
    ])
    await world.publish('ClientStateChanged', [stateOf('a', 2)])
    await world.applied(profiles)
    expect((await post(url)).status).toBe(202)
  })

  it('is carried out although the tables of the projector were dropped and made anew under it', async () => {
    await world.publish('ClientStateChanged', clients(20))
    const projector = world.start()
    const { url } = await serve(projector)
    await world.applied(profiles)
    const migrations = { schema: 'projector', directory: 'migrations/projector' }
    await migratePostgres(world.pool, { ...migrations, target: 0 })
    await migratePostgres(world.pool, migrations)
    const { task_id } = await orderRebuild(url, profiles)
    expect(await follow(url, task_id)).toMatchObject({ status: 'COMPLETED' })
    expect(await world.rows('SELECT count(*)::int AS n FROM projector.clients')).toEqual([{ n: 20 }])
  })

  it('is refused for a projection that does not exist, and of an unknown task nothing is told', async () => {
    const { url } = await serve(world.start())
    await world.applied(profiles)
    expect(await post(url, 'nothing')).toMatchObject({ status: 404, body: { code: 'projection_unknown' } })
    for (const id of ['no-uuid', '00000000-0000-4000-8000-000000000000'])
      await expect(follow(url, id)).rejects.toMatchObject({ code: 'task_not_found' })
  })
})
