import { describe, expect, test } from 'vitest'
import { parseAvroSchema } from '#services/registry/avro-schema.ts'

const canonical = (schema: unknown) =>
  parseAvroSchema(typeof schema === 'string' ? schema : JSON.stringify(schema)).canonical

describe('canonical text', () => {
  test('does not depend on white space, the order of attributes, or how a name is qualified', () => {
    const one = { type: 'record', name: 'R', namespace: 'acme', fields: [{ name: 'a', type: { type: 'string' } }] }
    const same = '{ "fields" : [ {"type":"string", "name":"a"} ],\n "name":"acme.R", "type":"record" }'
    expect(canonical(one)).toBe(canonical(same))
  })

  test('tells apart what a reader would see differently', () => {
    const base = { type: 'record', name: 'R', fields: [{ name: 'a', type: 'int' }] }
    const others = [
      { ...base, fields: [{ name: 'a', type: 'int', default: 1 }] },
      { ...base, fields: [{ name: 'a', type: 'int', aliases: ['b'] }] },
      { ...base, fields: [{ name: 'a', type: { type: 'int', logicalType: 'date' } }] },
      { ...base, namespace: 'acme' },
      { ...base, doc: 'Words.' },
    ]
    expect(new Set([base, ...others].map(canonical)).size).toBe(6)
  })

  test('qualifies names by the namespace they stand in', () => {
    const inner = { type: 'enum', name: 'E', symbols: ['X'] }
    const fields = [
      { name: 'a', type: inner },
      { name: 'b', type: 'E' },
    ]
    const full = [
      { name: 'a', type: { ...inner, name: 'acme.E' } },
      { name: 'b', type: 'acme.E' },
    ]
    expect(canonical({ type: 'record', name: 'acme.R', fields })).toBe(
      canonical({ type: 'record', name: 'acme.R', fields: full }),
    )
  })
})

describe('refuses', () => {
  const cases: [string, string][] = [
    ['text that is no JSON', '{'],
    ['an unknown type', '"bogus"'],
    ['a record without a name', '{"type":"record","fields":[]}'],
    ['a default of the wrong type', '{"type":"record","name":"R","fields":[{"name":"a","type":"int","default":"x"}]}'],
    [
      'a union default of a later branch',
      '{"type":"record","name":"R","fields":[{"name":"a","type":["null","int"],"default":1}]}',
    ],
    ['an enum default that is no symbol', '{"type":"enum","name":"E","symbols":["A"],"default":"B"}'],
    [
      'the same field twice',
      '{"type":"record","name":"R","fields":[{"name":"a","type":"int"},{"name":"a","type":"int"}]}',
    ],
    ['a name used twice', '[{"type":"fixed","name":"F","size":1},{"type":"enum","name":"F","symbols":["A"]}]'],
    ['nesting without end', '['.repeat(200_000) + ']'.repeat(200_000)],
  ]
  test.each(cases)('%s', (_, text) => {
    expect(() => parseAvroSchema(text)).toThrow(expect.objectContaining({ code: 'registry_schema_invalid' }))
  })
})
