import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { BucketReader, Buckets } from '#services/ingest/files/buckets.ts'
import type { MappedRow } from '#services/ingest/receipts/row.ts'
import { RowEncoder, RowRecords } from '#services/ingest/receipts/row-codec.ts'
import { tempDir } from '../../../support/temp-dir.ts'

/** Rows shrink slowly; one that fails says enough. */
const settings = { endOnFailure: true }

/** Any UTF-16 units: narrow ones, wide ones, halves of a pair without the other. */
const units = fc.oneof(fc.string(), fc.string({ unit: 'binary' }), fc.array(fc.nat(0xffff)).map(textOf))
const mantissa = fc.integer({ min: -(10 ** 15) + 1, max: 10 ** 15 - 1 })

const rows: fc.Arbitrary<MappedRow> = fc.record({
  number: fc.integer({ min: 1, max: 2 ** 32 - 1 }),
  key: units,
  client: units,
  kind: fc.constantFrom(0, 1, 2, 3),
  occurredAtMs: fc.integer({ min: -(2 ** 42), max: 2 ** 42 }),
  valueMantissa: mantissa,
  valueScale: fc.nat(9),
  quantityMantissa: mantissa,
  quantityScale: fc.nat(9),
  sku: units,
  description: units,
  category: units,
  store: units,
  terminal: units,
  receipt: units,
  payment: units,
  original: units,
  attributes: fc.array(units, { maxLength: 4 }),
})

function textOf(codes: readonly number[]): string {
  return String.fromCharCode(...codes)
}

function encoded(encoder: RowEncoder, row: MappedRow): Buffer {
  encoder.mapped(row)
  return Buffer.from(encoder.bytes.subarray(0, encoder.length))
}

/** Where each record of a buffer begins. */
function placesIn(bytes: Buffer, records: RowRecords): number[] {
  const places: number[] = []
  for (let at = 0; at < bytes.length; at = records.after(at)) places.push(at)
  return places
}

describe('rows as bytes', () => {
  test('any rows come back as they were, wherever they stand', () => {
    const encoder = new RowEncoder()
    fc.assert(
      fc.property(fc.array(rows, { minLength: 1, maxLength: 5 }), (given) => {
        const bytes = Buffer.concat(given.map((row) => encoded(encoder, row)))
        const records = new RowRecords(bytes)
        const places = placesIn(bytes, records)
        expect(places.map((at) => records.row(at))).toEqual(given)
        expect(places.map((at) => records.key(at))).toEqual(given.map(({ key }) => key))
        expect(places.map((at) => records.number(at))).toEqual(given.map(({ number }) => number))
        expect(places.map((at) => records.kind(at))).toEqual(given.map(({ kind }) => kind))
        expect(places.some((at) => records.isSpoilt(at))).toBe(false)
      }),
      settings,
    )
  })

  test('contents are equal where all but the number is', () => {
    const encoder = new RowEncoder()
    const contentOf = (row: MappedRow) => new RowRecords(encoded(encoder, row)).content(0)
    const rest = ({ number: _, ...row }: MappedRow) => JSON.stringify(row)
    fc.assert(
      fc.property(rows, rows, (one, other) => {
        expect(contentOf({ ...one, number: other.number })).toBe(contentOf(one))
        expect(contentOf(one) === contentOf(other)).toBe(rest(one) === rest(other))
      }),
      settings,
    )
  })

  test('a mark of a spoilt receipt has its number and its key', () => {
    const encoder = new RowEncoder()
    fc.assert(
      fc.property(units, fc.nat(2 ** 32 - 1), (key, number) => {
        encoder.spoilt({ key, number })
        const records = new RowRecords(Buffer.from(encoder.bytes.subarray(0, encoder.length)))
        expect([records.isSpoilt(0), records.key(0), records.number(0)]).toEqual([true, key, number])
      }),
      settings,
    )
  })

  test('texts far longer than the buffer of the encoder make it grow', () => {
    const [base] = fc.sample(rows, { numRuns: 1, seed: 1 })
    const row = { ...base!, key: 'k'.repeat(100_000), description: 'ж'.repeat(300_000), attributes: [] }
    const bytes = encoded(new RowEncoder(), row)
    expect(new RowRecords(bytes).row(0)).toEqual(row)
  })
})

test('buckets are read one after the other into the memory of the first, each whole', async () => {
  const dir = await tempDir('loyalty-buckets-')
  try {
    const buckets = await Buckets.create(join(dir.path, 'parts'), 3)
    buckets.append(0, Buffer.from('first, of many bytes that are not'), 20)
    buckets.append(2, 'third')
    await buckets.finish()
    const reader = new BucketReader(join(dir.path, 'parts'))
    const texts: string[] = []
    for (const bucket of [0, 1, 2]) texts.push((await reader.read(bucket)).toString())
    expect(texts).toEqual(['first, of many bytes', '', 'third'])
    await writeFile(join(dir.path, 'parts', '0001.part'), 'x'.repeat(1_000_000))
    expect((await reader.read(1)).length).toBe(1_000_000)
  } finally {
    await dir.remove()
  }
})
