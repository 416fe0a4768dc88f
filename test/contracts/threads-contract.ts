import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { eventually } from '../support/eventually.ts'
import { checkInvariants, checkStores } from '../support/loyalty/invariants.ts'
import { withStores } from '../support/loyalty/stored.ts'
import type { LogPlace } from '../support/loyalty/stream-world.ts'
import { get, sample, shared, ThreadsWorld, tasksOf } from '../support/loyalty/threads-world.ts'
import { jan10, traffic } from '../support/loyalty/traffic.ts'

/** What a processor of two threads does, whatever the log. */
export function threadsContract(name: string, place: () => Promise<LogPlace>): void {
  describe(`a processor of two threads on ${name}`, () => {
    let threads: ThreadsWorld
    beforeEach(async () => {
      threads = await ThreadsWorld.open(await place(), 4)
    })
    afterEach(() => threads?.close())

    const publish = async (round: number) => {
      await threads.world.publisher.transactions(traffic(round))
      await threads.world.settled()
    }
    const checked = (directory: string) =>
      withStores(threads.path(directory), async (stores) => {
        expect([...stores.keys()].sort()).toEqual([0, 1, 2, 3])
        await checkStores(threads.world, stores, { caughtUp: true })
        await checkInvariants(threads.world, stores)
      })

    test('shares the partitions between them and answers as one', async () => {
      const processor = threads.start('a')
      await shared(processor, [2, 2])
      await publish(1)
      await publish(2)

      const readiness = await get(processor, '/readiness')
      expect(readiness.status).toBe(200)
      const names = ['group', 'task 0', 'task 1', 'task 2', 'task 3']
      expect(await readiness.json()).toMatchObject({ checks: names.map((name) => ({ name, ok: true })) })
      expect((await tasksOf(processor)).map(({ partition }) => partition)).toEqual([0, 1, 2, 3])
      expect((await get(processor, '/healthcheck')).status).toBe(200)

      const published = traffic(1).length + traffic(2).length
      // A step is counted a moment after it was committed.
      await eventually(async () => (await sample(processor, 'loyalty_records_total')) >= published)
      expect(await sample(processor, 'loyalty_records_total')).toBe(published)
      expect(await sample(processor, 'loyalty_batch_records_sum')).toBe(published)
      expect(await sample(processor, 'loyalty_classifier_rows_total')).toBeGreaterThan(0)
      // Of the process there is one, however many threads: counted twice it would have started in the future.
      const startedAt = await sample(processor, 'process_start_time_seconds')
      expect(startedAt).toBeGreaterThan(Date.now() / 1_000 - 600)
      expect(startedAt).toBeLessThan(Date.now() / 1_000)

      expect(await processor.stop(), processor.output).toBe('0')
      const lines = processor.output.trimEnd().split('\n').slice(-10)
      const entries = lines.map((line) => JSON.parse(line))
      expect(entries).toContainEqual(expect.objectContaining({ service: 'processor', message: 'task', thread: 2 }))
      expect(entries.at(-1)).toMatchObject({ service: 'processor', message: 'stopped' })
      await checked('a')
    })

    test('hands partitions over to another process and takes them back, whichever thread had them', async () => {
      const first = threads.start('a')
      await shared(first, [2, 2])
      await publish(1)
      const second = threads.start('b')
      await shared(second, [1, 1])
      await shared(first, [1, 1])
      await publish(2)
      expect(await second.stop(), second.output).toBe('0')
      await shared(first, [2, 2])
      await threads.world.publisher.day(jan10 + 50)
      await publish(3)
      expect(await first.stop(), first.output).toBe('0')
      await checked('a')
    })
  })
}
