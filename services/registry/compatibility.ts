import { messageOf } from '#streams/core/error.ts'
import type { NormalSchema, ParsedSchema } from './avro-schema.ts'

export const compatibilityLevels = [
  'NONE',
  'BACKWARD',
  'BACKWARD_TRANSITIVE',
  'FORWARD',
  'FORWARD_TRANSITIVE',
  'FULL',
  'FULL_TRANSITIVE',
] as const

export type CompatibilityLevel = (typeof compatibilityLevels)[number]

/** Events are kept for ever and read by the newest program, so readers must go on reading what was written before. */
export const defaultCompatibility: CompatibilityLevel = 'BACKWARD'

/**
 * What is wrong with `next` as the successor of `versions` (oldest first), as sentences; empty where it is compatible.
 * Levels without TRANSITIVE look at the last version only.
 */
export function compatibilityFaults(
  level: CompatibilityLevel,
  next: ParsedSchema,
  versions: readonly ParsedSchema[],
): string[] {
  const against = level.endsWith('_TRANSITIVE') ? versions : versions.slice(-1)
  const backward = /^(BACKWARD|FULL)/.test(level)
  const forward = /^(FORWARD|FULL)/.test(level)
  return against.flatMap((version) => [
    ...(backward ? readingFaults(next, version).map((fault) => `the new schema cannot read older data: ${fault}`) : []),
    ...(forward ? readingFaults(version, next).map((fault) => `an older reader cannot read new data: ${fault}`) : []),
  ])
}

/** Why `reader` cannot read what `writer` wrote. */
function readingFaults(reader: ParsedSchema, writer: ParsedSchema): string[] {
  try {
    reader.type.createResolver(writer.type)
  } catch (error) {
    return [messageOf(error)]
  }
  return new MeaningCheck(reader.normal, writer.normal).faults
}

type Attributes = { readonly [attribute: string]: unknown }

/** Logical types of one number that differ in scale: bytes resolve, values are off by a factor. */
const scaled = /^(local-)?(timestamp|time)-/

/**
 * What avsc's resolution does not look at, because it takes logical types for their base: decimals match only with equal
 * scale and precision (Avro specification, schema resolution), and a time must keep its unit.
 */
class MeaningCheck {
  readonly faults: string[] = []
  readonly #readerNames = new Map<string, Attributes>()
  readonly #writerNames = new Map<string, Attributes>()
  readonly #seen = new Set<string>()

  constructor(reader: NormalSchema, writer: NormalSchema) {
    collectNames(reader, this.#readerNames)
    collectNames(writer, this.#writerNames)
    this.#compare(reader, writer, '')
  }

  #compare(reader: NormalSchema, writer: NormalSchema, path: string): void {
    if (isUnion(writer)) {
      for (const branch of writer) this.#compare(reader, branch, path)
      return
    }
    const from = attributesOf(writer, this.#writerNames)
    const to = isUnion(reader)
      ? reader.map((branch) => attributesOf(branch, this.#readerNames)).find((branch) => sameKind(branch, from))
      : attributesOf(reader, this.#readerNames)
    if (to === undefined) return
    const pair = `${to.name}/${from.name}`
    if (typeof to.name === 'string' && this.#seen.has(pair)) return
    this.#seen.add(pair)
    this.#compareLogical(to, from, path)
    this.#compareParts(to, from, path)
  }

  #compareLogical(reader: Attributes, writer: Attributes, path: string): void {
    const [to, from] = [reader.logicalType, writer.logicalType]
    const at = path === '' ? '' : ` at ${path.slice(1)}`
    if (to === 'decimal' && from === 'decimal') {
      if (reader.precision !== writer.precision || (reader.scale ?? 0) !== (writer.scale ?? 0))
        this.faults.push(`decimals of different precision or scale${at}`)
    } else if (to !== from && scaled.test(String(to)) && scaled.test(String(from)))
      this.faults.push(`${from} would be read as ${to}${at}`)
  }

  #compareParts(reader: Attributes, writer: Attributes, path: string): void {
    for (const part of ['items', 'values'])
      if (part in reader && part in writer)
        this.#compare(reader[part] as NormalSchema, writer[part] as NormalSchema, path)
    const targets = (reader.fields ?? []) as readonly Attributes[]
    for (const field of (writer.fields ?? []) as readonly Attributes[]) {
      const name = field.name as string
      const target = targets.find((each) => each.name === name || aliasesOf(each).includes(name))
      if (target !== undefined)
        this.#compare(target.type as NormalSchema, field.type as NormalSchema, `${path}.${name}`)
    }
  }
}

function isUnion(schema: NormalSchema): schema is readonly NormalSchema[] {
  return Array.isArray(schema)
}

function attributesOf(schema: NormalSchema, names: ReadonlyMap<string, Attributes>): Attributes {
  return typeof schema === 'string' ? (names.get(schema) ?? { type: schema }) : (schema as Attributes)
}

function sameKind(reader: Attributes, writer: Attributes): boolean {
  if (reader.type !== writer.type) return false
  return reader.name === writer.name || aliasesOf(reader).includes(String(writer.name))
}

function aliasesOf(attributes: Attributes): readonly string[] {
  return (attributes.aliases ?? []) as readonly string[]
}

function collectNames(schema: NormalSchema, names: Map<string, Attributes>): void {
  if (typeof schema === 'string') return
  if (isUnion(schema)) {
    for (const branch of schema) collectNames(branch, names)
    return
  }
  const attributes = schema as Attributes
  if (typeof attributes.name === 'string') names.set(attributes.name, attributes)
  for (const field of (attributes.fields ?? []) as readonly Attributes[])
    collectNames(field.type as NormalSchema, names)
  for (const part of ['items', 'values']) if (part in attributes) collectNames(attributes[part] as NormalSchema, names)
}
