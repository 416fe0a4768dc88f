import type { PoolClient } from 'pg'

/**
 * Rows as one parameter: an array of a composite type in PostgreSQL's binary format, for `unnest`. Built by hand: dates and
 * times included it costs the server less than half of what an array per column does, and the driver hands buffers on as
 * they are.
 *
 * Layout (array_recv, record_recv), all big-endian: dimensions, has-nulls flag, element type, length, lower bound; per row
 * its length in bytes and its number of fields; per field its type, its length (-1: null) and its value.
 */
export type FieldType = 'text' | 'int' | 'bigint' | 'float8' | 'date' | 'timestamptz' | 'jsonb' | 'texts'

/** A field of the composite type: days since 1970-01-01 become dates, epoch milliseconds timestamps, anything jsonb. */
export interface Field<Row> {
  readonly name: string
  readonly type: FieldType
  readonly of: (row: Row) => unknown
}

const oids: Readonly<Record<FieldType, number>> = {
  text: 25,
  int: 23,
  bigint: 20,
  float8: 701,
  date: 1082,
  timestamptz: 1184,
  jsonb: 3802,
  texts: 1009,
}
const epochDay = 10_957
const epochMs = 946_684_800_000

/** `fields` in the order of the type's attributes; `oid` is the type's, see `typeOid`. */
export function rowArray<Row>(oid: number, fields: readonly Field<Row>[], rows: readonly Row[]): Buffer {
  const writer = new Writer(64 + rows.length * fields.length * 16)
  arrayHead(writer, oid, rows.length)
  for (const row of rows) {
    const start = writer.open()
    writer.int32(fields.length)
    for (const { type, of } of fields) {
      writer.int32(oids[type])
      writeField(writer, type, of(row))
    }
    writer.close(start)
  }
  return writer.bytes()
}

function arrayHead(writer: Writer, oid: number, length: number): void {
  writer.int32(1)
  writer.int32(0)
  writer.int32(oid)
  writer.int32(length)
  writer.int32(1)
}

function writeField(writer: Writer, type: FieldType, value: unknown): void {
  if (value === null || value === undefined) {
    writer.int32(-1)
    return
  }
  const start = writer.open()
  if (type === 'text') writer.text(cleanText(value as string))
  else if (type === 'int') writer.int32(value as number)
  else if (type === 'bigint') writer.int64(value as number)
  else if (type === 'float8') writer.float64(value as number)
  else if (type === 'date') writer.int32((value as number) - epochDay)
  else if (type === 'timestamptz') writer.int64(((value as number) - epochMs) * 1_000)
  else if (type === 'jsonb') writer.text(`\u0001${JSON.stringify(value, cleaned)}`)
  else writeTexts(writer, value as readonly string[])
  writer.close(start)
}

function writeTexts(writer: Writer, values: readonly string[]): void {
  arrayHead(writer, oids.text, values.length)
  for (const value of values) writeField(writer, 'text', value)
}

const known = new WeakMap<PoolClient, Map<string, number>>()

/** OID of a type of the schema projector; asked for once per connection. */
export async function typeOid(client: PoolClient, name: string): Promise<number> {
  let types = known.get(client)
  if (types === undefined) {
    types = new Map()
    known.set(client, types)
  }
  let oid = types.get(name)
  if (oid === undefined) {
    const found = await client.query<{ oid: number }>('SELECT $1::regtype::oid::int8::float8 AS oid', [
      `projector.${name}`,
    ])
    oid = found.rows[0]!.oid
    types.set(name, oid)
  }
  return oid
}

/** Text without what PostgreSQL cannot store: NUL and half surrogate pairs become U+FFFD. */
export function cleanText(value: string): string {
  const whole = value.isWellFormed() ? value : value.toWellFormed()
  return whole.includes('\0') ? whole.replaceAll('\0', '\ufffd') : whole
}

/** As a replacer of JSON.stringify: texts and keys cleaned. */
function cleaned(_key: string, value: unknown): unknown {
  if (typeof value === 'string') return cleanText(value)
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value
  return Object.fromEntries(Object.entries(value).map(([key, each]) => [cleanText(key), each]))
}

class Writer {
  #buffer: Buffer
  #length = 0

  constructor(capacity: number) {
    this.#buffer = Buffer.allocUnsafe(capacity)
  }

  bytes(): Buffer {
    return this.#buffer.subarray(0, this.#length)
  }

  /** Leaves room for a length; `close` writes it. */
  open(): number {
    this.#need(4)
    this.#length += 4
    return this.#length
  }

  close(start: number): void {
    this.#buffer.writeInt32BE(this.#length - start, start - 4)
  }

  int32(value: number): void {
    this.#need(4)
    this.#length = this.#buffer.writeInt32BE(value, this.#length)
  }

  int64(value: number): void {
    this.#need(8)
    const high = Math.floor(value / 0x1_0000_0000)
    this.#buffer.writeInt32BE(high, this.#length)
    this.#length = this.#buffer.writeUInt32BE(value - high * 0x1_0000_0000, this.#length + 4)
  }

  float64(value: number): void {
    this.#need(8)
    this.#length = this.#buffer.writeDoubleBE(value, this.#length)
  }

  text(value: string): void {
    this.#need(value.length * 3)
    this.#length += this.#buffer.write(value, this.#length)
  }

  #need(bytes: number): void {
    if (this.#length + bytes <= this.#buffer.length) return
    const larger = Buffer.allocUnsafe(Math.max(this.#buffer.length * 2, this.#length + bytes))
    this.#buffer.copy(larger, 0, 0, this.#length)
    this.#buffer = larger
  }
}
