import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type CrashPoint, crashPoints } from '#streams/core/hooks.ts'
import { type RunningKafka, startKafka } from '../../support/kafka/shared-kafka.ts'
import { checkInvariants, type Outcome } from '../../support/loyalty/invariants.ts'
import { ProcessorProcess } from '../../support/loyalty/processor-process.ts'
import { sale } from '../../support/loyalty/publisher.ts'
import { type LogPlace, StreamWorld } from '../../support/loyalty/stream-world.ts'
import { type RunningPostgres, startPostgres } from '../../support/postgres.ts'
import { tempDir } from '../../support/temp-dir.ts'

const jan10 = 19_732
const dayMs = 86_400_000

/** Passed once or twice in a run of this size. */
const rare: readonly CrashPoint[] = [
  'after-fencing',
  'inside-restore-ledgers',
  'inside-restore-rows',
  'inside-sweep-slice',
]

/** Sales over forty days, with voids, refunds, repetitions and two records of poison. */
function traffic(round: number) {
  return Array.from({ length: 90 }, (_, i) => {
    const client = `c${(i * 7 + round) % 30}`
    const id = `r${round}-${i}`
    const original = `r${round}-${i - 30}`
    if (i > 30 && i % 13 === 4)
      return sale(client, { transaction_id: id, kind: 'VOID', amount_minor: 0, original_transaction_id: original })
    if (i > 30 && i % 11 === 3)
      return sale(client, { transaction_id: id, kind: 'REFUND', amount_minor: 150, original_transaction_id: original })
    if (i === 77) return sale(client, { transaction_id: id, currency: 'USD' })
    const repeated = i % 17 === 16 ? `r${round}-${i - 1}x` : id
    return sale(client, {
      transaction_id: repeated,
      occurred_at: (jan10 - (i % 40)) * dayMs,
      amount_minor: 100 * (i + 1),
    })
  })
}

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
