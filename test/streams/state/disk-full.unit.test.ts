import { join } from 'node:path'
import { expect, test } from 'vitest'
import { readRange } from '#streams/log/range.ts'
import { openLmdbStore } from '#streams/state/lmdb-state-store.ts'
import { eventually } from '../../support/eventually.ts'
import { TopologyDriver } from '../../support/loyalty/driver.ts'
import { sale } from '../../support/loyalty/publisher.ts'
import { tempDir } from '../../support/temp-dir.ts'

test('tasks whose disk is full wait with growing pauses, and go on by themselves when there is room', async () => {
  const dir = await tempDir()
  const pauses = { backoffMs: 20, maxBackoffMs: 100 }
  const driver = await TopologyDriver.open({ settings: { ...pauses, maxStepRecords: 5 } })
  try {
    let free = Number.POSITIVE_INFINITY
    const stores = new Map(
      [0, 1].map((partition) => [
        partition,
        openLmdbStore(join(dir.path, String(partition)), { freeBytes: () => free }),
      ]),
    )
    const sales = (round: number) =>
      Array.from({ length: 40 }, (_, index) => sale(`c${index}`, { transaction_id: `r${round}-${index}` }))
    await driver.publisher.programme()
    await driver.publisher.transactions(sales(1))
    const worker = await driver.startWorker({ stores })
    await driver.settled(worker)

    free = 1_000
    const beganAt = performance.now()
    const blocksBefore = await blocks(driver)
    await driver.publisher.transactions(sales(2))
    const refusals = () => driver.warnings.filter(({ message }) => message.includes('MiB free'))
    await eventually(() => refusals().length >= 12, { timeoutMs: 10_000 })
    // The first pauses double; from then on there is one look per partition in the longest pause.
    expect(refusals().length).toBeLessThan(2 * (5 + (performance.now() - beganAt) / pauses.maxBackoffMs))
    // A step that was in the log before its state was refused is not repeated, and none is added.
    expect((await blocks(driver)) - blocksBefore).toBeLessThanOrEqual(2)

    free = Number.POSITIVE_INFINITY
    await driver.settled(worker)
    expect(driver.stopped).toEqual([])
    await driver.check()
  } finally {
    await driver.close()
    await dir.remove()
  }
})

/** Committed blocks of all partitions: one for each step. */
async function blocks({ log, topics }: TopologyDriver): Promise<number> {
  let count = 0
  for (const [partition, end] of (await log.admin.endOffsets(topics.accepted)).entries())
    for await (const { records } of readRange(log, topics.accepted, partition, 0, end)) count += records.length
  return count
}
