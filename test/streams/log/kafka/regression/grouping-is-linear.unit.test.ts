import groupMessagesPerPartition from 'kafkajs/src/producer/groupMessagesPerPartition.js'
import { expect, test } from 'vitest'

/** Patch of tulios/kafkajs#1576: the group was copied for every message, so that a batch cost its square. */
test('grouping 200,000 messages by partition takes time in proportion, and keeps their order', () => {
  const messages = Array.from({ length: 200_000 }, (_, index) => ({ index }))
  const startedAt = performance.now()
  const groups = groupMessagesPerPartition({
    topic: 't',
    partitionMetadata: [{ partitionId: 0 }, { partitionId: 1 }],
    messages,
    partitioner: ({ message }) => message.index % 2,
  })
  // Unpatched it takes minutes.
  expect(performance.now() - startedAt).toBeLessThan(3_000)
  expect(groups[0]!.map(({ index }) => index)).toEqual(Array.from({ length: 100_000 }, (_, index) => index * 2))
  expect(groups[1]).toHaveLength(100_000)
})
