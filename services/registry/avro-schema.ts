import avro from 'avsc'
import { messageOf } from '#streams/core/error.ts'
import { registryFault } from './faults.ts'

/** A schema in normal form: references and names in full, attributes in a fixed order, `{type: "int"}` as `"int"`. */
export type NormalSchema = string | readonly NormalSchema[] | { readonly [attribute: string]: unknown }

export interface ParsedSchema {
  /** Identity: two texts with the same canonical text are one schema with one id. Texts, defaults and aliases count. */
  readonly canonical: string
  readonly normal: NormalSchema
  /** For resolving; parsed from the text as it was given. */
  readonly type: avro.Type
}

const primitives = new Set(['null', 'boolean', 'int', 'long', 'float', 'double', 'bytes', 'string'])

/** First attributes of the normal form; all others follow by name. */
const leading = ['type', 'name', 'doc', 'aliases', 'fields', 'symbols', 'items', 'values', 'size', 'default']

/** Errors: `registry_schema_invalid`. */
export function parseAvroSchema(text: string): ParsedSchema {
  try {
    const schema = JSON.parse(text) as unknown
    const type = avro.Type.forSchema(schema as avro.schema.AvroSchema, { noAnonymousTypes: true })
    const normal = normalForm(schema, '')
    return { canonical: JSON.stringify(normal), normal, type }
  } catch (cause) {
    throw registryFault('registry_schema_invalid', `the schema is no valid Avro schema: ${messageOf(cause)}`)
  }
}

function normalForm(schema: unknown, namespace: string): NormalSchema {
  if (typeof schema === 'string') return primitives.has(schema) ? schema : qualified(schema, namespace)
  if (Array.isArray(schema)) return schema.map((branch) => normalForm(branch, namespace))
  const given = schema as Record<string, unknown>
  return ordered(normalAttributes(given, namespace))
}

function normalAttributes(given: Record<string, unknown>, namespace: string): Record<string, unknown> {
  const { namespace: ownNamespace, ...out } = given
  if (typeof given.name !== 'string') {
    if ('items' in given) out.items = normalForm(given.items, namespace)
    if ('values' in given) out.values = normalForm(given.values, namespace)
    return out
  }
  const name = qualified(given.name, typeof ownNamespace === 'string' ? ownNamespace : namespace)
  const inner = name.includes('.') ? name.slice(0, name.lastIndexOf('.')) : ''
  out.name = name
  if (Array.isArray(given.aliases)) out.aliases = given.aliases.map((alias) => qualified(String(alias), inner))
  if (Array.isArray(given.fields))
    out.fields = given.fields.map((field: Record<string, unknown>) =>
      orderedAttributes({ ...field, type: normalForm(field.type, inner) }),
    )
  return out
}

function qualified(name: string, namespace: string): string {
  return name.includes('.') || namespace === '' ? name : `${namespace}.${name}`
}

function ordered(attributes: Record<string, unknown>): NormalSchema {
  const names = Object.keys(attributes)
  const bare = names.length === 1 && names[0] === 'type' && typeof attributes.type === 'string'
  return bare && primitives.has(attributes.type as string) ? (attributes.type as string) : orderedAttributes(attributes)
}

function orderedAttributes(attributes: Record<string, unknown>): Record<string, unknown> {
  const rest = Object.keys(attributes).filter((name) => !leading.includes(name))
  const names = [...leading.filter((name) => name in attributes), ...rest.toSorted()]
  return Object.fromEntries(names.map((name) => [name, sorted(name, attributes[name])]))
}

/** Values of attributes that are no schemas: objects in them have no order of their own. */
function sorted(name: string, value: unknown): unknown {
  if (name === 'type' || name === 'fields' || name === 'items' || name === 'values') return value
  if (Array.isArray(value)) return value.map((each) => sorted('', each))
  if (typeof value !== 'object' || value === null) return value
  const entries = Object.entries(value).map(([key, each]) => [key, sorted('', each)] as const)
  return Object.fromEntries(entries.toSorted(([a], [b]) => (a < b ? -1 : 1)))
}
