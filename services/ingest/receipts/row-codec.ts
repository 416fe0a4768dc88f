import { open } from 'node:fs/promises'
import { bucketPath } from '../files/buckets.ts'
import type { KindCode, MappedRow, SpoiltRow } from './row.ts'

/**
 * Rows as bytes: several times as cheap as JSON, which both passes over a file would pay for every row.
 *
 * A record: length of the rest (4), number (4), kind or `spoilt` (1); of a mapped row scales of value and quantity (1
 * each), their mantissas and its time (8 each, doubles); its texts, key first. A text: twice its length in UTF-16 units,
 * plus one where it is wide, as a varint; its units, of a byte each, of two where it is wide.
 */

const spoilt = 0xff
const numberAt = 4
const kindAt = 8
const scalesAt = 9
const valueAt = 11
const quantityAt = 19
const timeAt = 27
const headBytes = 35
const spoiltHeadBytes = 9
const lengthBytes = 5

/** Writes records into a buffer of its own. */
export class RowEncoder {
  /** The last record: its first `length` bytes. Filled anew by the next. */
  bytes = Buffer.alloc(16 * 1024)
  length = 0
  #view = viewOf(this.bytes)

  /** `attributes` of them count: a row may hold more of rows before it. */
  mapped(row: MappedRow): void {
    this.#begin(row.number, row.kind, headBytes)
    const view = this.#view
    this.bytes[scalesAt] = row.valueScale
    this.bytes[scalesAt + 1] = row.quantityScale
    view.setFloat64(valueAt, row.valueMantissa, true)
    view.setFloat64(quantityAt, row.quantityMantissa, true)
    view.setFloat64(timeAt, row.occurredAtMs, true)
    this.#text(row.key)
    this.#text(row.client)
    this.#text(row.sku)
    this.#text(row.description)
    this.#text(row.category)
    this.#text(row.store)
    this.#text(row.terminal)
    this.#text(row.receipt)
    this.#text(row.payment)
    this.#text(row.original)
    for (let i = 0; i < row.attributes.length; i++) this.#text(row.attributes[i]!)
    this.#end()
  }

  spoilt({ number, key }: SpoiltRow): void {
    this.#begin(number, spoilt, spoiltHeadBytes)
    this.#text(key)
    this.#end()
  }

  #begin(number: number, kind: number, head: number): void {
    this.#view.setUint32(numberAt, number, true)
    this.bytes[kindAt] = kind
    this.length = head
  }

  #end(): void {
    this.#view.setUint32(0, this.length - numberAt, true)
  }

  #text(text: string): void {
    const { length } = text
    if (this.bytes.length - this.length < lengthBytes + 2 * length) this.#grow(lengthBytes + 2 * length)
    const { bytes, length: start } = this
    const from = putVarint(bytes, start, 2 * length)
    for (let i = 0; i < length; i++) {
      const unit = text.charCodeAt(i)
      if (unit > 0xff) {
        this.length = putWide(bytes, start, text)
        return
      }
      bytes[from + i] = unit
    }
    this.length = from + length
  }

  #grow(more: number): void {
    const bytes = Buffer.alloc(2 * (this.length + more))
    this.bytes.copy(bytes, 0, 0, this.length)
    this.bytes = bytes
    this.#view = viewOf(bytes)
  }
}

function viewOf(bytes: Buffer): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
}

/** Where the next byte goes. */
function putVarint(bytes: Buffer, at: number, value: number): number {
  let rest = value
  while (rest > 0x7f) {
    bytes[at++] = (rest & 0x7f) | 0x80
    rest >>>= 7
  }
  bytes[at] = rest
  return at + 1
}

function putWide(bytes: Buffer, start: number, text: string): number {
  let at = putVarint(bytes, start, 2 * text.length + 1)
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i)
    bytes[at] = unit & 0xff
    bytes[at + 1] = unit >> 8
    at += 2
  }
  return at
}

/** No attributes, of however many rows. */
const none: string[] = []

/** Takes the whole records from bytes, one after the other. */
export class RowDecoder {
  readonly #bytes: Buffer
  readonly #view: DataView
  /** A unit for each byte: most texts are cut from it. */
  readonly #units: string
  #start = 0
  #at = 0

  constructor(bytes: Buffer) {
    this.#bytes = bytes
    this.#view = viewOf(bytes)
    this.#units = bytes.toString('latin1')
  }

  /** Bytes taken so far. */
  get taken(): number {
    return this.#at
  }

  /** What the last row says but for its number. */
  get content(): string {
    return this.#units.slice(this.#start + kindAt, this.#at)
  }

  /** Null where no whole record is left. */
  next(): MappedRow | SpoiltRow | null {
    const start = this.#at
    const view = this.#view
    if (start + numberAt > view.byteLength) return null
    const end = start + numberAt + view.getUint32(start, true)
    if (end > view.byteLength) return null
    this.#start = start
    const number = view.getUint32(start + numberAt, true)
    const kind = this.#bytes[start + kindAt]!
    this.#at = start + (kind === spoilt ? spoiltHeadBytes : headBytes)
    return kind === spoilt ? { number, key: this.#text() } : this.#mapped(number, kind as KindCode, start, end)
  }

  #mapped(number: number, kind: KindCode, start: number, end: number): MappedRow {
    const view = this.#view
    return {
      number,
      key: this.#text(),
      client: this.#text(),
      kind,
      occurredAtMs: view.getFloat64(start + timeAt, true),
      valueMantissa: view.getFloat64(start + valueAt, true),
      valueScale: this.#bytes[start + scalesAt]!,
      quantityMantissa: view.getFloat64(start + quantityAt, true),
      quantityScale: this.#bytes[start + scalesAt + 1]!,
      sku: this.#text(),
      description: this.#text(),
      category: this.#text(),
      store: this.#text(),
      terminal: this.#text(),
      receipt: this.#text(),
      payment: this.#text(),
      original: this.#text(),
      attributes: this.#at === end ? none : this.#attributes(end),
    }
  }

  #attributes(end: number): string[] {
    const attributes: string[] = []
    while (this.#at < end) attributes.push(this.#text())
    return attributes
  }

  #text(): string {
    let head = 0
    for (let shift = 0; ; shift += 7) {
      const byte = this.#bytes[this.#at++]!
      head |= (byte & 0x7f) << shift
      if (byte < 0x80) break
    }
    const length = head >>> 1
    const from = this.#at
    if ((head & 1) === 0) {
      this.#at = from + length
      return this.#units.slice(from, this.#at)
    }
    this.#at = from + 2 * length
    return this.#bytes.toString('utf16le', from, this.#at)
  }
}

const readBytes = 256 * 1024

/** Records of a bucket in their order, some thousands at a time: all of one decoder are to be taken before the next. */
export async function* readRecords(directory: string, bucket: number): AsyncGenerator<RowDecoder> {
  const file = await open(bucketPath(directory, bucket))
  try {
    let buffer = Buffer.allocUnsafe(readBytes)
    let held = 0
    for (;;) {
      const { bytesRead } = await file.read(buffer, held, buffer.length - held)
      if (bytesRead === 0) return
      held += bytesRead
      const decoder = new RowDecoder(buffer.subarray(0, held))
      yield decoder
      buffer.copyWithin(0, decoder.taken, held)
      held -= decoder.taken
      // A record larger than the buffer.
      if (held === buffer.length) buffer = Buffer.concat([buffer], 2 * held)
    }
  } finally {
    await file.close()
  }
}
