import OffsetManager from 'kafkajs/src/consumer/offsetManager/index.js'
import { expect, test, vi } from 'vitest'

/** Patch of tulios/kafkajs#1119 (and PR #1133): a consumer without autoCommit committed the default offset by itself. */
test('an offset out of range is an error, and nothing is committed', async () => {
  const offsetCommit = vi.fn(async () => {})
  const manager = new OffsetManager({
    cluster: { defaultOffset: () => -1, committedOffsets: () => ({}) },
    coordinator: { offsetCommit },
    memberAssignment: { t: [0] },
    topicConfigurations: { t: {} },
    groupId: 'g',
  })
  await expect(manager.setDefaultOffset({ topic: 't', partition: 0 })).rejects.toThrow(/out of range/)
  expect(offsetCommit).not.toHaveBeenCalled()
})
