import { describe, expect, test } from 'vitest'
import { parseAvroSchema } from '#services/registry/avro-schema.ts'
import { type CompatibilityLevel, compatibilityFaults } from '#services/registry/compatibility.ts'

const record = (...fields: object[]) => ({ type: 'record', name: 'acme.R', fields })
const field = (name: string, type: unknown, more: object = {}) => ({ name, type, ...more })
const enumeration = (symbols: string[], more: object = {}) => ({ type: 'enum', name: 'acme.E', symbols, ...more })
const decimal = (precision: number, scale: number) => ({ type: 'bytes', logicalType: 'decimal', precision, scale })
const logical = (logicalType: string) => ({ type: 'long', logicalType })

function faults(level: CompatibilityLevel, next: unknown, ...versions: unknown[]): string[] {
  const parse = (schema: unknown) => parseAvroSchema(JSON.stringify(schema))
  return compatibilityFaults(level, parse(next), versions.map(parse))
}

interface Case {
  readonly change: string
  readonly from: unknown
  readonly to: unknown
}

const a = field('a', 'string')

const compatible: Case[] = [
  { change: 'nothing', from: record(a), to: record(a) },
  { change: 'a field added with a default', from: record(a), to: record(a, field('b', 'int', { default: 0 })) },
  { change: 'a field removed', from: record(a, field('b', 'int')), to: record(a) },
  { change: 'fields in another order', from: record(a, field('b', 'int')), to: record(field('b', 'int'), a) },
  { change: 'a field made nullable', from: record(a), to: record(field('a', ['null', 'string'])) },
  { change: 'a field renamed with an alias', from: record(a), to: record(field('z', 'string', { aliases: ['a'] })) },
  { change: 'a symbol added', from: enumeration(['X']), to: enumeration(['X', 'Y']) },
  {
    change: 'a symbol removed from an enum with a default',
    from: enumeration(['X', 'Y']),
    to: enumeration(['X'], { default: 'X' }),
  },
  { change: 'a branch added to a union', from: ['null', 'string'], to: ['null', 'string', 'int'] },
  {
    change: 'a record renamed with an alias',
    from: record(a),
    to: { ...record(a), name: 'acme.S', aliases: ['acme.R'] },
  },
  { change: 'a doc changed', from: record(a), to: { ...record(a), doc: 'Now with words.' } },
  { change: 'a logical type put on its base', from: 'long', to: logical('timestamp-millis') },
  { change: 'an equal decimal', from: decimal(9, 2), to: decimal(9, 2) },
  ...promotions().map(([from, to]) => ({ change: `${from} promoted to ${to}`, from, to })),
]

const incompatible: Case[] = [
  { change: 'a field added without a default', from: record(a), to: record(a, field('b', 'int')) },
  { change: 'a field renamed without an alias', from: record(a), to: record(field('z', 'string')) },
  { change: 'a nullable field made mandatory', from: record(field('a', ['null', 'string'])), to: record(a) },
  { change: 'a symbol removed from an enum without a default', from: enumeration(['X', 'Y']), to: enumeration(['X']) },
  { change: 'a branch taken from a union', from: ['null', 'string', 'int'], to: ['null', 'string'] },
  { change: 'another record name', from: record(a), to: { ...record(a), name: 'acme.S' } },
  {
    change: 'another size of a fixed',
    from: { type: 'fixed', name: 'F', size: 8 },
    to: { type: 'fixed', name: 'F', size: 16 },
  },
  { change: 'items of another kind', from: { type: 'array', items: 'int' }, to: { type: 'array', items: 'string' } },
  { change: 'values of another kind', from: { type: 'map', values: 'int' }, to: { type: 'map', values: 'string' } },
  { change: 'an array become a map', from: { type: 'array', items: 'int' }, to: { type: 'map', values: 'int' } },
  { change: 'a deep field added without a default', from: nested(), to: nested(field('deep', 'int')) },
  // What avsc's resolution lets pass, because it looks at the base type alone:
  {
    change: 'another scale of a decimal',
    from: record(field('a', decimal(9, 2))),
    to: record(field('a', decimal(9, 3))),
  },
  { change: 'another precision of a decimal', from: decimal(9, 2), to: ['null', decimal(12, 2)] },
  {
    change: 'another unit of a time',
    from: record(field('at', ['null', logical('timestamp-millis')])),
    to: record(field('at', ['null', logical('timestamp-micros')])),
  },
  ...demotions().map(([from, to]) => ({ change: `${from} narrowed to ${to}`, from, to })),
]

function nested(...more: object[]) {
  return record(field('list', { type: 'array', items: { type: 'record', name: 'Inner', fields: [a, ...more] } }))
}

/** Avro specification, schema resolution. */
function promotions(): [string, string][] {
  const numbers = ['int', 'long', 'float', 'double']
  const up = numbers.flatMap((from, i) => numbers.slice(i + 1).map((to): [string, string] => [from, to]))
  return [...up, ['string', 'bytes'], ['bytes', 'string']]
}

function demotions(): [string, string][] {
  const down = promotions()
    .filter(([from]) => from !== 'string' && from !== 'bytes')
    .map(([from, to]): [string, string] => [to, from])
  return [...down, ['int', 'string'], ['boolean', 'int'], ['null', 'string']]
}

describe('BACKWARD', () => {
  test.each(compatible)('takes $change', ({ from, to }) => {
    expect(faults('BACKWARD', to, from)).toEqual([])
  })

  test.each(incompatible)('refuses $change', ({ from, to }) => {
    expect(faults('BACKWARD', to, from)).toHaveLength(1)
  })

  test('says where a unit changed', () => {
    const schema = (unit: string) => record(field('times', { type: 'map', values: record(field('at', logical(unit))) }))
    const inner = (unit: string) =>
      JSON.parse(
        JSON.stringify(schema(unit)).replace(
          '"values":{"type":"record","name":"acme.R"',
          '"values":{"type":"record","name":"acme.Inner"',
        ),
      )
    expect(faults('BACKWARD', inner('timestamp-micros'), inner('timestamp-millis'))).toEqual([
      'the new schema cannot read older data: timestamp-millis would be read as timestamp-micros at times.at',
    ])
  })

  test('ends on recursive schemas', () => {
    const list = (unit: string) => record(field('at', logical(unit)), field('next', ['null', 'acme.R']))
    expect(faults('BACKWARD', list('timestamp-millis'), list('timestamp-millis'))).toEqual([])
    expect(faults('BACKWARD', list('timestamp-micros'), list('timestamp-millis'))).toHaveLength(1)
  })
})

describe('levels', () => {
  const [v1, v2, v3] = [record(a), record(a, field('b', 'int', { default: 0 })), record(a, field('b', 'int'))]

  test('BACKWARD looks at the last version, BACKWARD_TRANSITIVE at all', () => {
    expect(faults('BACKWARD', v3, v1, v2)).toEqual([])
    expect(faults('BACKWARD_TRANSITIVE', v3, v1, v2)).toHaveLength(1)
  })

  test('FORWARD lets an older reader read new data', () => {
    expect(faults('FORWARD', v3, v1)).toEqual([])
    expect(faults('FORWARD', v1, v3)).toHaveLength(1)
  })

  test('FULL asks for both, NONE for nothing', () => {
    expect(faults('FULL', v2, v1)).toEqual([])
    expect(faults('FULL', v3, v1)).toHaveLength(1)
    expect(faults('NONE', 'int', v1)).toEqual([])
  })
})
