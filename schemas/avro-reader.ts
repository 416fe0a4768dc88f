import { isUtf8 } from 'node:buffer'
import type avro from 'avsc'

/**
 * Reads one value that starts at `position` and must fill `bytes` to the end.
 *
 * Errors: `AvroFault` for anything but well-formed data of the writer's schema.
 */
export type AvroReader = (bytes: Buffer, position: number) => unknown

/** Damaged or foreign data; never a fault of this program. */
export class AvroFault extends Error {}

/**
 * Compiles a reader of `reader`'s shape for data written as `writer`. avsc parses the schemas and decides whether they
 * resolve; the code that walks the bytes is ours for two reasons. avsc trusts counts and lengths: a record of a few bytes
 * that announces 2^28 array items keeps it busy until memory is gone, so a poisonous record would end the process instead
 * of going to dead letters. And this is the hot path: twice as fast, mostly by building short strings without a call
 * into C++ and by giving back the last string of a field that repeats (`repeating`: field names).
 *
 * Errors: whatever avsc throws where the schemas do not resolve.
 */
export function compileReader(writer: avro.Type, reader: avro.Type, repeating: ReadonlySet<string>): AvroReader {
  reader.createResolver(writer)
  const source = new ReaderSource(repeating)
  const value = source.value(writer, reader)
  const body = `'use strict'
let b = h.empty, p = 0, e = 0
${primitives}
${source.functions.join('\n')}
return function read(bytes, position) {
  b = bytes; p = position; e = bytes.length
  const value = ${value}
  if (p !== e) throw new h.Fault(p > e ? 'the value ends early' : (e - p) + ' bytes too many')
  b = h.empty
  return value
}`
  return new Function('h', 'c', body)(helpers, source.constants) as AvroReader
}

type Kind = avro.Type & {
  readonly fields: readonly Field[]
  readonly itemsType: avro.Type
  readonly valuesType: avro.Type
  readonly types: readonly avro.Type[]
  readonly symbols: readonly string[]
  readonly size: number
  readonly default?: string
}

interface Field {
  readonly name: string
  readonly aliases: readonly string[]
  readonly type: avro.Type
  defaultValue(): unknown
}

/** Source of one reader: an expression per type, functions for what repeats or recurs. */
class ReaderSource {
  readonly functions: string[] = []
  readonly constants: unknown[] = []
  readonly #repeating: ReadonlySet<string>
  readonly #named = new Map<avro.Type, Map<avro.Type | null, string>>()

  constructor(repeating: ReadonlySet<string>) {
    this.#repeating = repeating
  }

  /** Expression that reads a `writer` value as `reader`; `field` is the field it stands in, if any. */
  value(writer: avro.Type, reader: avro.Type, field = ''): string {
    const from = writer as Kind
    if (from.typeName.startsWith('union:'))
      return this.#choice(from.types.map((type) => this.value(type, reader, field)))
    if (reader.typeName.startsWith('union:')) return this.value(writer, branchFor(writer, reader as Kind), field)
    const to = reader as Kind
    switch (from.typeName) {
      case 'null':
        return 'null'
      case 'boolean':
      case 'float':
      case 'double':
        return `${from.typeName}_()`
      case 'int':
        return 'int_()'
      case 'long':
        return 'long_()'
      case 'string':
      case 'bytes':
        if (to.typeName === 'bytes') return 'fixed_(length_())'
        return this.#repeating.has(field) ? this.#repeatingString() : 'string_()'
      case 'fixed':
        return `fixed_(${from.size})`
      case 'enum':
        return this.#enum(from, to)
      case 'array':
        return this.#define(from, to, () => this.#array(this.value(from.itemsType, to.itemsType, field)))
      case 'map':
        return this.#define(from, to, () => this.#map(this.value(from.valuesType, to.valuesType)))
      default:
        return this.#define(from, to, () => this.#record(from, to))
    }
  }

  /** Expression that passes over a `writer` value. */
  #skip(writer: avro.Type): string {
    const from = writer as Kind
    if (from.typeName.startsWith('union:')) return this.#choice(from.types.map((type) => this.#skip(type)))
    switch (from.typeName) {
      case 'null':
        return '0'
      case 'boolean':
        return 'p++'
      case 'float':
        return 'pass_(4)'
      case 'double':
        return 'pass_(8)'
      case 'int':
      case 'long':
      case 'enum':
        return 'long_()'
      case 'string':
      case 'bytes':
        return 'pass_(length_())'
      case 'fixed':
        return `pass_(${from.size})`
      case 'array':
        return this.#define(from, null, () => this.#blocks(`${this.#skip(from.itemsType)}`, { skip: true }))
      case 'map':
        return this.#define(from, null, () =>
          this.#blocks(`pass_(length_()); ${this.#skip(from.valuesType)}`, { skip: true }),
        )
      default:
        return this.#define(from, null, () => from.fields.map((field) => this.#skip(field.type)).join('; '))
    }
  }

  #choice(branches: readonly string[]): string {
    // The usual case by far: a value that may be absent.
    if (branches.length === 2) return `(index_(2) === 0 ? ${branches[0]} : ${branches[1]})`
    const body = branches.map((branch, index) => `case ${index}: return ${branch}`).join('\n')
    return `${this.#function(`switch (index_(${branches.length})) { ${body} }`)}()`
  }

  #enum(from: Kind, to: Kind): string {
    const symbols = from.symbols.map((symbol) => (to.symbols.includes(symbol) ? symbol : to.default))
    return `${this.#constant(symbols)}[index_(${symbols.length})]`
  }

  #record(from: Kind, to: Kind): string {
    const targets = new Map<string, Field>()
    for (const field of to.fields)
      for (const name of [field.name, ...field.aliases]) if (!targets.has(name)) targets.set(name, field)
    const read = new Set<string>()
    const lines = from.fields.map((field) => {
      const target = targets.get(field.name)
      if (target === undefined) return this.#skip(field.type)
      read.add(target.name)
      return `const v$${target.name} = ${this.value(field.type, target.type, target.name)}`
    })
    const entries = to.fields.map((field) =>
      read.has(field.name) ? `${field.name}: v$${field.name}` : `${field.name}: ${this.#default(field)}`,
    )
    return `${lines.join(';\n')}\nreturn { ${entries.join(', ')} }`
  }

  #default(field: Field): string {
    const value = field.defaultValue()
    if (value === null || typeof value !== 'object') return JSON.stringify(value)
    const make = this.#constant(() => field.defaultValue())
    return `${make}()`
  }

  #array(item: string): string {
    return `const out = []\n${this.#blocks(`out.push(${item})`)}\nreturn out`
  }

  #map(item: string): string {
    return `const out = {}\n${this.#blocks(`const key = string_(); put_(out, key, ${item})`)}\nreturn out`
  }

  /** Every item takes a byte at least, so a count above what is left is a lie that must not be believed. */
  #blocks(each: string, { skip = false } = {}): string {
    const sized = skip ? 'pass_(size); continue' : 'n = -n'
    return `for (let n = long_(); n !== 0; n = long_()) {
  if (n < 0) { const size = length_(); ${sized} }
  if (n > e - p) throw new h.Fault('an array or map claims more items than there are bytes')
  for (; n > 0; n--) { ${each} }
}`
  }

  #repeatingString(): string {
    const id = this.functions.length
    this.functions.push(`let t${id} = '', k${id} = h.empty
function f${id}() {
  const n = length_(), s = p
  if (n === k${id}.length) {
    let i = 0
    while (i < n && k${id}[i] === b[s + i]) i++
    if (i === n) { p += n; return t${id} }
  }
  t${id} = text_(n); k${id} = h.copy(b, s, n)
  return t${id}
}`)
    return `f${id}()`
  }

  #define(from: avro.Type, to: avro.Type | null, body: () => string): string {
    let byReader = this.#named.get(from)
    if (byReader === undefined) {
      byReader = new Map()
      this.#named.set(from, byReader)
    }
    let name = byReader.get(to)
    if (name === undefined) {
      name = `g${this.functions.length}`
      byReader.set(to, name)
      const index = this.functions.push('') - 1
      this.functions[index] = `function ${name}() { ${body()} }`
    }
    return `${name}()`
  }

  #function(body: string): string {
    const name = `g${this.functions.length}`
    this.functions.push(`function ${name}() { ${body} }`)
    return name
  }

  #constant(value: unknown): string {
    return `c[${this.constants.push(value) - 1}]`
  }
}

/** The branch of a reader's union that takes a writer's type: the same kind if there is one, else the first that resolves. */
function branchFor(writer: avro.Type, union: Kind): avro.Type {
  const resolving = union.types.filter((type) => {
    try {
      type.createResolver(writer)
      return true
    } catch {
      return false
    }
  })
  return resolving.find((type) => type.typeName === writer.typeName) ?? resolving[0]!
}

const helpers = {
  empty: Buffer.alloc(0),
  Fault: AvroFault,
  isUtf8,
  /** Own copy of a few bytes, from Node's pool of small buffers. */
  copy(bytes: Buffer, start: number, length: number): Buffer {
    const out = Buffer.allocUnsafe(length)
    bytes.copy(out, 0, start, start + length)
    return out
  },
}

/** Strings up to this many bytes are built from character codes: 15–50 ns against 90 ns for a call into C++. */
const shortString = 24

const shortStrings = Array.from({ length: shortString }, (_, index) => {
  const names = Array.from({ length: index + 1 }, (__, i) => `a${i}`)
  const reads = names.map((name, i) => `${name} = b[s${i === 0 ? '' : ` + ${i}`}]`)
  return `case ${index + 1}: { const ${reads.join(', ')}; if ((${names.join(' | ')}) < 128) return ascii(${names.join(', ')}); break }`
}).join('\n')

/**
 * Longs are read as two halves below 2^28, so that the zigzag is undone without rounding. A read past the end sees zeros
 * and is found out by the position at the end; what could loop or allocate by a wrong number is checked at once.
 */
const primitives = `const ascii = String.fromCharCode
function long_() {
  let x = b[p++]
  if (x < 128) return (x >>> 1) ^ -(x & 1)
  return longer_(x & 127)
}
function longer_(low) {
  let x = 128
  for (let k = 7; k < 28 && x > 127; k += 7) { x = b[p++]; low |= (x & 127) << k }
  if (!(x > 127)) return (low >>> 1) ^ -(low & 1)
  let high = 0, f = 1
  for (let k = 0; x > 127; k++) {
    if (k === 6) throw new h.Fault('a number is longer than ten bytes')
    x = b[p++]; high += (x & 127) * f; f *= 128
  }
  const half = (low >>> 1) + high * 0x8000000
  if (half > Number.MAX_SAFE_INTEGER) throw new h.Fault('a number is outside the safe range of ±(2^53 - 1)')
  return (low & 1) === 0 ? half : -half - 1
}
function int_() {
  const s = p, x = long_()
  if (x !== (x | 0) || p - s > 5) throw new h.Fault('a number does not fit an int')
  return x
}
function index_(count) {
  const x = long_()
  if (x < 0 || x >= count) throw new h.Fault('no branch or symbol ' + x)
  return x
}
function length_() {
  const n = long_()
  if (n < 0 || n > e - p) throw new h.Fault('a length of ' + n + ' is impossible here')
  return n
}
function boolean_() {
  const x = b[p++]
  if (x > 1) throw new h.Fault('a boolean is neither 0 nor 1')
  return x === 1
}
function float_() { const s = p; pass_(4); return b.readFloatLE(s) }
function double_() { const s = p; pass_(8); return b.readDoubleLE(s) }
function fixed_(n) { const s = p; pass_(n); return h.copy(b, s, n) }
function pass_(n) { p += n; if (p > e) throw new h.Fault('the value ends early') }
function put_(map, key, value) {
  if (key !== '__proto__') map[key] = value
  else Object.defineProperty(map, key, { value, enumerable: true, configurable: true, writable: true })
}
function string_() { return text_(length_()) }
function text_(n) {
  const s = p
  p += n
  switch (n) {
    case 0: return ''
    ${shortStrings}
  }
  const text = b.utf8Slice(s, p)
  if (text.includes('\\ufffd') && !h.isUtf8(b.subarray(s, p))) throw new h.Fault('a string is not UTF-8')
  return text
}`
