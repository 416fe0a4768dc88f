import avro from 'avsc'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { compileReader } from '#schemas/avro-reader.ts'
import { eventType } from '#schemas/codec.ts'
import { eventNames } from '#schemas/published.ts'
import { fromSharedData } from '../support/shared-data.ts'

type Schema = Parameters<typeof avro.Type.forSchema>[0]

const typeOf = (schema: unknown) => avro.Type.forSchema(schema as Schema)
const repeating = new Set(['currency', 'source', 'store_id'])

function read(schema: unknown, bytes: Buffer, readerSchema: unknown = schema): unknown {
  return compileReader(typeOf(schema), typeOf(readerSchema), repeating)(bytes, 0)
}

/** Zigzag varint, also of numbers that no writer should send. */
function long(value: bigint): Buffer {
  const bytes: number[] = []
  let rest = BigInt.asUintN(64, (value << 1n) ^ (value >> 63n))
  do {
    bytes.push(Number(rest & 0x7fn) | (rest > 0x7fn ? 0x80 : 0))
    rest >>= 7n
  } while (rest > 0n)
  return Buffer.from(bytes)
}

describe('avro reader', () => {
  test.each(eventNames)('reads what avsc writes of a %s, field by field', (name) => {
    const type = eventType(name)
    const reader = compileReader(type, type, repeating)
    for (let i = 0; i < 200; i++) {
      const bytes = type.toBuffer(type.random())
      expect(reader(bytes, 0)).toEqual({ ...(type.fromBuffer(bytes) as object) })
    }
  })

  test.each(eventNames)('refuses a %s cut off anywhere, and one with a byte too many', (name) => {
    const type = eventType(name)
    const reader = compileReader(type, type, repeating)
    const bytes = type.toBuffer(type.random())
    for (let length = 0; length < Math.min(bytes.length, 300); length++)
      expect(() => reader(bytes.subarray(0, length), 0), `${length} of ${bytes.length} bytes`).toThrow()
    expect(() => reader(Buffer.concat([bytes, Buffer.alloc(1)]), 0)).toThrow('1 bytes too many')
  })

  test('survives any bytes: a value or a fault, never a hang', () => {
    const type = eventType('TransactionsAccepted')
    const reader = compileReader(type, type, repeating)
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 400 }), (bytes) => {
        try {
          reader(Buffer.from(bytes), 0)
        } catch (error) {
          expect((error as Error).constructor.name).toBe('AvroFault')
        }
      }),
      { numRuns: 2_000 },
    )
  })

  test('does not believe a count of items that the bytes cannot hold', () => {
    const bytes = Buffer.concat([long(1n << 28n), Buffer.alloc(8)])
    expect(() => read({ type: 'array', items: 'string' }, bytes)).toThrow('more items than there are bytes')
    expect(() => read({ type: 'map', values: 'int' }, bytes)).toThrow('more items than there are bytes')
    const skipped = {
      type: 'record',
      name: 'R',
      fields: [{ name: 'gone', type: { type: 'array', items: 'string' } }],
    }
    expect(() => read(skipped, bytes, { ...skipped, fields: [] })).toThrow('more items than there are bytes')
  })

  test('does not go backwards over a block with a negative size', () => {
    const schema = { type: 'record', name: 'R', fields: [{ name: 'gone', type: { type: 'array', items: 'int' } }] }
    const bytes = Buffer.concat([long(-1n), long(-3n), long(0n)])
    expect(() => read(schema, bytes, { ...schema, fields: [] })).toThrow('a length of -3')
  })

  test('skips and reads arrays in blocks with sizes', () => {
    const items = Buffer.concat([long(-2n), long(2n), long(7n), long(8n), long(0n)])
    expect(read({ type: 'array', items: 'int' }, items)).toEqual([7, 8])
    const schema = {
      type: 'record',
      name: 'R',
      fields: [
        { name: 'gone', type: { type: 'array', items: 'int' } },
        { name: 'kept', type: 'int' },
      ],
    }
    const bytes = Buffer.concat([items, long(9n)])
    expect(read(schema, bytes, { ...schema, fields: [schema.fields[1]] })).toEqual({ kept: 9 })
  })

  test('reads every safe long exactly and refuses the others', () => {
    const safe = fc.bigInt({ min: -BigInt(Number.MAX_SAFE_INTEGER), max: BigInt(Number.MAX_SAFE_INTEGER) })
    const reader = compileReader(typeOf('long'), typeOf('long'), repeating)
    fc.assert(fc.property(safe, (value) => reader(long(value), 0) === Number(value)))
    for (const value of [1n << 53n, (1n << 63n) - 1n, -(1n << 63n), -(1n << 54n)])
      expect(() => reader(long(value), 0), String(value)).toThrow('safe range')
  })

  test('refuses an int that does not fit', () => {
    expect(read('int', long(-(1n << 31n)))).toBe(-(2 ** 31))
    expect(() => read('int', long(1n << 31n))).toThrow('does not fit')
  })

  test('reads strings of every length in every script, and refuses what is not UTF-8', () => {
    const reader = compileReader(typeOf('string'), typeOf('string'), repeating)
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme', maxLength: 60 }), (text) => {
        const body = Buffer.from(text)
        return reader(Buffer.concat([long(BigInt(body.length)), body]), 0) === text
      }),
    )
    expect(() => reader(Buffer.from([0x04, 0xc3, 0x28]), 0)).toThrow('not UTF-8')
    const replacement = Buffer.from('\ufffd')
    expect(reader(Buffer.concat([long(3n), replacement]), 0)).toBe('\ufffd')
  })

  test('gives back the right string when a repeating field changes', () => {
    const type = typeOf({ type: 'record', name: 'R', fields: [{ name: 'source', type: 'string' }] })
    const reader = compileReader(type, type, repeating)
    for (const source of ['pos:a', 'pos:a', 'pos:b', '', 'pos:b', 'upload:Ж', 'upload:Ж'])
      expect(reader(type.toBuffer({ source }), 0)).toEqual({ source })
  })

  test('keeps a map key that is called __proto__ as a key', () => {
    const schema = { type: 'map', values: 'string' }
    const key = Buffer.from('__proto__')
    const bytes = Buffer.concat([long(1n), long(9n), key, long(1n), Buffer.from('x'), long(0n)])
    expect(Object.entries(read(schema, bytes) as object)).toEqual([['__proto__', 'x']])
  })

  test('promotes numbers, fills defaults with fresh values, and maps unknown symbols to the default', () => {
    const writer = {
      type: 'record',
      name: 'R',
      fields: [
        { name: 'old_name', type: 'int' },
        { name: 'kind', type: { type: 'enum', name: 'K', symbols: ['A', 'NEW'] } },
      ],
    }
    const reader = {
      type: 'record',
      name: 'R',
      fields: [
        { name: 'tags', type: { type: 'array', items: 'string' }, default: [] },
        { name: 'kind', type: { type: 'enum', name: 'K', symbols: ['UNKNOWN', 'A'], default: 'UNKNOWN' } },
        { name: 'amount', aliases: ['old_name'], type: ['null', 'double'], default: null },
      ],
    }
    const bytes = typeOf(writer).toBuffer({ old_name: 12, kind: 'NEW' })
    const compiled = compileReader(typeOf(writer), typeOf(reader), repeating)
    const first = compiled(bytes, 0) as { tags: string[] }
    expect(first).toEqual({ tags: [], kind: 'UNKNOWN', amount: 12 })
    first.tags.push('mine')
    expect(compiled(bytes, 0)).toEqual({ tags: [], kind: 'UNKNOWN', amount: 12 })
  })

  test('reads recursive types', () => {
    const schema = {
      type: 'record',
      name: 'Node',
      fields: [
        { name: 'value', type: 'int' },
        { name: 'next', type: ['null', 'Node'] },
      ],
    }
    const chain = { value: 1, next: { value: 2, next: { value: 3, next: null } } }
    expect(read(schema, typeOf(schema).toBuffer(chain))).toEqual(chain)
  })
})

const vectors = fromSharedData('avro-vectors')

describe.skipIf(vectors === null)('Apache Avro vectors', () => {
  const rejections = vectors?.json('binary-rejections.json') as
    | { vectors: { name: string; schema: string; bytesHex: string }[] }
    | undefined

  test.each(rejections?.vectors ?? [])('refuses $name', ({ schema, bytesHex }) => {
    expect(() => read(JSON.parse(schema), Buffer.from(bytesHex, 'hex'))).toThrow()
  })

  test('reads the single-object message of the specification', () => {
    const schema = vectors!.json('share/test/data/messageV1/test_schema.avsc')
    const message = vectors!.bytes('share/test/data/messageV1/test_message.bin')
    expect([message[0], message[1]]).toEqual([0xc3, 0x01])
    expect(compileReader(typeOf(schema), typeOf(schema), repeating)(message, 10)).toEqual({
      id: 42,
      name: 'Bill',
      tags: ['dog_lover', 'cat_hater'],
    })
  })

  const schemas = vectors
    ?.text('share/test/data/schema-tests.txt')
    .matchAll(/^<<INPUT (?:<<\w+\n)?(.+)\n<<canonical (.+)$/gm)

  // An empty union holds no value; avsc refuses it, and so may our registry.
  const usable = [...(schemas ?? [])]
    .map(([, input, canonical]) => ({ input, canonical }))
    .filter(({ canonical }) => canonical !== '[]')

  test.each(usable)('parses $input', ({ input, canonical }) => {
    expect(JSON.stringify(typeOf(JSON.parse(input!)).schema())).toBe(canonical)
  })
})
