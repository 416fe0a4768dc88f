import { renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { eventually } from '../../support/eventually.ts'
import { checkInvariants, checkStores } from '../../support/loyalty/invariants.ts'
import { ProcessorProcess } from '../../support/loyalty/processor-process.ts'
import { withStores } from '../../support/loyalty/stored.ts'
import { StreamWorld } from '../../support/loyalty/stream-world.ts'
import { jan10, traffic } from '../../support/loyalty/traffic.ts'
import { type RunningPostgres, startPostgres } from '../../support/postgres.ts'
import { type TempDir, tempDir } from '../../support/temp-dir.ts'
import { newDatabase } from '../ingest/support/world.ts'

const partitions = 4

let postgres: RunningPostgres
let world: StreamWorld
let dir: TempDir
const processors: ProcessorProcess[] = []

beforeAll(async () => {
  postgres = await startPostgres()
})
afterAll(() => postgres?.stop())
beforeEach(async () => {
  dir = await tempDir()
  world = await StreamWorld.open({ postgres: await newDatabase(postgres.url) }, { partitions })
  await world.publisher.cutPoints([10, 20, 30], [1, 2], [5_000])
  await world.publisher.day(jan10)
})
afterEach(async () => {
  for (const processor of processors.splice(0)) await processor.kill()
  await world.close()
  await dir.remove()
})

/** The real program; `name` is its data directory. */
function start(name: string, threads: number, env: Record<string, string> = {}): ProcessorProcess {
  const processor = new ProcessorProcess({
    env: { ...world.env, LOYALTY_PROCESSOR_THREADS: String(threads), ...env },
    dataDir: join(dir.path, name),
  })
  processors.push(processor)
  return processor
}

interface TaskOfThread {
  readonly partition: number
  readonly state: string
  readonly thread: number
}

async function get(processor: ProcessorProcess, path: string): Promise<Response> {
  return fetch(`http://127.0.0.1:${processor.port}${path}`)
}

/** Partitions by thread, once `count` tasks run there and none besides. */
async function shared(processor: ProcessorProcess, count: number): Promise<Map<number, number[]>> {
  return eventually(
    async () => {
      if (processor.port === 0) return null
      const { tasks } = (await (await get(processor, '/status')).json()) as { tasks: TaskOfThread[] }
      const shares = new Map<number, number[]>()
      for (const { thread, partition, state } of tasks)
        if (state === 'running') shares.set(thread, [...(shares.get(thread) ?? []), partition])
      return tasks.length === count && [...shares.values()].flat().length === count ? shares : null
    },
    { timeoutMs: 40_000, everyMs: 50, what: `${count} tasks that run: ${processor.output.slice(-2_000)}` },
  )
}

async function sample(processor: ProcessorProcess, name: string): Promise<number> {
  const text = await (await get(processor, '/metrics')).text()
  const values = [...text.matchAll(new RegExp(`^${name}(?:\\{[^}]*\\})? (\\S+)$`, 'gm'))].map(([, value]) =>
    Number(value),
  )
  return values.reduce((sum, value) => sum + value, 0)
}

const sizes = (shares: Map<number, number[]>) => [...shares.values()].map(({ length }) => length)

describe('a processor of two threads', () => {
  test('shares the partitions between them and answers as one', async () => {
    const processor = start('a', 2)
    const shares = await shared(processor, partitions)
    expect([...shares.keys()].sort()).toEqual([1, 2])
    expect(sizes(shares)).toEqual([2, 2])
    const published = [1, 2].flatMap(traffic)
    await world.publisher.transactions(published)
    await world.settled()

    expect((await get(processor, '/readiness')).status).toBe(200)
    expect(await (await get(processor, '/readiness')).json()).toMatchObject({
      status: 'ready',
      checks: [
        { name: 'group', ok: true },
        ...[0, 1, 2, 3].map((partition) => ({ name: `task ${partition}`, ok: true })),
      ],
    })
    const { tasks } = (await (await get(processor, '/status')).json()) as { tasks: TaskOfThread[] }
    expect(tasks.map(({ partition }) => partition)).toEqual([0, 1, 2, 3])
    expect((await get(processor, '/healthcheck')).status).toBe(200)

    expect(await sample(processor, 'loyalty_records_total')).toBe(published.length)
    expect(await sample(processor, 'loyalty_batch_records_sum')).toBe(published.length)
    expect(await sample(processor, 'loyalty_classifier_rows_total')).toBeGreaterThan(0)
    // Of the process there is one, whatever it is made of.
    expect(await sample(processor, 'process_start_time_seconds')).toBeLessThan(Date.now() / 1_000)
    expect(await sample(processor, 'process_resident_memory_bytes')).toBeGreaterThan(50_000_000)

    expect(await processor.stop(), processor.output).toBe('0')
    const lines = processor.output
      .trimEnd()
      .split('\n')
      .slice(-10)
      .map((line) => JSON.parse(line))
    expect(lines.at(-1)).toMatchObject({ service: 'processor', message: 'stopped' })
    expect(lines).toContainEqual(expect.objectContaining({ service: 'processor', message: 'task', thread: 2 }))
    await withStores(join(dir.path, 'a'), async (stores) => {
      expect([...stores.keys()].sort()).toEqual([0, 1, 2, 3])
      await checkStores(world, stores, { caughtUp: true })
      await checkInvariants(world, stores)
    })
  })

  test('hands partitions over to another process and takes them back, whichever thread had them', async () => {
    const first = start('a', 2)
    await shared(first, partitions)
    await world.publisher.transactions(traffic(1))
    await world.settled()
    const second = start('b', 2)
    expect(sizes(await shared(first, 2))).toEqual([1, 1])
    expect(sizes(await shared(second, 2))).toEqual([1, 1])
    await world.publisher.transactions(traffic(2))
    await world.settled()
    expect(await second.stop(), second.output).toBe('0')
    expect(sizes(await shared(first, partitions))).toEqual([2, 2])
    await world.publisher.transactions(traffic(3))
    await world.publisher.day(jan10 + 50)
    await world.settled()
    expect(await first.stop(), first.output).toBe('0')
    expect(first.output).not.toContain('discarded')
    await withStores(join(dir.path, 'a'), async (stores) => {
      await checkStores(world, stores, { caughtUp: true })
      await checkInvariants(world, stores)
    })
  })

  for (const [what, order] of [
    ['an error reaches the top of one', 'it broke'],
    ['one ends', 'exit'],
  ] as const)
    test(`ends with code 1 when ${what}; what it had committed stays, and the next start goes on`, async () => {
      const file = join(dir.path, 'order')
      const processor = start('a', 2, {
        NODE_OPTIONS: `--import ${new URL('../../support/failing-thread.ts', import.meta.url)}`,
        FAIL_FILE: file,
        FAIL_THREAD: '2',
      })
      await shared(processor, partitions)
      await world.publisher.transactions(traffic(1))
      writeFileSync(`${file}.new`, order)
      renameSync(`${file}.new`, file)
      expect(await processor.ended()).toBe('1')
      const fatal = processor.output.split('\n').filter((line) => line.includes('"level":"fatal"'))
      expect(fatal.join('\n')).toContain('thread 2 of the processor failed')
      if (order !== 'exit') expect(fatal.join('\n')).toContain(order)
      start('a', 2)
      await world.publisher.transactions(traffic(2))
      await world.settled()
      await checkInvariants(world)
    })
})
