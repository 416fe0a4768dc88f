/**
 * Rows in ClickHouse's RowBinary format: the columns of the INSERT one behind the other, without names or lengths. Built
 * by hand because it is several times cheaper than JSON on both sides.
 *
 * Integers are little-endian; a string is its length as a varint and its UTF-8 bytes; LowCardinality(T) is written as T;
 * a Nullable is one byte (1: null) and, unless null, the value.
 */
export class RowBinary {
  #buffer: Buffer
  #length = 0
  #rows = 0

  constructor(capacity = 64 * 1024) {
    this.#buffer = Buffer.allocUnsafeSlow(capacity)
  }

  get rows(): number {
    return this.#rows
  }

  get length(): number {
    return this.#length
  }

  /** What was written so far: a view. */
  bytes(): Buffer {
    return this.#buffer.subarray(0, this.#length)
  }

  /** Counts a row; called once after its last column. */
  endRow(): void {
    this.#rows++
  }

  uint8(value: number): void {
    this.#need(1)
    this.#buffer[this.#length++] = value
  }

  int16(value: number): void {
    this.#need(2)
    this.#length = this.#buffer.writeInt16LE(value, this.#length)
  }

  uint16(value: number): void {
    this.#need(2)
    this.#length = this.#buffer.writeUInt16LE(value, this.#length)
  }

  /** Also Date32: days since 1970-01-01. */
  int32(value: number): void {
    this.#need(4)
    this.#length = this.#buffer.writeInt32LE(value, this.#length)
  }

  /** Safe integers, also as UInt64 and as DateTime64(3): epoch milliseconds. */
  int64(value: number): void {
    this.#need(8)
    const high = Math.floor(value / 0x1_0000_0000)
    this.#buffer.writeUInt32LE(value - high * 0x1_0000_0000, this.#length)
    this.#length = this.#buffer.writeInt32LE(high, this.#length + 4)
  }

  /** UInt64 from eight big-endian bytes. */
  uint64BigEndian(bytes: Uint8Array): void {
    this.#need(8)
    for (let index = 7; index >= 0; index--) this.#buffer[this.#length++] = bytes[index]!
  }

  float64(value: number): void {
    this.#need(8)
    this.#length = this.#buffer.writeDoubleLE(value, this.#length)
  }

  string(value: string): void {
    const size = value.length
    // Three bytes a UTF-16 unit at most, and five of length.
    this.#need(size * 3 + 5)
    if (size < 42 && this.#ascii(value, size)) return
    const bytes = Buffer.byteLength(value)
    this.#varint(bytes)
    this.#length += this.#buffer.write(value, this.#length)
  }

  strings(values: readonly string[]): void {
    this.#need(5)
    this.#varint(values.length)
    for (const value of values) this.string(value)
  }

  /** Map(String, UInt64). */
  counts(values: Readonly<Record<string, number>>): void {
    const entries = Object.entries(values)
    this.#need(5)
    this.#varint(entries.length)
    for (const [name, count] of entries) {
      this.string(name)
      this.int64(count)
    }
  }

  nullable(value: number | null, write: 'int16' | 'int32' | 'int64' | 'float64'): void {
    this.uint8(value === null ? 1 : 0)
    if (value !== null) this[write](value)
  }

  /** Short ASCII, the common case, without a call into the runtime; false leaves nothing behind. */
  #ascii(value: string, size: number): boolean {
    const buffer = this.#buffer
    let position = this.#length
    buffer[position++] = size
    for (let index = 0; index < size; index++) {
      const unit = value.charCodeAt(index)
      if (unit > 0x7f) return false
      buffer[position++] = unit
    }
    this.#length = position
    return true
  }

  #varint(value: number): void {
    let rest = value
    while (rest > 0x7f) {
      this.#buffer[this.#length++] = (rest & 0x7f) | 0x80
      rest >>>= 7
    }
    this.#buffer[this.#length++] = rest
  }

  #need(bytes: number): void {
    if (this.#length + bytes <= this.#buffer.length) return
    const larger = Buffer.allocUnsafeSlow(Math.max(this.#buffer.length * 2, this.#length + bytes))
    this.#buffer.copy(larger, 0, 0, this.#length)
    this.#buffer = larger
  }
}
