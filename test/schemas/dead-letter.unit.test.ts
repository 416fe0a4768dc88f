import { describe, expect, test } from 'vitest'
import {
  deadLetterReasons,
  deadLetterRecord,
  decodeDeadLetterHeaders,
  decodeReplayHeaders,
  encodeDeadLetterHeaders,
  encodeReplayHeaders,
  largestDeadLetterValue,
} from '#schemas/dead-letter.ts'

const original = {
  topic: 'loyalty.transactions',
  partition: 3,
  offset: 9_007_199_254_740_991,
  timestampMs: 1_700_000_000_000,
  key: Buffer.from('client-1'),
  value: Buffer.from('raw'),
}

describe('dead letter', () => {
  test.each(deadLetterReasons)('keeps the original and says why: %s', (reason) => {
    const record = deadLetterRecord(original, reason, 'сумма отрицательна', 7)
    expect([record.key, record.value]).toEqual([original.key, original.value])
    expect(decodeDeadLetterHeaders(record.headers)).toEqual({
      reason,
      detail: 'сумма отрицательна',
      topic: original.topic,
      partition: 3,
      offset: 9_007_199_254_740_991,
      timestampMs: 1_700_000_000_000,
      schemaId: 7,
      truncatedFrom: null,
    })
  })

  test('uses the header names that operators were told', () => {
    const { headers } = deadLetterRecord(
      { ...original, value: Buffer.alloc(largestDeadLetterValue + 1) },
      'too_large',
      'x',
      1,
    )
    expect(Object.keys(headers).toSorted()).toEqual([
      'loyalty-detail',
      'loyalty-offset',
      'loyalty-partition',
      'loyalty-reason',
      'loyalty-schema-id',
      'loyalty-timestamp',
      'loyalty-topic',
      'loyalty-truncated',
    ])
  })

  test('cuts what is above a mebibyte and says how long it was; a tombstone stays one', () => {
    const large = deadLetterRecord({ ...original, value: Buffer.alloc(largestDeadLetterValue + 5) }, 'too_large', 'x')
    expect(large.value).toHaveLength(largestDeadLetterValue)
    expect(decodeDeadLetterHeaders(large.headers)).toMatchObject({
      truncatedFrom: largestDeadLetterValue + 5,
      schemaId: null,
    })
    const tombstone = deadLetterRecord({ ...original, key: null, value: null }, 'undecodable', 'no value')
    expect([tombstone.key, tombstone.value]).toEqual([null, null])
  })

  test('a long detail is cut, so that headers stay small', () => {
    const { headers } = deadLetterRecord(original, 'invalid', 'x'.repeat(100_000))
    expect(decodeDeadLetterHeaders(headers).detail).toHaveLength(1_000)
  })

  test('headers that nobody of ours wrote are refused', () => {
    const { headers } = deadLetterRecord(original, 'invalid', 'x')
    const { 'loyalty-offset': _, ...missing } = headers
    const faults = [
      missing,
      { ...headers, 'loyalty-reason': Buffer.from('boredom') },
      { ...headers, 'loyalty-partition': Buffer.from('x') },
    ]
    for (const fault of faults)
      expect(() => decodeDeadLetterHeaders(fault)).toThrow(expect.objectContaining({ code: 'dead_letter_unreadable' }))
    expect(() => encodeDeadLetterHeaders({ ...decodeDeadLetterHeaders(headers) })).not.toThrow()
  })

  test('of a record that was replayed names the letter that it was before', () => {
    const replay = { of: '3:128', action: '00000000-0000-4000-8000-000000000001', attempt: 2 }
    const headers = { ...encodeReplayHeaders(replay), other: Buffer.from('x') }
    const record = deadLetterRecord({ ...original, headers }, 'invalid', 'x')
    expect(decodeReplayHeaders(record.headers)).toEqual(replay)
    expect(record.headers).not.toHaveProperty('other')
    expect(decodeReplayHeaders(deadLetterRecord(original, 'invalid', 'x').headers)).toBeNull()
  })

  test('believes no headers of a replay that are not as we write them', () => {
    const headers = encodeReplayHeaders({ of: '3:128', action: '00000000-0000-4000-8000-000000000001', attempt: 2 })
    for (const name of Object.keys(headers))
      for (const value of ['', 'x', '1'])
        expect(decodeReplayHeaders({ ...headers, [name]: Buffer.from(value) })).toBeNull()
    const { 'loyalty-attempt': _, ...without } = headers
    expect(decodeReplayHeaders(without)).toBeNull()
  })
})
