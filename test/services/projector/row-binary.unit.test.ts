import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { RowBinary } from '#services/projector/row-binary.ts'

const written = (write: (rows: RowBinary) => void) => {
  const rows = new RowBinary(1)
  write(rows)
  return rows.bytes().toString('hex')
}

describe('rows in RowBinary', () => {
  it('hold any safe integer in 64 bits', () => {
    fc.assert(
      fc.property(fc.maxSafeInteger(), (value) => {
        const rows = new RowBinary(1)
        rows.int64(value)
        expect(Number(rows.bytes().readBigInt64LE(0))).toBe(value)
      }),
    )
  })

  it('hold any text with its length in bytes before it', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 300 }), (value) => {
        const rows = new RowBinary(1)
        rows.string(value)
        const bytes = rows.bytes()
        const length = bytes[0]! < 0x80 ? bytes[0]! : (bytes[0]! & 0x7f) | (bytes[1]! << 7)
        const start = length < 0x80 ? 1 : 2
        expect(bytes.length).toBe(start + length)
        expect(bytes.subarray(start).toString()).toBe(value)
      }),
    )
  })

  it('turn big-endian keys round, mark nulls, and count rows', () => {
    expect(written((rows) => rows.uint64BigEndian(Buffer.from('0102030405060708', 'hex')))).toBe('0807060504030201')
    expect(written((rows) => rows.nullable(null, 'int32'))).toBe('01')
    expect(written((rows) => rows.nullable(-2, 'int16'))).toBe('00feff')
    expect(written((rows) => rows.strings(['a', 'ч']))).toBe('02016102d187')
    expect(written((rows) => rows.counts({ a: 3 }))).toBe('0101610300000000000000')
    const rows = new RowBinary()
    rows.endRow()
    rows.endRow()
    expect(rows.rows).toBe(2)
  })
})
