import type { Bytes, LogRecord, NewRecord } from '../log.ts'

/**
 * Records as rows of PostgreSQL's binary COPY format: partition int4, record_offset int8, timestamp_ms int8, key, value,
 * headers bytea, packed int4; each field led by its length, -1 for null. A row holds one record, or – where `packed` says
 * how many – records of neighbouring offsets in its value: key, value and headers of each, led by their lengths, too.
 * Offset and time of a new row are filled in when they are known.
 */

const offsetAt = 2 + 8 + 4
const timestampAt = offsetAt + 8 + 4
const keyAt = timestampAt + 8
const packedValueAt = keyAt + 4 + 4

/** A packed row stays on one page of the table: larger values would be cut up and indexed in pieces of 2 KiB. */
const packedBytes = 8_000

const smallestChunk = 4 * 1024
const largestChunk = 1024 * 1024

/** A piece of the stream that is being built, where its rows start, and the records of each where they are packed. */
interface Chunk {
  readonly buffer: Buffer
  used: number
  readonly starts: number[]
  readonly counts: number[]
}

/** New records of one partition, copied and encoded as they come, so that the caller's bytes are free at once. */
export class RowBuffer {
  count = 0
  /** Encoded size so far. */
  bytes = 0
  private readonly packed: boolean
  private readonly chunks: Chunk[] = []
  /** The packed row that may take more, by where it begins in the last chunk; its size without what ends it. */
  private open: { readonly start: number; bytes: number } | null = null

  /** `packed`: several records a row; not where single ones are to be deleted. */
  constructor(packed: boolean) {
    this.packed = packed
  }

  add(record: NewRecord): void {
    const headers = record.headers === undefined ? null : encodeHeaders(record.headers)
    const size = 12 + length(record.key) + length(record.value) + length(headers)
    const chunk = this.packed ? this.packedRow(size) : this.plainRow(size)
    const { buffer } = chunk
    let at = writeField(buffer, chunk.used, record.key)
    at = writeField(buffer, at, record.value)
    chunk.used = writeField(buffer, at, headers)
    if (!this.packed) chunk.used = buffer.writeInt32BE(-1, chunk.used)
    this.count++
  }

  /** The rows for COPY, with the records at `base`, `base` + 1, …; good for one use. */
  seal(partition: number, base: number, timestampMs: number): Buffer[] {
    this.endRow()
    let offset = base
    for (const { buffer, starts, counts } of this.chunks)
      for (const [index, start] of starts.entries()) {
        buffer.writeInt32BE(partition, start + 6)
        writeInt8(buffer, start + offsetAt, offset)
        writeInt8(buffer, start + timestampAt, timestampMs)
        offset += counts[index] ?? 1
      }
    return this.chunks.map(({ buffer, used }) => buffer.subarray(0, used))
  }

  private plainRow(size: number): Chunk {
    const chunk = this.begin(keyAt + size + 4)
    this.bytes += keyAt + size + 4
    return chunk
  }

  /** The row that takes a record of this size: the open one, or a new one. */
  private packedRow(size: number): Chunk {
    const last = this.chunks.at(-1)
    const open = this.open
    this.bytes += size
    if (last !== undefined && open !== null && open.bytes + size <= packedBytes && fits(last, size + rowEndBytes)) {
      open.bytes += size
      last.counts[last.counts.length - 1]! += 1
      return last
    }
    this.endRow()
    this.bytes += packedValueAt + rowEndBytes
    const chunk = this.begin(packedValueAt + size + rowEndBytes)
    this.open = { start: chunk.starts.at(-1)!, bytes: size }
    chunk.counts.push(1)
    // No key; the length of the value is known in the end.
    chunk.used = chunk.buffer.writeInt32BE(-1, chunk.used) + 4
    return chunk
  }

  private endRow(): void {
    const open = this.open
    if (open === null) return
    this.open = null
    const chunk = this.chunks.at(-1)!
    chunk.buffer.writeInt32BE(open.bytes, open.start + keyAt + 4)
    let at = chunk.buffer.writeInt32BE(-1, chunk.used)
    at = chunk.buffer.writeInt32BE(4, at)
    chunk.used = chunk.buffer.writeInt32BE(chunk.counts.at(-1)!, at)
  }

  /** Begins a row of at least this size, up to its key. */
  private begin(size: number): Chunk {
    const chunk = this.chunkFor(size)
    const { buffer, used } = chunk
    chunk.starts.push(used)
    let at = buffer.writeInt16BE(7, used)
    at = buffer.writeInt32BE(4, at) + 4
    at = buffer.writeInt32BE(8, at) + 8
    chunk.used = buffer.writeInt32BE(8, at) + 8
    return chunk
  }

  private chunkFor(size: number): Chunk {
    const last = this.chunks.at(-1)
    if (last !== undefined && fits(last, size)) return last
    const capacity = Math.max(size, Math.min(largestChunk, last === undefined ? smallestChunk : last.buffer.length * 4))
    const chunk = { buffer: Buffer.allocUnsafeSlow(capacity), used: 0, starts: [], counts: [] }
    this.chunks.push(chunk)
    return chunk
  }
}

/** Headers (none) and the number of records of a packed row. */
const rowEndBytes = 4 + 8

function fits({ buffer, used }: Chunk, size: number): boolean {
  return used + size <= buffer.length
}

/** Bytes that count against the largest record of a topic. */
export function recordBytes(record: NewRecord): number {
  let size = length(record.key) + length(record.value)
  if (record.headers !== undefined)
    for (const [name, value] of Object.entries(record.headers)) size += Buffer.byteLength(name) + value.length
  return size
}

/**
 * Copies rows (record_offset, timestamp_ms, key, value, headers, packed) out of the driver's buffer and makes records of
 * them, from an offset on.
 */
export class RecordCollector {
  readonly records: LogRecord[] = []
  /** Rows so far, and the bytes of their keys, values and headers. */
  rows = 0
  bytes = 0
  private readonly from: number
  private arena = Buffer.alloc(0)
  private used = 0

  constructor(from: number) {
    this.from = from
  }

  add(row: Buffer): void {
    const copy = this.keep(row)
    const offset = readInt8(copy, 6)
    const timestampMs = readInt8(copy, 18)
    const packedAt = copy.length - 4
    this.rows++
    if (copy.readInt32BE(packedAt) === -1) {
      this.bytes += packedAt - 26 - 12
      this.record(copy, 26, offset, timestampMs)
      return
    }
    const valueAt = 26 + 4 + 4
    const end = offset + copy.readInt32BE(packedAt)
    this.bytes += copy.readInt32BE(valueAt - 4)
    for (let each = offset, at = valueAt; each < end; each++) at = this.record(copy, at, each, timestampMs)
  }

  /** Answers where what follows the record begins. */
  private record(row: Buffer, start: number, offset: number, timestampMs: number): number {
    let at = start
    const key = readField(row, at)
    at += 4 + length(key)
    const value = readField(row, at)
    at += 4 + length(value)
    const headers = readField(row, at)
    at += 4 + length(headers)
    if (offset >= this.from)
      this.records.push({
        ...{ offset, timestampMs, key, value },
        headers: headers === null ? noHeaders : decodeHeaders(headers),
      })
    return at
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
