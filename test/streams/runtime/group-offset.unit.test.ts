import { afterEach, expect, test } from 'vitest'
import { eventually } from '../../support/eventually.ts'
import { TopologyDriver } from '../../support/loyalty/driver.ts'
import { sale } from '../../support/loyalty/publisher.ts'

let driver: TopologyDriver

afterEach(() => driver.close())

const group = 'processor'
const told = async () => (await driver.log.admin.groupOffsets(group, driver.topics.transactions)).get(0)
const send = (count: number, round: string) =>
  driver.publisher.transactions(Array.from({ length: count }, (_, i) => sale('c', { transaction_id: `${round}${i}` })))

async function started() {
  driver = await TopologyDriver.open({ partitions: 1, settings: { maxStepRecords: 10 } })
  await driver.publisher.programme()
  const worker = await driver.startWorker()
  await driver.settled(worker)
  return worker
}

test('the group is told within a second where a task is that has nothing to do, never more than that', async () => {
  const worker = await started()
  await send(100, 'a')
  await driver.settled(worker)
  // Ten steps follow one another at once: one of them tells.
  expect(await told()).toBeLessThan(100)
  await eventually(async () => (await told()) === 100, { timeoutMs: 3_000 })
  const steps = driver.steps.length
  await new Promise((resolve) => setTimeout(resolve, 1_200))
  expect(driver.steps).toHaveLength(steps)
  expect(await told()).toBe(100)
})

test('the group is told where a task is that ends, and a takeover finds nothing to complain of', async () => {
  const worker = await started()
  await send(100, 'a')
  await driver.settled(worker)
  await worker.close()
  expect(await told()).toBe(100)
  const next = await driver.startWorker()
  await driver.settled(next)
  expect(driver.warnings.filter(({ code }) => code === 'group_offset_differs')).toEqual([])
})

test('a group offset behind the position is mended without a word, one ahead of it is worth one', async () => {
  const worker = await started()
  await send(30, 'a')
  await driver.settled(worker)
  await worker.close()
  const { admin } = driver.log
  for (const [offset, warnings] of [
    [12, 0],
    [31, 1],
  ] as const) {
    await admin.setGroupOffsets({ group, topic: driver.topics.transactions, offsets: new Map([[0, offset]]) })
    const next = await driver.startWorker()
    await driver.settled(next)
    await eventually(async () => (await told()) === 30)
    expect(driver.warnings.filter(({ code }) => code === 'group_offset_differs')).toHaveLength(warnings)
    await next.close()
  }
})
