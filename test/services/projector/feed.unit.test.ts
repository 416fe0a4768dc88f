import { describe, expect, it } from 'vitest'
import { decoderOf } from '#schemas/decoder.ts'
import { encodersOf } from '#schemas/encoder.ts'
import { registerAll } from '#schemas/registry.ts'
import { topicSpecs, topicsOf } from '#schemas/topics.ts'
import { Feed, type FeedOptions } from '#services/projector/feed.ts'
import { type Batch, type Delivery, projectedEvents, type Range } from '#services/projector/projection.ts'
import { Reading } from '#services/projector/reading.ts'
import { eventually } from '../../support/eventually.ts'
import { MemoryLog } from '../../support/memory-log.ts'
import { MemoryRegistry } from '../../support/memory-registry.ts'

const topics = topicsOf('test')
const partitions = 3

/** Remembers steps of blocks; open while a block has further parts. */
class Blocks implements Batch {
  readonly steps: string[] = []
  readonly #open = new Set<number>()

  get open(): boolean {
    return this.#open.size > 0
  }

  get rows(): number {
    return this.steps.length
  }

  add(delivery: Delivery): void {
    if (delivery.name !== 'TransactionsAccepted') return
    this.steps.push(`${delivery.partition}:${delivery.event.step}.${delivery.event.part}`)
    if (delivery.event.part < delivery.event.parts) this.#open.add(delivery.partition)
    else this.#open.delete(delivery.partition)
  }
}

async function setUp(over: Partial<FeedOptions<Blocks>> = {}) {
  const log = new MemoryLog()
  await log.admin.ensureTopics(topicSpecs(topics, partitions))
  const registry = new MemoryRegistry()
  const encoders = encodersOf(await registerAll(registry, topics, ['TransactionsAccepted']))
  const applied: { steps: readonly string[]; ranges: readonly Range[] }[] = []
  const rejected: number[] = []
  const accept = (partition: number, step: number, part = 1, parts = 1) => {
    const nothing = { from_offset: 0, to_offset: 0, batches: [], facts: [], adjustments: [], repeats: [] }
    const value = encoders.TransactionsAccepted.encode({ task: partition, step, part, parts, ...nothing })
    return log.writer().append(topics.accepted, partition, [{ key: null, value }])
  }
  const feed = new Feed<Blocks>({
    log,
    reading: new Reading(decoderOf(registry, ...projectedEvents), topics),
    projection: { begin: () => new Blocks() },
    positions: [0, 1, 2].map((partition) => ({ topic: topics.accepted, partition, nextOffset: 0 })),
    lingerMs: 0,
    maxRows: 5,
    reject: async ({ record }) => void rejected.push(record.offset),
    apply: async (batch, ranges) => void applied.push({ steps: batch.steps, ranges }),
    ...over,
  })
  return { log, registry, feed, applied, rejected, accept }
}

const stepsOf = (applied: readonly { steps: readonly string[] }[]) => applied.flatMap(({ steps }) => steps)

describe('a feed', () => {
  it('applies every record of every partition in order, in batches of bounded size, over ranges without gaps', async () => {
    const { feed, applied, accept } = await setUp()
    for (let step = 1; step <= 12; step++)
      for (let partition = 0; partition < 3; partition++) await accept(partition, step)
    const running = feed.run()
    await eventually(() => stepsOf(applied).length === 36)
    feed.stop()
    await running
    for (const partition of [0, 1, 2]) {
      const mine = stepsOf(applied).filter((step) => step.startsWith(`${partition}:`))
      expect(mine).toEqual(Array.from({ length: 12 }, (_, n) => `${partition}:${n + 1}.1`))
      const ranges = applied.flatMap((batch) => batch.ranges.filter((range) => range.partition === partition))
      expect(ranges.map(({ from }) => from)).toEqual([0, ...ranges.slice(0, -1).map(({ to }) => to)])
      expect(feed.position(topics.accepted, partition)).toBe(12)
    }
    expect(Math.max(...applied.map(({ steps }) => steps.length))).toBe(5)
  })

  it('gathers longer where applying takes long, up to its bound', async () => {
    const slow = async (mostLingerMs: number) => {
      let applications = 0
      const { feed, accept } = await setUp({
        lingerMs: 1,
        mostLingerMs,
        maxRows: 1_000,
        apply: async () => {
          applications++
          await new Promise((resolve) => setTimeout(resolve, 40))
        },
      })
      const running = feed.run()
      const endAt = performance.now() + 1_000
      for (let step = 1; performance.now() < endAt; step++) {
        await accept(0, step)
        await new Promise((resolve) => setTimeout(resolve, 5))
      }
      feed.stop()
      await running
      return applications
    }
    // A batch every 40 ms, and one every 160.
    const [often, seldom] = await Promise.all([slow(1), slow(1_000)])
    expect(seldom).toBeLessThan(often * 0.7)
  })

  it('never ends a batch inside a block, and waits for the rest of one', async () => {
    const { feed, applied, accept } = await setUp({ maxRows: 2 })
    await accept(0, 1, 1, 3)
    await accept(1, 1)
    const running = feed.run()
    await eventually(() => feed.oldestPendingMs !== null)
    await accept(0, 1, 2, 3)
    await accept(0, 1, 3, 3)
    await accept(0, 2)
    await eventually(() => stepsOf(applied).length === 5)
    feed.stop()
    await running
    const holder = applied.find(({ steps }) => steps.includes('0:1.1'))
    expect(holder?.steps.filter((step) => step.startsWith('0:1.'))).toEqual(['0:1.1', '0:1.2', '0:1.3'])
  })

  it('reads and decodes the next batch while one is applied, and applies one at a time', async () => {
    let release = () => {}
    const gate = new Promise<void>((resolve) => {
      release = resolve
    })
    let running = 0
    let most = 0
    const seen: string[] = []
    const { feed, accept } = await setUp({
      apply: async (batch) => {
        most = Math.max(most, ++running)
        await gate
        seen.push(...batch.steps)
        running--
      },
    })
    await accept(0, 1)
    const run = feed.run()
    await eventually(() => running === 1)
    for (let step = 2; step <= 8; step++) await accept(0, step)
    release()
    await eventually(() => seen.length === 8)
    feed.stop()
    await run
    expect(most).toBe(1)
  })

  it('holds still while it is paused, and goes on after', async () => {
    const { feed, applied, accept } = await setUp()
    const running = feed.run()
    await accept(0, 1)
    await eventually(() => stepsOf(applied).length === 1)
    const resume = await feed.pause()
    await accept(0, 2)
    const other = feed.pause()
    expect(stepsOf(applied)).toEqual(['0:1.1'])
    resume()
    ;(await other)()
    await eventually(() => stepsOf(applied).length === 2)
    feed.stop()
    await running
    await expect(feed.pause()).rejects.toMatchObject({ code: 'feed_ended' })
  })

  it('ends with the error of what it applies, and leaves its position before it', async () => {
    const { feed, accept } = await setUp({
      apply: async () => {
        throw new Error('the store is away')
      },
    })
    await accept(0, 1)
    await expect(feed.run()).rejects.toThrow('the store is away')
    expect(feed.position(topics.accepted, 0)).toBe(0)
  })

  it('hands over what cannot be read and goes on behind it', async () => {
    const { feed, applied, rejected, log, accept } = await setUp()
    await log.writer().append(topics.accepted, 0, [{ key: null, value: Buffer.from('junk') }])
    await accept(0, 1)
    const running = feed.run()
    await eventually(() => stepsOf(applied).length === 1)
    feed.stop()
    await running
    expect(rejected).toEqual([0])
  })

  it('ends, to be started again, when a schema cannot be fetched', async () => {
    const { feed, registry, accept } = await setUp()
    await accept(0, 1)
    registry.unavailable = true
    await expect(feed.run()).rejects.toMatchObject({ code: 'registry_unavailable', retriable: true })
  })
})
