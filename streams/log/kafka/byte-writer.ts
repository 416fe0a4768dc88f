/** Appends big-endian numbers, Kafka's zigzag varints and bytes to one growing buffer, which is used again and again. */
export class ByteWriter {
  buffer: Buffer
  offset = 0

  constructor(initialBytes = 64 * 1024) {
    this.buffer = Buffer.allocUnsafeSlow(initialBytes)
  }

  reset(): void {
    this.offset = 0
  }

  /** Makes room for `bytes` more. */
  reserve(bytes: number): void {
    const needed = this.offset + bytes
    if (needed <= this.buffer.length) return
    const grown = Buffer.allocUnsafeSlow(Math.max(needed, this.buffer.length * 2))
    this.buffer.copy(grown, 0, 0, this.offset)
    this.buffer = grown
  }

  int8(value: number): void {
    this.reserve(1)
    this.offset = this.buffer.writeInt8(value, this.offset)
  }

  int16(value: number): void {
    this.reserve(2)
    this.offset = this.buffer.writeInt16BE(value, this.offset)
  }

  int32(value: number): void {
    this.reserve(4)
    this.offset = this.buffer.writeInt32BE(value, this.offset)
  }

  /** An integer of less than 2^53 in size. */
  int64(value: number): void {
    this.reserve(8)
    this.offset = this.buffer.writeInt32BE(Math.floor(value / 0x1_0000_0000), this.offset)
    this.offset = this.buffer.writeUInt32BE(value >>> 0, this.offset)
  }

  /** Kafka's STRING: length as int16, UTF-8; null has length -1. */
  string(value: string | null): void {
    if (value === null) {
      this.int16(-1)
      return
    }
    const length = Buffer.byteLength(value)
    this.int16(length)
    this.reserve(length)
    this.offset += this.buffer.write(value, this.offset)
  }

  /** An integer in [-1, 2^30) as a zigzag varint; room must have been made. */
  varint(value: number): void {
    const { buffer } = this
    let rest = value < 0 ? 1 : value * 2
    let at = this.offset
    while (rest > 127) {
      buffer[at++] = (rest & 127) | 128
      rest >>>= 7
    }
    buffer[at++] = rest
    this.offset = at
  }

  /** Copies bytes; room must have been made. */
  raw(bytes: Uint8Array): void {
    const { buffer } = this
    const length = bytes.length
    const at = this.offset
    // A call of set() costs as much as copying some twenty bytes here.
    if (length <= 24) for (let i = 0; i < length; i++) buffer[at + i] = bytes[i]!
    else buffer.set(bytes, at)
    this.offset = at + length
  }
}

/** Bytes that `ByteWriter.varint` takes. */
export function varintSize(value: number): number {
  return value < 64 ? 1 : value < 8_192 ? 2 : value < 1_048_576 ? 3 : value < 134_217_728 ? 4 : 5
}
