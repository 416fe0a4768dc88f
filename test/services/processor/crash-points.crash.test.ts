import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type CrashPoint, crashPoints } from '#streams/core/hooks.ts'
import { type RunningKafka, startKafka } from '../../support/kafka/shared-kafka.ts'
import { checkInvariants, checkStores, type Outcome } from '../../support/loyalty/invariants.ts'
import { ProcessorProcess } from '../../support/loyalty/processor-process.ts'
import type { Projected } from '../../support/loyalty/projected.ts'
import {
  Databases,
  type Engines,
  Projections,
  type ProjectorCrash,
  startEngines,
} from '../../support/loyalty/projections.ts'
import { withStores } from '../../support/loyalty/stored.ts'
import { type LogPlace, StreamWorld } from '../../support/loyalty/stream-world.ts'
import { jan10, strays, traffic } from '../../support/loyalty/traffic.ts'
import { tempDir } from '../../support/temp-dir.ts'

/** Passed once or twice in a run of this size. */
const rare: readonly CrashPoint[] = [
  'after-fencing',
  'inside-restore-ledgers',
  'inside-restore-rows',
  'inside-sweep-slice',
]

/** What a run leaves behind: on the log and in the two stores. */
interface End {
  readonly outcome: Outcome
  readonly projected: Projected
}

/** A programme with databases, a data directory and a projector of its own. */
class Run {
  readonly world: StreamWorld
  readonly #databases: Databases
  readonly #directory: { readonly path: string; remove(): Promise<void> }
  readonly #projections: Projections
  #processor: ProcessorProcess | null = null

  private constructor(parts: {
    world: StreamWorld
    databases: Databases
    directory: { readonly path: string; remove(): Promise<void> }
    projections: Projections
  }) {
    this.world = parts.world
    this.#databases = parts.databases
    this.#directory = parts.directory
    this.#projections = parts.projections
  }

  static async open(engines: Engines, kafka: string[] | null, projectorCrash?: ProjectorCrash): Promise<Run> {
    const databases = await Databases.create(engines)
    const place: LogPlace = kafka === null ? { postgres: databases.postgresUrl } : { kafka }
    const world = await StreamWorld.open(place)
    const projections = new Projections(world, databases, projectorCrash)
    return new Run({ world, databases, projections, directory: await tempDir() })
  }

  get dataDir(): string {
    return this.#directory.path
  }

  start(crashAt?: { point: CrashPoint; times: number }): ProcessorProcess {
    // After a death it has to be waited for.
    const env = { ...this.world.env, LOYALTY_SESSION_TIMEOUT_MS: '3000' }
    const options = { env, dataDir: this.dataDir }
    this.#processor = new ProcessorProcess(crashAt === undefined ? options : { ...options, crashAt })
    return this.#processor
  }

  async begin(): Promise<void> {
    const { publisher } = this.world
    await publisher.cutPoints([10, 20, 30], [1, 2], [5_000])
    await publisher.day(jan10)
    for (const [i, city] of ['Riga', 'Brno', 'Cork'].entries())
      await publisher.profile({
        client_id: `c${i}`,
        name: `Client ${i}`,
        city,
        communication_preferences: { sms: true },
      })
    await publisher.transactions(traffic(1))
    await publisher.misplaced(strays(1))
  }

  async goOn(): Promise<void> {
    const { publisher } = this.world
    await publisher.transactions(traffic(2))
    await publisher.misplaced(strays(2))
    await publisher.erase('c1')
    await publisher.day(jan10 + 120)
    await publisher.transactions(traffic(3))
    await publisher.misplaced(strays(3))
  }

  /** After the processor has caught up: ends it, checks everything that must hold, and answers what there is. */
  async end(): Promise<End> {
    await this.world.settled()
    expect(await this.#processor?.stop(), this.#processor?.output).toBe('0')
    const outcome = await withStores(this.dataDir, async (stores) => {
      expect([...stores.keys()].sort()).toEqual([0, 1])
      await checkStores(this.world, stores, { caughtUp: true })
      return checkInvariants(this.world, stores)
    })
    return { outcome, projected: withoutPlaces(await this.#projections.check()) }
  }

  async close(): Promise<void> {
    await this.#processor?.kill()
    await this.#projections.close()
    await this.world.close()
    await this.#databases.drop()
    await this.#directory.remove()
  }
}

/** Where a record came to stand behind those that other partitions passed on differs from run to run. */
function withoutPlaces(projected: Projected): Projected {
  const placeless = (rows: Projected['transactions']) =>
    rows
      .map(({ log_offset: _, ...row }) => row)
      .map((row) => [JSON.stringify(row), row] as const)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([, row]) => row)
  return { ...projected, transactions: placeless(projected.transactions), effects: placeless(projected.effects) }
}

async function undisturbed(engines: Engines, kafka: string[] | null): Promise<End> {
  const run = await Run.open(engines, kafka)
  try {
    await run.begin()
    run.start()
    await run.world.settled()
    await run.goOn()
    return await run.end()
  } finally {
    await run.close()
  }
}

async function killed(run: Run, point: CrashPoint): Promise<End> {
  await run.begin()
  if (point.startsWith('inside-restore')) {
    const first = run.start()
    await run.world.settled()
    await first.stop()
    rmSync(join(run.dataDir, 'state'), { recursive: true, force: true })
  }
  const processor = run.start({ point, times: rare.includes(point) ? 1 : 3 })
  await run.goOn()
  expect(await processor.ended(), processor.output).toBe('SIGKILL')
  await withStores(run.dataDir, (stores) => checkStores(run.world, stores, { caughtUp: false }))
  run.start()
  return run.end()
}

let engines: Engines
beforeAll(async () => {
  engines = await startEngines()
})
afterAll(() => engines?.stop())

function sweepCrashPoints(brokers: () => string[] | null): void {
  let expected: End
  beforeAll(async () => {
    expected = await undisturbed(engines, brokers())
  })

  for (const [index, point] of crashPoints.entries()) {
    // Beside it the projector dies too, in the middle of its first inserts.
    const insert = index % 2 === 0 ? 'after-intent' : 'after-insert'
    test.concurrent(`killed ${point}, and the projector ${insert}`, async () => {
      const run = await Run.open(engines, brokers(), { point: insert, times: 1 + (index % 3) })
      try {
        expect(await killed(run, point)).toEqual(expected)
      } finally {
        await run.close()
      }
    })
  }
}

describe('on the Postgres log, ledgers, rows and both projections are those of an undisturbed run after the processor was', () => {
  sweepCrashPoints(() => null)
})

describe('on Kafka, ledgers, rows and both projections are those of an undisturbed run after the processor was', () => {
  let kafka: RunningKafka
  beforeAll(async () => {
    kafka = await startKafka()
  })
  sweepCrashPoints(() => kafka.brokers)
  afterAll(() => kafka?.stop())
})
