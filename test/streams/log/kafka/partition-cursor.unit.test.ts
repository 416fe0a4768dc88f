import { gzipSync } from 'node:zlib'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { ByteWriter } from '#streams/log/kafka/byte-writer.ts'
import { crc32c } from '#streams/log/kafka/crc32c.ts'
import { PartitionCursor } from '#streams/log/kafka/partition-cursor.ts'
import { type BatchProducer, batchHeaderBytes, writeBatch } from '#streams/log/kafka/record-batch.ts'

const timeMs = 1_760_000_000_123
const plain: BatchProducer = { id: 1, epoch: 1, transactional: false }
const aborting: BatchProducer = { id: 2, epoch: 1, transactional: true }

/** `count` records of `valueBytes` each, from an offset on. */
function batchOf(offset: number, count: number, valueBytes: number, producer = plain): Buffer {
  const out = new ByteWriter(16)
  const records = Array.from({ length: count }, () => ({ key: null, value: Buffer.alloc(valueBytes, 120) }))
  writeBatch(out, records, 0, count, producer, 0, timeMs)
  const batch = Buffer.from(out.buffer.subarray(0, out.offset))
  batch.writeUInt32BE(offset, 4)
  return batch
}

/** The same batch as a producer writes it that compresses. */
function gzipped(batch: Buffer): Buffer {
  const packed = Buffer.concat([batch.subarray(0, batchHeaderBytes), gzipSync(batch.subarray(batchHeaderBytes))])
  packed.writeInt32BE(packed.length - 12, 8)
  packed.writeInt16BE(1, 21)
  packed.writeUInt32BE(crc32c(packed, 21), 17)
  return packed
}

function cursorOver(bytes: Buffer, offset: number, aborted: { producerId: number; firstOffset: number }[] = []) {
  const cursor = new PartitionCursor('t', 0, offset)
  cursor.add({ topic: 't', partition: 0, errorCode: 0, lastStableOffset: 1_000_000, aborted, bytes })
  return cursor
}

test('batches that were compressed count with what they hold in memory', () => {
  const packed = gzipped(batchOf(0, 100, 10_000))
  expect(packed.length).toBeLessThan(50_000)
  const taken = cursorOver(packed, 0).take()
  expect(taken.bytes).toBeGreaterThanOrEqual(1_000_000)
  expect(taken.records).toHaveLength(100)
})

test('what is given out in pieces is every committed record from the offset on, once, without gaps between the pieces', () => {
  const kinds = fc.constantFrom('plain', 'gzipped', 'aborted')
  const batches = fc.array(fc.record({ kind: kinds, count: fc.integer({ min: 1, max: 9 }) }), { minLength: 1 })
  fc.assert(
    fc.property(batches, fc.nat({ max: 20 }), fc.integer({ min: 0, max: 60_000 }), (wanted, from, valueBytes) => {
      const parts: Buffer[] = []
      const expected: number[] = []
      let end = 0
      for (const { kind, count } of wanted) {
        const batch = batchOf(end, count, valueBytes, kind === 'aborted' ? aborting : plain)
        // A broker begins with the batch that holds the offset.
        if (end + count > from) parts.push(kind === 'gzipped' ? gzipped(batch) : batch)
        if (kind !== 'aborted') for (let i = end; i < end + count; i++) if (i >= from) expected.push(i)
        end += count
      }
      fc.pre(from < end)
      const cursor = cursorOver(Buffer.concat(parts), from, [{ producerId: aborting.id, firstOffset: 0 }])
      const seen: number[] = []
      let next = from
      while (cursor.bytes > 0) {
        const taken = cursor.take()
        expect(taken.fromOffset).toBe(next)
        expect(taken.records.length).toBeLessThanOrEqual(taken.count)
        seen.push(...taken.records.map(({ offset }) => offset))
        next = taken.nextOffset
      }
      expect(seen).toEqual(expected)
      expect(next).toBe(end)
    }),
    { numRuns: 200 },
  )
})
