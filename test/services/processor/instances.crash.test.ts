import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { eventually } from '../../support/eventually.ts'
import { type RunningKafka, startKafka } from '../../support/kafka/shared-kafka.ts'
import { checkInvariants } from '../../support/loyalty/invariants.ts'
import { ProcessorProcess } from '../../support/loyalty/processor-process.ts'
import { type LogPlace, StreamWorld } from '../../support/loyalty/stream-world.ts'
import { jan10, traffic } from '../../support/loyalty/traffic.ts'
import { type RunningPostgres, startPostgres } from '../../support/postgres.ts'
import { tempDir } from '../../support/temp-dir.ts'

const partitions = 3

/** Several processors of one programme, each with a data directory of its own, as on several machines. */
class Instances {
  readonly world: StreamWorld
  readonly #processors: ProcessorProcess[] = []
  readonly #directories: { remove(): Promise<void> }[] = []

  constructor(world: StreamWorld) {
    this.world = world
  }

  async start(): Promise<ProcessorProcess> {
    const directory = await tempDir()
    // Brokers allow no shorter session than six seconds.
    const env = { ...this.world.env, LOYALTY_SESSION_TIMEOUT_MS: '6000' }
    const processor = new ProcessorProcess({ env, dataDir: directory.path })
    this.#processors.push(processor)
    this.#directories.push(directory)
    return processor
  }

  async owns(processor: ProcessorProcess, count: number): Promise<void> {
    await eventually(async () => (await processor.owned()).length === count, {
      timeoutMs: 60_000,
      everyMs: 100,
      what: `owning ${count}`,
    })
  }

  async close(): Promise<void> {
    for (const processor of this.#processors) await processor.kill()
    for (const directory of this.#directories) await directory.remove()
    await this.world.close()
  }
}

async function open(place: LogPlace): Promise<Instances> {
  const world = await StreamWorld.open(place, { partitions })
  await world.publisher.cutPoints([10, 20, 30], [1, 2], [5_000])
  await world.publisher.day(jan10)
  await world.publisher.transactions(traffic(1))
  return new Instances(world)
}

function suite(start: () => Promise<LogPlace>): void {
  let place: LogPlace
  let instances: Instances
  beforeAll(async () => {
    place = await start()
  })

  test('three share the partitions; one leaves, one dies; nothing is lost or doubled', async () => {
    instances = await open(place)
    const { world } = instances
    try {
      const first = await instances.start()
      const second = await instances.start()
      const third = await instances.start()
      for (const each of [first, second, third]) await instances.owns(each, 1)
      await world.publisher.transactions(traffic(2))
      await world.settled()
      expect(await first.stop()).toBe('0')
      await world.publisher.transactions(traffic(3))
      await world.settled()
      await world.publisher.transactions(traffic(4))
      await second.kill()
      await instances.owns(third, partitions)
      await world.publisher.day(jan10 + 50)
      await world.settled()
      expect((await checkInvariants(world)).accepted).toBeGreaterThan(300)
    } finally {
      await instances.close()
    }
  }, 120_000)

  for (const when of ['before', 'after'] as const)
    test(`an owner paused past its session and resumed ${when} its successor's first step shows nothing`, async () => {
      instances = await open(place)
      const { world } = instances
      try {
        const paused = await instances.start()
        await instances.owns(paused, partitions)
        await world.settled()
        paused.signal('SIGSTOP')
        const successor = await instances.start()
        await instances.owns(successor, partitions)
        if (when === 'after') {
          await world.publisher.transactions(traffic(2))
          await world.settled()
        }
        paused.signal('SIGCONT')
        await world.publisher.transactions(traffic(3))
        await world.publisher.day(jan10 + 50)
        await world.settled()
        await world.publisher.transactions(traffic(4))
        await world.settled()
        await checkInvariants(world)
      } finally {
        await instances.close()
      }
    }, 120_000)
}

describe('on the Postgres log', () => {
  let postgres: RunningPostgres
  suite(async () => {
    postgres = await startPostgres()
    return { postgres: postgres.url }
  })
  afterAll(() => postgres?.stop())
})

describe('on Kafka', () => {
  let kafka: RunningKafka
  suite(async () => {
    kafka = await startKafka()
    return { kafka: kafka.brokers }
  })
  afterAll(() => kafka?.stop())
})
