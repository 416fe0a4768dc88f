import fc from 'fast-check'
import Decoder from 'kafkajs/src/protocol/decoder.js'
import encodeRecord from 'kafkajs/src/protocol/recordBatch/record/v0/index.js'
import decodeByKafkaJs from 'kafkajs/src/protocol/recordBatch/v0/decoder.js'
import byKafkaJs from 'kafkajs/src/protocol/recordBatch/v0/index.js'
import { describe, expect, test } from 'vitest'
import { ByteWriter } from '#streams/log/kafka/byte-writer.ts'
import { crc32c } from '#streams/log/kafka/crc32c.ts'
import {
  type AbortedTransaction,
  type BatchProducer,
  batchHeaderBytes,
  committedBatches,
  completeBatches,
  decodeBatch,
  recordSize,
  writeBatch,
} from '#streams/log/kafka/record-batch.ts'
import type { LogRecord, NewRecord } from '#streams/log/log.ts'

const bytes = fc.uint8Array({ maxLength: 300 }).map((array) => Buffer.from(array))
const record: fc.Arbitrary<NewRecord> = fc.record(
  {
    key: fc.option(bytes),
    value: fc.option(bytes),
    headers: fc.dictionary(fc.string({ maxLength: 20, unit: 'grapheme' }), bytes, { maxKeys: 4 }),
  },
  { requiredKeys: ['key', 'value'] },
)
const records = fc.array(record, { minLength: 1, maxLength: 200 })
const timeMs = 1_760_000_000_123

function encoded(batch: readonly NewRecord[], producer: BatchProducer, baseOffset = 0): Buffer {
  const out = new ByteWriter(16)
  writeBatch(out, batch, 0, batch.length, producer, 0, timeMs)
  const copy = Buffer.from(out.buffer.subarray(0, out.offset))
  // The base offset is the broker's to fill in; it is not covered by the checksum.
  copy.writeInt32BE(Math.floor(baseOffset / 2 ** 32), 0)
  copy.writeUInt32BE(baseOffset >>> 0, 4)
  return copy
}

function decoded(batches: Buffer, from = 0, aborted: readonly AbortedTransaction[] = []): LogRecord[] {
  const read: LogRecord[] = []
  for (const batch of committedBatches(batches, aborted)) decodeBatch(batch, from, read)
  return read
}

/** A control record as the broker writes it: key is version and type, 0 aborts and 1 commits. */
function marker(offset: number, producerId: number, type: 0 | 1): Buffer {
  const batch = encoded([{ key: Buffer.from([0, 0, 0, type]), value: Buffer.alloc(6) }], plain(producerId), offset)
  batch.writeInt16BE(0x30, 21)
  batch.writeUInt32BE(crc32c(batch, 21), 17)
  return batch
}

const plain = (id: number): BatchProducer => ({ id, epoch: 1, transactional: false })
const transactional = (id: number): BatchProducer => ({ id, epoch: 1, transactional: true })
const named = (name: string): NewRecord => ({ key: null, value: Buffer.from(name) })
const names = (read: readonly LogRecord[]) => read.map(({ value }) => String(value))

describe('record batches', () => {
  test('come back as they were written, at any offset', () => {
    fc.assert(
      fc.property(records, fc.maxSafeNat(), (batch, offset) => {
        const read = decoded(encoded(batch, plain(4_000_000_000), offset))
        expect(read.map((each) => each.offset)).toEqual(batch.map((_, index) => offset + index))
        for (const [index, { key, value, headers = {} }] of batch.entries()) {
          expect(read[index]!.key).toEqual(key)
          expect(read[index]!.value).toEqual(value)
          expect(Object.entries(read[index]!.headers)).toEqual(Object.entries(headers))
          expect(read[index]!.timestampMs).toBe(timeMs)
        }
      }),
      { numRuns: 60 },
    )
  })

  test('are of the size that was foretold', () => {
    fc.assert(
      fc.property(records, (batch) => {
        const sizes = batch.map((each, index) => recordSize(each, index))
        expect(encoded(batch, plain(1)).length).toBe(sizes.reduce((sum, size) => sum + size, batchHeaderBytes))
      }),
      { numRuns: 30 },
    )
  })

  test('are read by kafkajs as they were written', async () => {
    await fc.assert(
      fc.asyncProperty(records, async (batch) => {
        const read = (await decodeByKafkaJs(new Decoder(encoded(batch, transactional(77), 1_000)))).records
        expect(read.map(({ offset, timestamp }) => [offset, timestamp])).toEqual(
          batch.map((_, index) => [String(1_000 + index), String(timeMs)]),
        )
        for (const [index, { key, value }] of batch.entries()) {
          expect(read[index]!.key).toEqual(key)
          expect(read[index]!.value).toEqual(value)
        }
      }),
      { numRuns: 30 },
    )
  })

  test.each([
    ['uncompressed', 0],
    ['gzip', 1],
  ])('written by kafkajs (%s), with times of their own, are read', async (_, compression) => {
    const batch = await byKafkaJs.RecordBatch({
      compression,
      records: [0, 70, -5_000_000_000].map((timestampDelta, offsetDelta) =>
        encodeRecord({
          key: Buffer.from('k'),
          value: Buffer.from(`v${offsetDelta}`),
          headers: {},
          offsetDelta,
          timestampDelta,
        }),
      ),
      ...{ firstTimestamp: timeMs, maxTimestamp: timeMs + 70, producerId: -1, producerEpoch: 0, firstSequence: 0 },
      ...{ transactional: false, lastOffsetDelta: 2 },
    })
    const read = decoded(Buffer.from(batch.buffer))
    expect(names(read)).toEqual(['v0', 'v1', 'v2'])
    expect(read.map(({ timestampMs }) => timestampMs - timeMs)).toEqual([0, 70, -5_000_000_000])
  })

  test('that are damaged anywhere are noticed', () => {
    const batch = encoded([named('one'), named('two')], plain(1))
    for (let at = 16; at < batch.length; at++) {
      const damaged = Buffer.from(batch)
      damaged[at]! ^= 0x10
      expect(() => decoded(damaged)).toThrow(/checksum|message format/)
    }
  })

  test('that the fetch cut off are left for the next fetch', () => {
    const [one, two] = [encoded([named('a'), named('b')], plain(1), 10), encoded([named('c')], plain(1), 12)]
    const both = Buffer.concat([one, two])
    for (let length = 0; length < both.length; length++) {
      const complete = length >= one.length
      expect(completeBatches(both.subarray(0, length))).toEqual({
        length: complete ? one.length : 0,
        nextOffset: complete ? 12 : null,
      })
    }
    expect(completeBatches(both)).toEqual({ length: both.length, nextOffset: 13 })
  })

  test('in lz4 or snappy say what to do', () => {
    const batch = encoded([named('x')], plain(1))
    batch.writeInt16BE(3, 21)
    batch.writeUInt32BE(crc32c(batch, 21), 17)
    expect(() => decoded(batch)).toThrow(/compression\.type/)
  })
})

describe('read-committed decoding', () => {
  test('gives records from the wanted offset on, also in the middle of a batch', () => {
    const batch = encoded(['a', 'b', 'c'].map(named), plain(1), 5)
    expect(names(decoded(batch, 6))).toEqual(['b', 'c'])
  })

  test('drops aborted transactions of two producers that interleave, in whichever order they are listed', () => {
    const log = Buffer.concat([
      encoded([named('bad-a')], transactional(1), 0),
      encoded([named('bad-b')], transactional(2), 1),
      encoded([named('bad-a')], transactional(1), 2),
      marker(3, 2, 0),
      encoded([named('good-b')], transactional(2), 4),
      marker(5, 1, 0),
      marker(6, 2, 1),
      encoded([named('good-a')], transactional(1), 7),
      encoded([named('plain')], plain(1), 8),
      marker(9, 1, 1),
    ])
    const aborted = [
      { producerId: 2, firstOffset: 1 },
      { producerId: 1, firstOffset: 0 },
    ]
    for (const listed of [aborted, aborted.toReversed()])
      expect(names(decoded(log, 0, listed))).toEqual(['good-b', 'good-a', 'plain'])
  })

  test('knows transactions that began before the stretch that was fetched', () => {
    const log = Buffer.concat([
      encoded([named('bad-a')], transactional(1), 20),
      encoded([named('bad-b')], transactional(2), 21),
      ...[marker(22, 1, 0), marker(23, 2, 0)],
      encoded([named('good')], transactional(2), 24),
    ])
    const aborted = [
      { producerId: 1, firstOffset: 3 },
      { producerId: 2, firstOffset: 7 },
    ]
    expect(names(decoded(log, 20, aborted))).toEqual(['good'])
  })

  test('keeps what a producer writes outside transactions, and is not misled by a four-zero-byte key', () => {
    const zeroKey = { key: Buffer.alloc(4), value: Buffer.from('bad') }
    const log = Buffer.concat([
      encoded([zeroKey], transactional(1), 0),
      encoded([named('bad')], transactional(1), 1),
      encoded([{ ...zeroKey, value: Buffer.from('plain') }], plain(1), 2),
      marker(3, 1, 0),
    ])
    expect(names(decoded(log, 0, [{ producerId: 1, firstOffset: 0 }]))).toEqual(['plain'])
  })
})

test('crc32c agrees with the published vectors at every alignment', () => {
  const known: [Buffer, number][] = [
    [Buffer.from('123456789'), 0xe3069283],
    [Buffer.alloc(32), 0x8a9136aa],
    [Buffer.alloc(32, 0xff), 0x62a8ab43],
    [Buffer.from(Array.from({ length: 32 }, (_, index) => index)), 0x46dd794e],
  ]
  for (const [data, crc] of known)
    for (let shift = 0; shift < 9; shift++) {
      const shifted = Buffer.concat([Buffer.alloc(shift, 1), data, Buffer.alloc(3, 2)])
      expect(crc32c(shifted, shift, shift + data.length)).toBe(crc)
    }
})
