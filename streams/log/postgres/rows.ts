import type { Bytes, LogRecord, NewRecord } from '../log.ts'

/**
 * Records as rows of PostgreSQL's binary COPY format: partition int4, record_offset int8, timestamp_ms int8, key, value,
 * headers bytea; each field led by its length, -1 for null. Offset and time of a new row are filled in when they are known.
 */

const offsetAt = 2 + 8 + 4
const timestampAt = offsetAt + 8 + 4
const fixedBytes = timestampAt + 8

const fileHeader = Buffer.concat([Buffer.from('PGCOPY\n\xff\r\n\0', 'latin1'), Buffer.alloc(8)])
const fileTrailer = Buffer.from([0xff, 0xff])

const smallestChunk = 4 * 1024
const largestChunk = 1024 * 1024

/** New records of one partition, copied and encoded as they come, so that the caller's bytes are free at once. */
export class RowBuffer {
  count = 0
  /** Encoded size so far. */
  bytes = 0
  private readonly chunks: { buffer: Buffer; used: number; starts: number[] }[] = []

  add(record: NewRecord): void {
    const headers = record.headers === undefined ? null : encodeHeaders(record.headers)
    const size = fixedBytes + 12 + length(record.key) + length(record.value) + length(headers)
    const chunk = this.chunkFor(size)
    const { buffer } = chunk
    chunk.starts.push(chunk.used)
    let at = buffer.writeInt16BE(6, chunk.used)
    at = buffer.writeInt32BE(4, at) + 4
    at = buffer.writeInt32BE(8, at) + 8
    at = buffer.writeInt32BE(8, at) + 8
    at = writeField(buffer, at, record.key)
    at = writeField(buffer, at, record.value)
    chunk.used = writeField(buffer, at, headers)
    this.count++
    this.bytes += size
  }

  /** The stream for COPY, with the records at `base`, `base` + 1, …; good for one use. */
  seal(partition: number, base: number, timestampMs: number): Buffer[] {
    let offset = base
    for (const { buffer, starts } of this.chunks)
      for (const start of starts) {
        buffer.writeInt32BE(partition, start + 6)
        writeInt8(buffer, start + offsetAt, offset++)
        writeInt8(buffer, start + timestampAt, timestampMs)
      }
    return [fileHeader, ...this.chunks.map(({ buffer, used }) => buffer.subarray(0, used)), fileTrailer]
  }

  private chunkFor(size: number) {
    const last = this.chunks.at(-1)
    if (last !== undefined && last.used + size <= last.buffer.length) return last
    const capacity = Math.max(size, Math.min(largestChunk, last === undefined ? smallestChunk : last.buffer.length * 4))
    const chunk = { buffer: Buffer.allocUnsafeSlow(capacity), used: 0, starts: [] as number[] }
    this.chunks.push(chunk)
    return chunk
  }
}

/** Bytes that count against the largest record of a topic. */
export function recordBytes(record: NewRecord): number {
  let size = length(record.key) + length(record.value)
  if (record.headers !== undefined)
    for (const [name, value] of Object.entries(record.headers)) size += Buffer.byteLength(name) + value.length
  return size
}

/** Copies rows (record_offset, timestamp_ms, key, value, headers) out of the driver's buffer and makes records of them. */
export class RecordCollector {
  readonly records: LogRecord[] = []
  /** Bytes of keys, values and headers so far. */
  bytes = 0
  private arena = Buffer.alloc(0)
  private used = 0

  add(row: Buffer): void {
    const copy = this.keep(row)
    const offset = readInt8(copy, 6)
    const timestampMs = readInt8(copy, 18)
    let at = 26
    const key = readField(copy, at)
    at += 4 + length(key)
    const value = readField(copy, at)
    at += 4 + length(value)
    const headers = readField(copy, at)
    this.bytes += length(key) + length(value) + length(headers)
    this.records.push({
      offset,
      timestampMs,
      key,
      value,
      headers: headers === null ? noHeaders : decodeHeaders(headers),
    })
  }

  private keep(row: Buffer): Buffer {
    if (this.used + row.length > this.arena.length) {
      this.arena = Buffer.allocUnsafeSlow(Math.max(row.length, this.arena.length === 0 ? 8 * 1024 : 256 * 1024))
      this.used = 0
    }
    const start = this.used
    this.used += row.copy(this.arena, start)
    return this.arena.subarray(start, this.used)
  }
}

/** First field of a row whose fields begin with an int8. */
export function firstInt8(row: Buffer): number {
  return readInt8(row, 6)
}

/** Second field of a row whose first two fields are int8. */
export function secondInt8(row: Buffer): number {
  return readInt8(row, 18)
}

const noHeaders: Readonly<Record<string, Bytes>> = Object.freeze({})

/** Headers as name length (u16), name (UTF-8), value length (u32), value, one after the other. */
export function encodeHeaders(headers: Readonly<Record<string, Bytes>>): Buffer | null {
  const parts: Buffer[] = []
  for (const [name, value] of Object.entries(headers)) {
    const nameBytes = Buffer.from(name)
    const lengths = Buffer.allocUnsafe(6)
    lengths.writeUInt16BE(nameBytes.length, 0)
    lengths.writeUInt32BE(value.length, 2)
    parts.push(lengths, nameBytes, asBuffer(value))
  }
  return parts.length === 0 ? null : Buffer.concat(parts)
}

export function decodeHeaders(bytes: Buffer): Record<string, Bytes> {
  const headers: Record<string, Bytes> = {}
  for (let at = 0; at < bytes.length; ) {
    const nameEnd = at + 6 + bytes.readUInt16BE(at)
    const valueEnd = nameEnd + bytes.readUInt32BE(at + 2)
    headers[bytes.toString('utf8', at + 6, nameEnd)] = bytes.subarray(nameEnd, valueEnd)
    at = valueEnd
  }
  return headers
}

function length(bytes: Bytes | null): number {
  return bytes === null ? 0 : bytes.length
}

function asBuffer(bytes: Bytes): Buffer {
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}

function writeField(buffer: Buffer, at: number, bytes: Bytes | null): number {
  if (bytes === null) return buffer.writeInt32BE(-1, at)
  const start = buffer.writeInt32BE(bytes.length, at)
  buffer.set(bytes, start)
  return start + bytes.length
}

function readField(row: Buffer, at: number): Buffer | null {
  const size = row.readInt32BE(at)
  return size < 0 ? null : row.subarray(at + 4, at + 4 + size)
}

function writeInt8(buffer: Buffer, at: number, value: number): void {
  buffer.writeUInt32BE(Math.floor(value / 2 ** 32), at)
  buffer.writeUInt32BE(value % 2 ** 32, at + 4)
}

function readInt8(buffer: Buffer, at: number): number {
  return buffer.readInt32BE(at) * 2 ** 32 + buffer.readUInt32BE(at + 4)
}
