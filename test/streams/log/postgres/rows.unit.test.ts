import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { NewRecord } from '#streams/log/log.ts'
import { decodeHeaders, encodeHeaders, RecordCollector, RowBuffer, recordBytes } from '#streams/log/postgres/rows.ts'

const bytes = fc.uint8Array({ maxLength: 300 })
const newRecord = fc.record({
  key: fc.option(bytes),
  value: fc.option(fc.oneof(bytes, fc.constant(new Uint8Array(30_000)))),
  headers: fc.dictionary(fc.string({ maxLength: 20 }), bytes, { maxKeys: 3, noNullPrototype: true }),
})

const hex = (each: Uint8Array) => Buffer.from(each).toString('hex')

/** Rows as COPY would send them back: without the partition, one message each. */
function rowsOf(stream: Buffer): Buffer[] {
  const rows: Buffer[] = []
  for (let at = 0; at < stream.length; ) {
    const fields: Buffer[] = []
    const count = stream.readInt16BE(at)
    at += 2
    for (let field = 0; field < count; field++) {
      const size = stream.readInt32BE(at)
      const end = at + 4 + Math.max(0, size)
      if (field > 0) fields.push(stream.subarray(at, end))
      at = end
    }
    rows.push(Buffer.concat([Buffer.from([0, fields.length]), ...fields]))
  }
  return rows
}

describe('rows of the Postgres log', () => {
  test('hold what went in, at the offsets and the time they were sealed with', () => {
    fc.assert(
      fc.property(
        fc.array(newRecord, { maxLength: 20 }),
        fc.maxSafeNat().map((most) => Math.max(0, most - 100)),
        fc.boolean(),
        fc.nat(3),
        (made, base, packed, skipped) => {
          const buffer = new RowBuffer(packed)
          for (const record of made) buffer.add(record)
          expect(buffer.count).toBe(made.length)
          const stream = Buffer.concat(buffer.seal(5, base, 1_700_000_000_123))
          expect(buffer.bytes).toBe(stream.length)
          const from = base + skipped
          const collector = new RecordCollector(from)
          for (const row of rowsOf(stream)) collector.add(row)
          const plain = ({ key, value, headers, ...rest }: NewRecord) => ({
            ...rest,
            key: key && hex(key),
            value: value && hex(value),
            headers: Object.entries(headers ?? {}).map(([name, each]) => [name, hex(each)]),
          })
          expect(collector.records.map(plain)).toEqual(
            made
              .map((record, index) => ({ ...plain(record), offset: base + index, timestampMs: 1_700_000_000_123 }))
              .slice(skipped),
          )
        },
      ),
      { numRuns: 50 },
    )
  })

  test('hold small records together up to a page, and each alone where single ones are to be deleted', () => {
    const rows = (packed: boolean, sizes: readonly number[]) => {
      const buffer = new RowBuffer(packed)
      for (const size of sizes) buffer.add({ key: null, value: Buffer.alloc(size) })
      return rowsOf(Buffer.concat(buffer.seal(0, 0, 0))).map((row) => row.readInt32BE(row.length - 4))
    }
    const small = Array.from({ length: 1_000 }, () => 188)
    expect(rows(false, small)).toEqual(small.map(() => -1))
    expect(rows(true, small).length).toBeLessThan(35)
    expect(rows(true, small).reduce((sum, count) => sum + count, 0)).toBe(1_000)
    expect(rows(true, [10, 9_000, 10, 10])).toEqual([1, 1, 2])
  })

  test('headers come back under their names, in their order', () => {
    const headers = { b: Buffer.from([1]), ключ: Buffer.alloc(0), a: Buffer.alloc(70_000, 7) }
    const decoded = decodeHeaders(encodeHeaders(headers)!)
    expect(Object.keys(decoded)).toEqual(['b', 'ключ', 'a'])
    expect(decoded).toEqual(headers)
    expect(encodeHeaders({})).toBeNull()
  })

  test('the size of a record counts key, value and headers', () => {
    expect(recordBytes({ key: null, value: null })).toBe(0)
    const headers = { é: Buffer.alloc(5) }
    expect(recordBytes({ key: Buffer.alloc(3), value: Buffer.alloc(10), headers })).toBe(3 + 10 + 2 + 5)
  })
})
