import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { eventually } from '../../support/eventually.ts'
import { type RunningKafka, startKafka } from '../../support/kafka/shared-kafka.ts'
import { checkInvariants, checkStores, type Outcome } from '../../support/loyalty/invariants.ts'
import { type ProcessorOptions, ProcessorProcess } from '../../support/loyalty/processor-process.ts'
import { Databases, type Engines, Projections, startEngines } from '../../support/loyalty/projections.ts'
import { withStores } from '../../support/loyalty/stored.ts'
import { type LogPlace, StreamWorld } from '../../support/loyalty/stream-world.ts'
import { jan10, traffic } from '../../support/loyalty/traffic.ts'
import { tempDir } from '../../support/temp-dir.ts'

const partitions = 3

interface Start {
  readonly threads?: number
  /** Goes on in the directory of this one, which has ended. */
  readonly after?: ProcessorProcess
  readonly crashAt?: NonNullable<ProcessorOptions['crashAt']>
}

/** Several processors of one programme, each with a data directory of its own, as on several machines; one projector. */
class Instances {
  readonly world: StreamWorld
  readonly #databases: Databases
  readonly #projections: Projections
  readonly #processors: ProcessorProcess[] = []
  readonly #directories: { remove(): Promise<void> }[] = []

  private constructor(world: StreamWorld, databases: Databases) {
    this.world = world
    this.#databases = databases
    this.#projections = new Projections(world, databases)
  }

  static async open(engines: Engines, kafka: string[] | null): Promise<Instances> {
    const databases = await Databases.create(engines)
    const place: LogPlace = kafka === null ? { postgres: databases.postgresUrl } : { kafka }
    const world = await StreamWorld.open(place, { partitions })
    await world.publisher.cutPoints([10, 20, 30], [1, 2], [5_000])
    await world.publisher.day(jan10)
    await world.publisher.transactions(traffic(1))
    return new Instances(world, databases)
  }

  async start({ threads = 1, after, crashAt }: Start = {}): Promise<ProcessorProcess> {
    const dataDir = after?.dataDir ?? (await this.#directory())
    const env = {
      ...this.world.env,
      // The end of a session is waited for.
      LOYALTY_SESSION_TIMEOUT_MS: '3000',
      LOYALTY_PROCESSOR_THREADS: String(threads),
    }
    const processor = new ProcessorProcess({ env, dataDir, ...(crashAt === undefined ? {} : { crashAt }) })
    this.#processors.push(processor)
    return processor
  }

  async #directory(): Promise<string> {
    const directory = await tempDir()
    this.#directories.push(directory)
    return directory.path
  }

  async owns(processor: ProcessorProcess, count: number): Promise<void> {
    await eventually(async () => (await processor.owned()).length === count, {
      timeoutMs: 60_000,
      everyMs: 100,
      what: `owning ${count}`,
    })
  }

  /** Kills what still runs; then the log, the state of every processor, dead or replaced, and both projections are in order. */
  async check(): Promise<Outcome> {
    for (const processor of this.#processors) {
      await processor.kill()
      await withStores(processor.dataDir, (stores) => checkStores(this.world, stores, { caughtUp: false }))
    }
    await this.#projections.check()
    return checkInvariants(this.world)
  }

  async close(): Promise<void> {
    for (const processor of this.#processors) await processor.kill()
    await this.#projections.close()
    await this.world.close()
    await this.#databases.drop()
    for (const directory of this.#directories) await directory.remove()
  }
}

let engines: Engines
beforeAll(async () => {
  engines = await startEngines()
})
afterAll(() => engines?.stop())

function suite(brokers: () => string[] | null): void {
  test.concurrent('three share the partitions; one leaves, one dies; nothing is lost or doubled', async () => {
    const instances = await Instances.open(engines, brokers())
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
      expect((await instances.check()).accepted).toBeGreaterThan(300)
    } finally {
      await instances.close()
    }
  })

  test.concurrent('one of two threads is killed in the middle of a step, later from outside; nothing is lost or doubled', async () => {
    const instances = await Instances.open(engines, brokers())
    const { world } = instances
    try {
      const first = await instances.start({ threads: 2, crashAt: { point: 'after-produce', times: 8 } })
      await world.publisher.transactions(traffic(2))
      // A thread takes the whole process along.
      expect(await first.ended(), first.output).toBe('SIGKILL')
      const second = await instances.start({ threads: 2, after: first })
      await instances.owns(second, partitions)
      await world.publisher.transactions(traffic(3))
      await second.kill()
      const third = await instances.start({ threads: 2, after: second })
      await world.publisher.day(jan10 + 50)
      await world.settled()
      expect(await third.stop(), third.output).toBe('0')
      expect((await instances.check()).accepted).toBeGreaterThan(300)
    } finally {
      await instances.close()
    }
  })

  for (const when of ['before', 'after'] as const)
    test.concurrent(`an owner paused past its session and resumed ${when} its successor's first step shows nothing`, async () => {
      const instances = await Instances.open(engines, brokers())
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
        await instances.check()
      } finally {
        await instances.close()
      }
    })
}

describe('on the Postgres log', () => suite(() => null))

describe('on Kafka', () => {
  let kafka: RunningKafka
  beforeAll(async () => {
    kafka = await startKafka()
  })
  suite(() => kafka.brokers)
  afterAll(() => kafka?.stop())
})
