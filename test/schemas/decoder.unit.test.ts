import { beforeEach, describe, expect, test, vi } from 'vitest'
import { type eventType, parseSchema } from '#schemas/codec.ts'
import { decoderOf, EventDecoder, reducedDecoder } from '#schemas/decoder.ts'
import { EventEncoder } from '#schemas/encoder.ts'
import type { DayStarted } from '#schemas/events.ts'
import { schemaText } from '#schemas/published.ts'
import { LoyaltyError } from '#streams/core/error.ts'
import { MemoryRegistry } from '../support/memory-registry.ts'
import { sale } from './samples.ts'

let registry: MemoryRegistry
let saleId: number
let dayId: number

beforeEach(async () => {
  registry = new MemoryRegistry()
  saleId = await registry.idOf('TransactionRecorded')
  dayId = await registry.idOf('DayStarted')
})

const encodeSale = () => new EventEncoder('TransactionRecorded', saleId).encode(sale)

describe('decoder', () => {
  test('asks for a schema once, then decodes without waiting', async () => {
    const decoder = decoderOf(registry, 'TransactionRecorded')
    const bytes = encodeSale()
    expect(decoder.decode(bytes)).toEqual({ kind: 'fetch', schemaId: saleId })
    await Promise.all([decoder.ensure(saleId), decoder.ensure(saleId)])
    await decoder.ensure(saleId)
    expect(decoder.decode(bytes)).toEqual({ kind: 'ok', name: 'TransactionRecorded', event: sale })
    expect(registry.asked).toBe(1)
  })

  test('tells several types of one topic apart', async () => {
    const decoder = decoderOf(registry, 'DayStarted', 'TransactionRecorded')
    const day: DayStarted = { date: 19_675, started_at: 1_700_000_000_000 }
    const decoded = await decoder.read(new EventEncoder('DayStarted', dayId).encode(day))
    expect(decoded).toEqual({ kind: 'ok', name: 'DayStarted', event: day })
    expect(await decoder.read(encodeSale())).toMatchObject({ name: 'TransactionRecorded' })
  })

  test.each([
    ['no value', null],
    ['an empty value', Buffer.alloc(0)],
    ['a value shorter than a frame', Buffer.from([0, 0, 0, 1])],
    ['another magic byte', Buffer.from([1, 0, 0, 0, 1, 0])],
    ['JSON', Buffer.from('{"transaction_id":"x"}')],
  ])('%s is undecodable without asking the registry', (_, value) => {
    expect(decoderOf(registry, 'TransactionRecorded').decode(value)).toMatchObject({
      kind: 'undecodable',
      schemaId: null,
    })
    expect(registry.asked).toBe(0)
  })

  test('a record of another type is undecodable and keeps its schema id', async () => {
    const day = new EventEncoder('DayStarted', dayId).encode({ date: 1, started_at: 2 })
    expect(await decoderOf(registry, 'TransactionRecorded').read(day)).toEqual({
      kind: 'undecodable',
      detail: 'unexpected type loyalty.events.DayStarted',
      schemaId: dayId,
    })
  })

  test('damaged bytes are undecodable, and the next value is read', async () => {
    const decoder = decoderOf(registry, 'TransactionRecorded')
    const bytes = encodeSale()
    expect(await decoder.read(bytes.subarray(0, 40))).toMatchObject({ kind: 'undecodable', schemaId: saleId })
    expect(await decoder.read(Buffer.concat([bytes, Buffer.alloc(3)]))).toMatchObject({ detail: '3 bytes too many' })
    expect(await decoder.read(bytes)).toMatchObject({ kind: 'ok', event: sale })
  })

  test('a schema that nobody registered is unknown; asked for again after a while, it may have come', async () => {
    vi.useFakeTimers({ toFake: ['performance'] })
    try {
      const decoder = decoderOf(registry, 'TransactionRecorded')
      const later = schemaText('TransactionRecorded').replace('One receipt', 'A receipt')
      const bytes = new EventEncoder('TransactionRecorded', 3).encode(sale)
      expect(await decoder.read(bytes)).toEqual({ kind: 'unknown_schema', schemaId: 3 })
      expect(await registry.register('s', later)).toBe(3)
      expect(await decoder.read(bytes), 'remembered').toEqual({ kind: 'unknown_schema', schemaId: 3 })
      vi.advanceTimersByTime(2_001)
      expect(await decoder.read(bytes)).toMatchObject({ kind: 'ok', event: sale })
    } finally {
      vi.useRealTimers()
    }
  })

  test('a registry that does not answer is a retriable failure, and nothing is remembered', async () => {
    const decoder = decoderOf(registry, 'TransactionRecorded')
    registry.unavailable = true
    await expect(decoder.ensure(saleId)).rejects.toMatchObject({ code: 'registry_unavailable', retriable: true })
    expect(decoder.decode(encodeSale())).toEqual({ kind: 'fetch', schemaId: saleId })
    registry.unavailable = false
    expect(await decoder.read(encodeSale())).toMatchObject({ kind: 'ok' })
  })

  test('a schema that is no Avro makes its values undecodable, and holds up nobody', async () => {
    const protobuf = {
      register: async () => 1,
      schemaById: async () => {
        throw new LoyaltyError('registry_schema_unusable', 'schema 1 is no usable Avro schema')
      },
    }
    expect(await decoderOf(protobuf, 'TransactionRecorded').read(encodeSale())).toEqual({
      kind: 'undecodable',
      detail: 'schema 1 is no usable Avro schema',
      schemaId: saleId,
    })
  })

  test('keeps nothing of the bytes it was given', async () => {
    const decoder = decoderOf(registry, 'TransactionRecorded', 'TransactionsAccepted')
    const bytes = Buffer.from(encodeSale())
    const decoded = await decoder.read(bytes)
    bytes.fill(0x58)
    expect(decoded).toMatchObject({ event: sale })
  })

  test('a reduced decoder leaves fields out and still finds damage in them', async () => {
    const decoder = reducedDecoder(registry, 'TransactionRecorded', ['attributes', 'lines', 'categories'])
    const { attributes, lines, categories, ...rest } = sale
    expect(await decoder.read(encodeSale())).toEqual({ kind: 'ok', name: 'TransactionRecorded', event: rest })
    const cut = encodeSale().subarray(0, -2)
    expect(await decoder.read(cut)).toMatchObject({ kind: 'undecodable' })
  })

  test('a Uint8Array that is no Buffer is read in place', async () => {
    const padded = Uint8Array.from([9, 9, ...encodeSale(), 9])
    const value = padded.subarray(2, padded.length - 1)
    expect(await decoderOf(registry, 'TransactionRecorded').read(value)).toMatchObject({ event: sale })
  })
})

interface Field {
  name: string
  type: unknown
  default?: unknown
}

/** TransactionRecorded as a later version might be: a new field in the middle, a new kind, a wider number. */
function laterSchema(): string {
  const schema = JSON.parse(schemaText('TransactionRecorded')) as { fields: Field[] }
  const kind = schema.fields.find((field) => field.name === 'kind')!
  kind.type = { ...(kind.type as object), symbols: ['UNKNOWN', 'SALE', 'REFUND', 'VOID', 'EXCHANGE'] }
  schema.fields.find((field) => field.name === 'items_count')!.type = 'long'
  schema.fields.splice(3, 0, { name: 'channel', type: ['null', 'string'], default: null })
  return JSON.stringify(schema)
}

describe('a second version of a schema', () => {
  test('a reader of the second reads both, the first with the default', async () => {
    const reader = parseSchema(laterSchema()) as ReturnType<typeof eventType>
    const decoder = new EventDecoder<{ TransactionRecorded: object }>(registry, [reader])
    const laterId = await registry.register('s', laterSchema())
    const frame = Buffer.from([0, 0, 0, 0, laterId])
    const later = Buffer.concat([frame, reader.toBuffer({ ...sale, channel: 'web', items_count: 5_000_000_000 })])
    expect(await decoder.read(encodeSale())).toEqual({
      kind: 'ok',
      name: 'TransactionRecorded',
      event: { ...sale, channel: null },
    })
    expect(await decoder.read(later)).toMatchObject({ event: { channel: 'web', items_count: 5_000_000_000 } })
    expect(await decoder.read(encodeSale()), 'the first again').toMatchObject({ event: { channel: null } })
  })

  test('a reader of the first reads what it knows, and an unknown kind as UNKNOWN', async () => {
    const schema = JSON.parse(laterSchema()) as { fields: Field[] }
    schema.fields.find((field) => field.name === 'items_count')!.type = 'int'
    const writer = parseSchema(JSON.stringify(schema))
    const id = await registry.register('s', JSON.stringify(schema))
    const bytes = Buffer.concat([
      Buffer.from([0, 0, 0, 0, id]),
      writer.toBuffer({ ...sale, kind: 'EXCHANGE', channel: 'web' }),
    ])
    const decoder = decoderOf(registry, 'TransactionRecorded')
    expect(await decoder.read(bytes)).toEqual({
      kind: 'ok',
      name: 'TransactionRecorded',
      event: { ...sale, kind: 'UNKNOWN' },
    })
  })

  test('what the first reader cannot read is undecodable, not a crash', async () => {
    const id = await registry.register('s', laterSchema())
    const bytes = Buffer.concat([
      Buffer.from([0, 0, 0, 0, id]),
      parseSchema(laterSchema()).toBuffer({ ...sale, channel: null }),
    ])
    expect(await decoderOf(registry, 'TransactionRecorded').read(bytes)).toMatchObject({
      kind: 'undecodable',
      detail: expect.stringContaining('cannot read'),
      schemaId: id,
    })
  })
})
