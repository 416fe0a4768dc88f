import { type KindCode, type MappedRow, noAttributes, type SpoiltRow } from './row.ts'

/**
 * Rows as bytes: several times as cheap as JSON, on their way to the second pass or from the thread that reads them.
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

  /** What the last row says but for its number: equal ones have equal contents. */
  content(): string {
    return this.bytes.toString('latin1', kindAt, this.length)
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

/**
 * Records in a buffer, each known by where it begins. A row is made of one only when it is asked for: rows that are kept
 * until their receipt is whole cost several times their bytes.
 */
export class RowRecords {
  readonly #bytes: Buffer
  readonly #view: DataView
  /** Where the texts of the current record begin in the buffer; a unit for each byte: most texts are cut from it. */
  #begin = 0
  #units = ''
  #at = 0

  constructor(bytes: Buffer) {
    this.#bytes = bytes
    this.#view = viewOf(bytes)
  }

  /** Where the record after the one at `at` begins; `bytes.length` after the last. */
  after(at: number): number {
    return at + numberAt + this.#view.getUint32(at, true)
  }

  isSpoilt(at: number): boolean {
    return this.#bytes[at + kindAt] === spoilt
  }

  number(at: number): number {
    return this.#view.getUint32(at + numberAt, true)
  }

  /** Of a mapped row. */
  kind(at: number): KindCode {
    return this.#bytes[at + kindAt] as KindCode
  }

  key(at: number): string {
    const begin = at + (this.isSpoilt(at) ? spoiltHeadBytes : headBytes)
    let from = begin
    let head = 0
    for (let shift = 0; ; shift += 7) {
      const byte = this.#bytes[from++]!
      head |= (byte & 0x7f) << shift
      if (byte < 0x80) break
    }
    const wide = head & 1
    return this.#bytes.toString(wide === 1 ? 'utf16le' : 'latin1', from, from + ((head >>> 1) << wide))
  }

  /** What a mapped row says but for its number: equal ones have equal contents. */
  content(at: number): string {
    return this.#bytes.toString('latin1', at + kindAt, this.after(at))
  }

  row(at: number): MappedRow {
    const view = this.#view
    const end = this.after(at)
    this.#begin = at + headBytes
    this.#units = this.#bytes.toString('latin1', this.#begin, end)
    this.#at = this.#begin
    return {
      number: this.number(at),
      key: this.#text(),
      client: this.#text(),
      kind: this.kind(at),
      occurredAtMs: view.getFloat64(at + timeAt, true),
      valueMantissa: view.getFloat64(at + valueAt, true),
      valueScale: this.#bytes[at + scalesAt]!,
      quantityMantissa: view.getFloat64(at + quantityAt, true),
      quantityScale: this.#bytes[at + scalesAt + 1]!,
      sku: this.#text(),
      description: this.#text(),
      category: this.#text(),
      store: this.#text(),
      terminal: this.#text(),
      receipt: this.#text(),
      payment: this.#text(),
      original: this.#text(),
      attributes: this.#at === end ? noAttributes : this.#attributes(end),
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
    const from = this.#at
    if ((head & 1) === 0) {
      this.#at = from + (head >>> 1)
      return this.#units.slice(from - this.#begin, this.#at - this.#begin)
    }
    this.#at = from + (head & ~1)
    return this.#bytes.toString('utf16le', from, this.#at)
  }
}
