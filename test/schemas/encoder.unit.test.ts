import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { compileReader } from '#schemas/avro-reader.ts'
import { ClientStateEncoder } from '#schemas/client-state.ts'
import { eventType, frameLength, schemaIdOf } from '#schemas/codec.ts'
import { decoderOf } from '#schemas/decoder.ts'
import { type Encodable, EventEncoder, encodersOf } from '#schemas/encoder.ts'
import type { Events } from '#schemas/events.ts'
import { eventNames } from '#schemas/published.ts'
import { registerAll } from '#schemas/registry.ts'
import { topicsOf } from '#schemas/topics.ts'
import { MemoryRegistry } from '../support/memory-registry.ts'
import { block, row, sale } from './samples.ts'

describe('encoder', () => {
  test('frames by the Confluent format: a zero, the id, Avro', () => {
    const bytes = new EventEncoder('DayStarted', 0x01020304).encode({ date: 1, started_at: 64 })
    expect(bytes.toString('hex')).toBe('0001020304' + '02' + '8001')
    expect(schemaIdOf(bytes)).toBe(0x01020304)
    expect(schemaIdOf(new EventEncoder('DayStarted', 0xfffffffe).encode({ date: 1, started_at: 64 }))).toBe(0xfffffffe)
  })

  test.each(eventNames)('writes a %s as avsc does', (name) => {
    const type = eventType(name)
    const encoder = new EventEncoder(name, 7)
    for (let i = 0; i < 200; i++) {
      const event = type.random() as unknown as Encodable<typeof name>
      expect(encoder.encode(event).subarray(5)).toEqual(type.toBuffer(event))
    }
  })

  test('fills fields that were left out with their defaults', () => {
    const { lines, categories, attributes, store_id, items_count, ...rest } = sale
    const { event } = readBack('TransactionRecorded', new EventEncoder('TransactionRecorded', 1).encode(rest))
    expect(event).toEqual({ ...rest, lines: [], categories: [], attributes: {}, store_id: null, items_count: 0 })
  })

  test('every safe long and every int comes back', () => {
    const encoder = new EventEncoder('ModelActivated', 1)
    const model = { model_id: 'm', model_version: '1', sha256: '' }
    const check = (activated_at: number) => {
      const { event } = readBack('ModelActivated', encoder.encode({ ...model, activated_at }))
      expect(event).toEqual({ ...model, activated_at })
    }
    const edges = [0, 63, 64, 2 ** 28, 2 ** 31, 2 ** 34, 2 ** 35].flatMap((n) => [n - 1, n, -n, -n - 1])
    for (const edge of [...edges, 2 ** 53 - 2, -(2 ** 53) + 2]) check(edge + 0)
    fc.assert(fc.property(fc.integer({ min: -(2 ** 53) + 2, max: 2 ** 53 - 2 }), check))
    const days = new EventEncoder('DayStarted', 1)
    fc.assert(
      fc.property(fc.integer(), (date) => {
        expect(readBack('DayStarted', days.encode({ date, started_at: 0 })).event).toEqual({ date, started_at: 0 })
      }),
    )
  })

  test('strings of every script come back', () => {
    const encoder = new EventEncoder('ModelActivated', 1)
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme', maxLength: 90 }), (model_id) => {
        const event = { model_id, model_version: '1', sha256: '', activated_at: 1 }
        expect(readBack('ModelActivated', encoder.encode(event)).event).toEqual(event)
      }),
    )
  })

  test('values of any size stay whole, one behind the other', async () => {
    const encoder = new EventEncoder('TransactionRecorded', 1)
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 300_000 }), { minLength: 1, maxLength: 12 }), (lengths) => {
        const events = lengths.map((length, i) => ({ ...sale, transaction_id: 'x'.repeat(length), amount_minor: i }))
        const encoded = events.map((event) => encoder.encode(event))
        const type = eventType('TransactionRecorded')
        encoded.forEach((bytes, i) => {
          expect(bytes.subarray(5).equals(type.toBuffer(events[i]))).toBe(true)
        })
      }),
      { numRuns: 30 },
    )
  })

  test('a block of 2,000 facts comes back as it was', () => {
    const bytes = new EventEncoder('TransactionsAccepted', 1).encode(block(2_000))
    expect(readBack('TransactionsAccepted', bytes).event).toEqual(block(2_000))
  })

  test.each([
    ['a missing field', { ...sale, client_id: undefined }],
    ['a wrong type', { ...sale, amount_minor: '12' }],
    ['a fraction', { ...sale, amount_minor: 0.5 }],
    ['an unsafe long', { ...sale, amount_minor: 2 ** 53 }],
    ['a number that is none', { ...sale, amount_minor: Number.NaN }],
    ['an int that does not fit', { ...sale, items_count: 2 ** 31 }],
    ['an unknown symbol', { ...sale, kind: 'GIFT' }],
    ['a null where none may be', { ...sale, source: null }],
    ['a wrong type where null may be', { ...sale, store_id: 5 }],
    ['an object for an array', { ...sale, categories: {} }],
    ['an array for a map', { ...sale, attributes: ['x'] }],
    ['a wrong value in a map', { ...sale, attributes: { a: 1 } }],
  ])('refuses %s, and goes on', (_, event) => {
    const encoder = new EventEncoder('TransactionRecorded', 1)
    expect(() => encoder.encode(event as Events['TransactionRecorded'])).toThrow(
      expect.objectContaining({ code: 'event_invalid', retriable: false }),
    )
    expect(readBack('TransactionRecorded', encoder.encode(sale)).event).toEqual(sale)
  })

  test('ids come from the registry, one per event', async () => {
    const registry = new MemoryRegistry()
    const encoders = encodersOf(await registerAll(registry, topicsOf('t')))
    const bytes = encoders.TransactionRecorded.encode(sale)
    expect(await decoderOf(registry, 'TransactionRecorded').read(bytes)).toMatchObject({ kind: 'ok', event: sale })
    expect(Object.keys(encoders)).toEqual(eventNames)
  })
})

describe('rows in two parts', () => {
  const encoder = new ClientStateEncoder(9)

  function bytesOf(length: number): Buffer {
    return Buffer.from(Buffer.from(encoder.words.buffer, encoder.words.byteOffset, length))
  }

  test('make the whole', () => {
    const whole = new EventEncoder('ClientStateChanged', 9).encode(row)
    const values = bytesOf(encoder.values(row))
    expect(encoder.finish(row)).toEqual(whole)
    expect(encoder.encode(row)).toEqual(whole)
    expect(values).toEqual(whole.subarray(frameLength, frameLength + values.length))
  })

  test('are equal in their values exactly when nothing but the last four fields differs', () => {
    const values = (changed: object) => bytesOf(encoder.values({ ...row, ...changed }))
    const later = { model_id: null, model_version: '2', as_of: 20_000, version: 6 }
    expect(values(later)).toEqual(values({}))
    for (const [field, value] of Object.entries(row).slice(0, -4)) {
      const other = typeof value === 'string' ? `${value}!` : typeof value === 'number' ? value + 1 : 1
      expect(values({ [field]: other }), field).not.toEqual(values({}))
    }
  })

  test('are followed by zeros up to a multiple of sixteen bytes', () => {
    encoder.encode({ ...row, client_id: 'x'.repeat(1_000) })
    const length = encoder.values(row)
    const padded = (length + 15) & ~15
    expect(length % 16).not.toBe(0)
    expect(bytesOf(padded).subarray(length)).toEqual(Buffer.alloc(padded - length))
  })

  test('a finished row is not touched by the next one', () => {
    const first = encoder.encode(row)
    const copy = Buffer.from(first)
    encoder.encode({ ...row, client_id: 'another-client', version: 77 })
    expect(first).toEqual(copy)
  })

  test('a row that cannot be encoded is refused', () => {
    const broken = { ...row, frequency: 1.5 }
    expect(() => encoder.values(broken)).toThrow(expect.objectContaining({ code: 'event_invalid' }))
    const vast = { ...row, client_id: 'x'.repeat(70_000) }
    expect(() => encoder.values(vast)).toThrow(expect.objectContaining({ code: 'event_invalid' }))
  })
})

/** Read by our own reader: avsc's rounds longs near 2^53. */
function readBack(name: keyof Events, bytes: Buffer): { event: unknown } {
  const type = eventType(name)
  return { event: compileReader(type, type, new Set())(bytes, 5) }
}
