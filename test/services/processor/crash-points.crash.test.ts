import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type CrashPoint, crashPoints } from '#streams/core/hooks.ts'
import { type RunningKafka, startKafka } from '../../support/kafka/shared-kafka.ts'
import { checkInvariants, type Outcome } from '../../support/loyalty/invariants.ts'
import { ProcessorProcess } from '../../support/loyalty/processor-process.ts'
import { type LogPlace, StreamWorld } from '../../support/loyalty/stream-world.ts'
import { jan10, traffic } from '../../support/loyalty/traffic.ts'
import { type RunningPostgres, startPostgres } from '../../support/postgres.ts'
import { tempDir } from '../../support/temp-dir.ts'

/** Passed once or twice in a run of this size. */
const rare: readonly CrashPoint[] = [
  'after-fencing',
  'inside-restore-ledgers',
  'inside-restore-rows',
  'inside-sweep-slice',
]

async function begin(world: StreamWorld): Promise<void> {
  await world.publisher.cutPoints([10, 20, 30], [1, 2], [5_000])
  await world.publisher.day(jan10)
  await world.publisher.transactions(traffic(1))
}

async function goOn(world: StreamWorld): Promise<void> {
  await world.publisher.transactions(traffic(2))
  await world.publisher.day(jan10 + 120)
  await world.publisher.transactions(traffic(3))
}

async function undisturbed(place: LogPlace): Promise<Outcome> {
  const world = await StreamWorld.open(place)
  const directory = await tempDir()
  const processor = new ProcessorProcess({ env: world.env, dataDir: directory.path })
  try {
    await begin(world)
    await world.settled()
    await goOn(world)
    await world.settled()
    return await checkInvariants(world)
  } finally {
    expect(await processor.stop()).toBe('0')
    await world.close()
    await directory.remove()
  }
}

function sweepCrashPoints(start: () => Promise<LogPlace>): void {
  let place: LogPlace
  let expected: Outcome
  beforeAll(async () => {
    place = await start()
    expected = await undisturbed(place)
  })

  for (const point of crashPoints)
    test(`killed ${point}`, async () => {
      const world = await StreamWorld.open(place)
      const directory = await tempDir()
      const options = { env: world.env, dataDir: directory.path }
      let processor: ProcessorProcess | null = null
      try {
        await begin(world)
        if (point.startsWith('inside-restore')) {
          processor = new ProcessorProcess(options)
          await world.settled()
          await processor.stop()
          rmSync(join(directory.path, 'state'), { recursive: true, force: true })
        }
        const times = rare.includes(point) ? 1 : 3
        processor = new ProcessorProcess({ ...options, crashAt: { point, times } })
        await goOn(world)
        expect(await processor.ended(), processor.output).toBe('SIGKILL')
        processor = new ProcessorProcess(options)
        await world.settled()
        expect(await checkInvariants(world)).toEqual(expected)
        expect(await processor.stop()).toBe('0')
      } finally {
        await processor?.kill()
        await world.close()
        await directory.remove()
      }
    }, 60_000)
}

describe('on the Postgres log, the outcome is that of an undisturbed run after the processor was', () => {
  let postgres: RunningPostgres
  sweepCrashPoints(async () => {
    postgres = await startPostgres()
    return { postgres: postgres.url }
  })
  afterAll(() => postgres?.stop())
})

describe('on Kafka, the outcome is that of an undisturbed run after the processor was', () => {
  let kafka: RunningKafka
  sweepCrashPoints(async () => {
    kafka = await startKafka()
    return { kafka: kafka.brokers }
  })
  afterAll(() => kafka?.stop())
})
