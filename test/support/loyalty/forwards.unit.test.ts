import { afterEach, beforeEach, expect, test } from 'vitest'
import type { LogRecord } from '#streams/log/log.ts'
import { decodePosition, encodePosition, positionHeader } from '#streams/runtime/position.ts'
import { TopologyDriver } from './driver.ts'
import { checkForwards } from './forwards.ts'
import { sale } from './publisher.ts'

/** Every check of what was passed on must fail on a log that breaks what it stands for. */

let driver: TopologyDriver

beforeEach(async () => {
  driver = await TopologyDriver.open({ partitions: 2 })
  const { publisher } = driver
  await publisher.programme()
  await publisher.transactions([sale('anna'), sale('boris'), sale('clara'), sale('dora')])
  await publisher.misplaced([sale('anna'), sale('boris'), sale('clara'), sale('dora')])
  const worker = await driver.startWorker()
  await driver.settled(worker)
  await worker.close()
})

afterEach(() => driver.close())

function recordsIn(partition: number, topic = driver.topics.transactions): LogRecord[] {
  return driver.log.broker.partition(topic, partition).records
}

/** Index of the first record of partition 0 that was passed on to it. */
function passedOn(): number {
  return recordsIn(0).findIndex(({ headers }) => Object.keys(headers).length > 0)
}

test('what a run leaves behind is in order', async () => {
  expect(await driver.check()).toMatchObject({ accepted: 8, forwarded: 4, dead: 0, countSum: 8 })
})

const complaint = /stand once where they belong/
const broken: Readonly<Record<string, () => unknown>> = {
  'a record was passed on and is nowhere': () => recordsIn(0).splice(passedOn(), 1),
  'a record was passed on twice': () => recordsIn(0).splice(passedOn(), 0, recordsIn(0)[passedOn()]!),
  'a record was passed on with other bytes': () =>
    recordsIn(0).splice(passedOn(), 1, { ...recordsIn(0)[passedOn()]!, value: Buffer.from('x') }),
  'a record was passed on without its headers': () => {
    const index = recordsIn(1).findIndex(({ key }) => String(key) === String(recordsIn(0)[passedOn()]!.key))
    recordsIn(1).splice(index, 1, { ...recordsIn(1)[index]!, headers: { origin: Buffer.from('till') } })
  },
  'a block does not say that a record was passed on': () => {
    for (const partition of [0, 1]) {
      const blocks = recordsIn(partition, driver.topics.accepted)
      for (const [index, block] of blocks.entries()) {
        const position = encodePosition({ ...decodePosition(block.headers), forwarded: [] })
        blocks[index] = { ...block, headers: { [positionHeader]: position } }
      }
    }
  },
}

test.each(Object.entries(broken))('%s: noticed', async (_name, doctor) => {
  await doctor()
  await expect(checkForwards(driver)).rejects.toThrow(complaint)
  await expect(driver.check()).rejects.toThrow()
})
