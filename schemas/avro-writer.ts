import type avro from 'avsc'

/**
 * Writes one value at `position`. Returns the end, or, where the buffer is too short, minus the number of bytes missing.
 *
 * Errors: `WriteFault` (names the field) where the value does not fit the schema.
 */
export type AvroWriter = (value: unknown, bytes: Buffer, position: number) => number

/** A value that its schema does not take. */
export class WriteFault extends Error {}

type Kind = avro.Type & {
  readonly fields: readonly Field[]
  readonly itemsType: avro.Type
  readonly valuesType: avro.Type
  readonly types: readonly avro.Type[]
  readonly symbols: readonly string[]
  readonly size: number
}

interface Field {
  readonly name: string
  readonly type: avro.Type
  defaultValue(): unknown
}

/**
 * Compiles a writer for a schema that avsc parsed. It writes what avsc would, about twice as fast: unions are decided by
 * one comparison instead of by looking up the kind of the value, and short strings are written without measuring them
 * first. Of unions it knows the nullable ones, which is what our events have.
 *
 * Errors: `Error` for a union of another shape.
 */
export function compileWriter(type: avro.Type): AvroWriter {
  const source = new WriterSource()
  const write = source.call(type as Kind, 'value', 'the value')
  const body = `'use strict'
let b = h.empty, p = 0
${primitives}
${source.functions.join('\n')}
return function write(value, bytes, position) {
  b = bytes; p = position
  ${write}
  b = h.empty
  return p <= bytes.length ? p : bytes.length - p
}`
  return new Function('h', 'c', body)(helpers, source.constants) as AvroWriter
}

const helpers = { empty: Buffer.alloc(0), Fault: WriteFault, byteLength: Buffer.byteLength }

/** Source of one writer: a statement per type, a function per record, array and map. */
class WriterSource {
  readonly functions: string[] = []
  readonly constants: unknown[] = []
  readonly #named = new Map<avro.Type, string>()

  /** Statement that writes the JavaScript expression `value`; `field` is named in faults. */
  call(type: Kind, value: string, field: string): string {
    const label = JSON.stringify(field)
    if (type.typeName.startsWith('union:')) return this.#nullable(type, value, field)
    switch (type.typeName) {
      case 'null':
        return `if (${value} !== null) fault_(${label}, 'null', ${value})`
      case 'boolean':
      case 'int':
      case 'long':
      case 'float':
      case 'double':
      case 'string':
      case 'bytes':
        return `${type.typeName}_(${value}, ${label})`
      case 'fixed':
        return `fixed_(${value}, ${type.size}, ${label})`
      case 'enum':
        return this.#enum(type, value, label)
      default:
        return `${this.#function(type, field)}(${value})`
    }
  }

  #nullable(type: Kind, value: string, field: string): string {
    const [first, second] = type.types as readonly Kind[]
    const nullFirst = first?.typeName === 'null'
    const other = nullFirst ? second : first
    if (type.types.length !== 2 || other === undefined || (!nullFirst && second?.typeName !== 'null'))
      throw new Error(`${field}: of unions only those of null and one type can be written`)
    const [nullIndex, otherIndex] = nullFirst ? [0, 2] : [2, 0]
    return `if (${value} === null) b[p++] = ${nullIndex}; else { b[p++] = ${otherIndex}; ${this.call(other, value, field)} }`
  }

  #enum(type: Kind, value: string, label: string): string {
    const cases = type.symbols.map((symbol, index) => `case ${JSON.stringify(symbol)}: index_(${index}); break`)
    return `switch (${value}) { ${cases.join('; ')}; default: fault_(${label}, 'one of its symbols', ${value}) }`
  }

  #function(type: Kind, field: string): string {
    let name = this.#named.get(type)
    if (name === undefined) {
      name = `w${this.#named.size}`
      this.#named.set(type, name)
      const body =
        type.typeName === 'array'
          ? this.#array(type, field)
          : type.typeName === 'map'
            ? this.#map(type, field)
            : this.#record(type)
      this.functions.push(`function ${name}(v) { ${body} }`)
    }
    return name
  }

  #array(type: Kind, field: string): string {
    return `if (!Array.isArray(v)) fault_(${JSON.stringify(field)}, 'an array', v)
if (v.length > 0) {
  index_(v.length)
  for (let i = 0; i < v.length; i++) { const x = v[i]; ${this.call(type.itemsType as Kind, 'x', field)} }
}
b[p++] = 0`
  }

  #map(type: Kind, field: string): string {
    return `if (typeof v !== 'object' || v === null || Array.isArray(v)) fault_(${JSON.stringify(field)}, 'a map', v)
let n = 0
for (const _ in v) n++
if (n > 0) {
  index_(n)
  for (const k in v) { const x = v[k]; string_(k, ${JSON.stringify(field)}); ${this.call(type.valuesType as Kind, 'x', field)} }
}
b[p++] = 0`
  }

  #record(type: Kind): string {
    const lines = type.fields.map((field, i) => {
      const write = this.call(field.type as Kind, `x${i}`, field.name)
      const given = `const x${i} = v.${field.name}`
      const value = field.defaultValue()
      if (value === undefined) return `${given}; ${write}`
      const bytes = `c[${this.constants.push((field.type as avro.Type).toBuffer(value)) - 1}]`
      return `${given}; if (x${i} === undefined) copy_(${bytes}); else { ${write} }`
    })
    return [`if (typeof v !== 'object' || v === null) fault_('the value', 'a record', v)`, ...lines].join('\n')
  }
}

/** A write past the end changes nothing but the position; the caller finds out by it. */
const primitives = `function fault_(field, wanted, value) {
  throw new h.Fault(field + ' must be ' + wanted + ', not ' + (typeof value === 'string' ? JSON.stringify(value) : String(value)))
}
function index_(n) {
  if (n < 64) b[p++] = n << 1
  else varint_(n << 1)
}
function varint_(n) {
  while (n > 127 || n < 0) { b[p++] = (n & 127) | 128; n >>>= 7 }
  b[p++] = n
}
function int_(v, field) {
  if (typeof v !== 'number' || v !== (v | 0)) fault_(field, 'a 32-bit integer', v)
  varint_((v << 1) ^ (v >> 31))
}
function long_(v, field) {
  if (typeof v !== 'number') fault_(field, 'an integer', v)
  if (v === (v | 0)) { varint_((v << 1) ^ (v >> 31)); return }
  if (!Number.isSafeInteger(v)) fault_(field, 'an integer within ±(2^53 - 1)', v)
  const m = v < 0 ? -v - 1 : v
  const high = Math.floor(m / 0x8000000)
  const low = (m - high * 0x8000000) * 2 + (v < 0 ? 1 : 0)
  b[p] = (low & 127) | 128
  b[p + 1] = ((low >> 7) & 127) | 128
  b[p + 2] = ((low >> 14) & 127) | 128
  b[p + 3] = ((low >> 21) & 127) | 128
  p += 4
  varint_(high)
}
function boolean_(v, field) {
  if (typeof v !== 'boolean') fault_(field, 'true or false', v)
  b[p++] = v ? 1 : 0
}
function float_(v, field) {
  if (typeof v !== 'number') fault_(field, 'a number', v)
  if (p + 4 <= b.length) b.writeFloatLE(v, p)
  p += 4
}
function double_(v, field) {
  if (typeof v !== 'number') fault_(field, 'a number', v)
  if (p + 8 <= b.length) b.writeDoubleLE(v, p)
  p += 8
}
function string_(v, field) {
  if (typeof v !== 'string') fault_(field, 'a string', v)
  const n = v.length
  if (n < 64) {
    const s = p + 1
    let i = 0
    for (; i < n; i++) {
      const x = v.charCodeAt(i)
      if (x > 127) break
      b[s + i] = x
    }
    if (i === n) { b[p] = n << 1; p = s + n; return }
  }
  const length = h.byteLength(v)
  index_(length)
  if (p + length <= b.length) b.utf8Write(v, p, length)
  p += length
}
function copy_(v) {
  for (let i = 0; i < v.length; i++) b[p++] = v[i]
}
function bytes_(v, field) {
  if (!(v instanceof Uint8Array)) fault_(field, 'bytes', v)
  index_(v.length)
  copy_(v)
}
function fixed_(v, size, field) {
  if (!(v instanceof Uint8Array) || v.length !== size) fault_(field, size + ' bytes', v)
  copy_(v)
}`
