import filterAbortedMessages, { type FilterMessage } from 'kafkajs/src/consumer/filterAbortedMessages.js'
import { expect, test } from 'vitest'

/**
 * Patches of kafkajs's read-committed filter, for which no public issue was found. The Java client does the same
 * (CompletedFetch.consumeAbortedTransactionsUpTo).
 */
const record = (offset: number, producerId: string, key = 'k'): FilterMessage => ({
  offset: String(offset),
  key: Buffer.from(key),
  isControlRecord: false,
  batchContext: { producerId, inTransaction: true },
})
const abortMarker = (offset: number, producerId: string): FilterMessage => ({
  ...record(offset, producerId),
  key: Buffer.alloc(4),
  isControlRecord: true,
})
const kept = (messages: FilterMessage[], abortedTransactions: { producerId: string; firstOffset: string }[]) =>
  filterAbortedMessages({ messages, abortedTransactions })
    .filter(({ isControlRecord }) => !isControlRecord)
    .map(({ offset }) => Number(offset))

test('aborted transactions of two producers that interleave are dropped, though listed in the order of their ends', () => {
  const messages = [
    ...[record(10, 'A'), record(11, 'B'), record(12, 'A'), abortMarker(13, 'B')],
    ...[record(14, 'A'), abortMarker(15, 'A'), record(16, 'C')],
  ]
  const byEnd = [
    { producerId: 'B', firstOffset: '11' },
    { producerId: 'A', firstOffset: '10' },
  ]
  expect(kept(messages, byEnd)).toEqual([16])
})

test('a fetch that begins inside two aborted transactions drops both', () => {
  const messages = [record(20, 'B'), record(21, 'A'), abortMarker(22, 'A'), abortMarker(23, 'B'), record(24, 'A')]
  const aborted = [
    { producerId: 'A', firstOffset: '5' },
    { producerId: 'B', firstOffset: '7' },
  ]
  expect(kept(messages, aborted)).toEqual([24])
})

test('a record of a user whose key is four zero bytes does not end an aborted transaction', () => {
  const messages = [record(1, 'A', '\0\0\0\0'), record(2, 'A'), abortMarker(3, 'A'), record(4, 'A')]
  expect(kept(messages, [{ producerId: 'A', firstOffset: '1' }])).toEqual([4])
})
