import { gunzipSync, zstdDecompressSync } from 'node:zlib'
import { LoyaltyError } from '../../core/error.ts'
import type { LogRecord, NewRecord } from '../log.ts'
import { type ByteWriter, varintSize } from './byte-writer.ts'
import { crc32c } from './crc32c.ts'

/**
 * Kafka's record batch, version 2, from and to the records of the port. kafkajs has this too, but makes a BigInt, a
 * decimal string and a dozen objects of every record; here offsets and times are numbers (they stay below 2^53).
 *
 *   0 baseOffset int64       21 attributes int16        43 producerId int64
 *   8 batchLength int32      23 lastOffsetDelta int32   51 producerEpoch int16
 *  12 leaderEpoch int32      27 baseTimestamp int64     53 baseSequence int32
 *  16 magic int8             35 maxTimestamp int64      57 count int32
 *  17 crc uint32, of everything from 21                 61 records
 *
 * Source: https://kafka.apache.org/documentation/#recordbatch
 */
export const batchHeaderBytes = 61
const magic = 2
const compressionMask = 0x07
const logAppendTimeFlag = 0x08
const transactionalFlag = 0x10
const controlFlag = 0x20

/** Who writes a batch; sequence numbers count per partition and wrap after 2^31 - 1. */
export interface BatchProducer {
  readonly id: number
  readonly epoch: number
  readonly transactional: boolean
}

/** Size in bytes of a record at `index` of its batch. */
export function recordSize(record: NewRecord, index: number): number {
  const body = bodySize(record, index)
  return varintSize(body) + body
}

function bodySize(record: NewRecord, index: number): number {
  const { key, value, headers } = record
  let size = 2 + varintSize(index) + varintSize(value === null ? -1 : value.length) + (value?.length ?? 0)
  size += varintSize(key === null ? -1 : key.length) + (key?.length ?? 0)
  if (headers === undefined) return size + 1
  let count = 0
  for (const name in headers) {
    const bytes = headers[name]!
    const nameLength = headerName(name).length
    size += varintSize(nameLength) + nameLength + varintSize(bytes.length) + bytes.length
    count++
  }
  return size + varintSize(count)
}

/** Appends `records[from, to)` to `out` as one batch and returns its size in bytes. */
export function writeBatch(
  out: ByteWriter,
  records: readonly NewRecord[],
  from: number,
  to: number,
  producer: BatchProducer,
  sequence: number,
  timestampMs: number,
): number {
  const start = out.offset
  out.int64(0)
  out.int32(0)
  out.int32(-1)
  out.int8(magic)
  out.int32(0)
  out.int16(producer.transactional ? transactionalFlag : 0)
  out.int32(to - from - 1)
  out.int64(timestampMs)
  out.int64(timestampMs)
  out.int64(producer.id)
  out.int16(producer.epoch)
  out.int32(sequence)
  out.int32(to - from)
  for (let i = from; i < to; i++) writeRecord(out, records[i]!, i - from)
  const { buffer, offset } = out
  buffer.writeInt32BE(offset - start - 12, start + 8)
  buffer.writeUInt32BE(crc32c(buffer, start + 21, offset), start + 17)
  return offset - start
}

function writeRecord(out: ByteWriter, record: NewRecord, index: number): void {
  const { key, value, headers } = record
  const size = bodySize(record, index)
  out.reserve(size + 5)
  out.varint(size)
  out.buffer[out.offset++] = 0
  out.buffer[out.offset++] = 0
  out.varint(index)
  writeBytes(out, key)
  writeBytes(out, value)
  if (headers === undefined) {
    out.buffer[out.offset++] = 0
    return
  }
  const names = Object.keys(headers)
  out.varint(names.length)
  for (const name of names) {
    writeBytes(out, headerName(name))
    writeBytes(out, headers[name]!)
  }
}

function writeBytes(out: ByteWriter, bytes: Uint8Array | null): void {
  if (bytes === null) {
    out.varint(-1)
    return
  }
  out.varint(bytes.length)
  out.raw(bytes)
}

/** Programs use a handful of header names, so their bytes are kept; foreign names cannot fill the table. */
const headerNames = new Map<string, Buffer>()

function headerName(name: string): Buffer {
  let bytes = headerNames.get(name)
  if (bytes === undefined) {
    bytes = Buffer.from(name)
    if (headerNames.size < 256) headerNames.set(name, bytes)
  }
  return bytes
}

/** A producer's transaction that was aborted, from its first offset on. */
export interface AbortedTransaction {
  readonly producerId: number
  readonly firstOffset: number
}

/** Length of the complete batches at the front of `bytes`: a fetch may cut the last one. */
export function completeBatches(bytes: Buffer): { readonly length: number; readonly nextOffset: number | null } {
  let at = 0
  let nextOffset: number | null = null
  while (bytes.length - at >= batchHeaderBytes) {
    const size = 12 + bytes.readInt32BE(at + 8)
    if (bytes.length - at < size) break
    nextOffset = int64(bytes, at) + bytes.readInt32BE(at + 23) + 1
    at += size
  }
  return { length: at, nextOffset }
}

/** A committed batch of records, checked and unpacked, not decoded. */
export interface CommittedBatch {
  readonly bytes: Buffer
  /** Where its records begin in `bytes`. */
  readonly at: number
  readonly count: number
  readonly baseOffset: number
  /** Offset after its last record. */
  readonly nextOffset: number
  readonly timestampMs: number
  /** Whether all its records have that time, instead of one relative to it. */
  readonly appendTime: boolean
  /** Bytes in the log. */
  readonly size: number
  /** Bytes held until it is decoded: where it was compressed, more than in the log. */
  readonly heldBytes: number
}

/**
 * The committed batches among the complete batches `bytes`, in order, each looked at when it is asked for. `aborted` must
 * hold every aborted transaction that reaches into the stretch, in any order: the broker sorts them by the offset of their
 * end, so they are sorted by their beginning first.
 *
 * Errors: `log_corrupt` (checksum), `log_unsupported_format` (older message format, or a codec that Node lacks).
 */
export function* committedBatches(
  bytes: Buffer,
  aborted: readonly AbortedTransaction[],
): Generator<CommittedBatch, undefined> {
  const pending = aborted.length > 1 ? [...aborted].sort((a, b) => a.firstOffset - b.firstOffset) : aborted
  const abortedProducers = new Set<number>()
  let next = 0
  for (let at = 0; at < bytes.length; ) {
    const end = at + 12 + bytes.readInt32BE(at + 8)
    checkBatch(bytes, at, end)
    const attributes = bytes.readInt16BE(at + 21)
    const lastOffset = int64(bytes, at) + bytes.readInt32BE(at + 23)
    const producerId = int64(bytes, at + 43)
    while (next < pending.length && pending[next]!.firstOffset <= lastOffset)
      abortedProducers.add(pending[next++]!.producerId)
    if ((attributes & controlFlag) !== 0) {
      if (isAbortMarker(bytes, at)) abortedProducers.delete(producerId)
    } else if ((attributes & transactionalFlag) === 0 || !abortedProducers.has(producerId)) {
      yield committedBatch(bytes, at, end, attributes, lastOffset + 1)
    }
    at = end
  }
}

function committedBatch(
  bytes: Buffer,
  at: number,
  end: number,
  attributes: number,
  nextOffset: number,
): CommittedBatch {
  const appendTime = (attributes & logAppendTimeFlag) !== 0
  const codec = attributes & compressionMask
  const unpacked = codec === 0 ? null : decompress(codec, bytes, at, end)
  return {
    bytes: unpacked ?? bytes,
    at: unpacked === null ? at + batchHeaderBytes : 0,
    count: bytes.readInt32BE(at + 57),
    baseOffset: int64(bytes, at),
    nextOffset,
    timestampMs: int64(bytes, at + (appendTime ? 35 : 27)),
    appendTime,
    size: end - at,
    heldBytes: unpacked?.length ?? end - at,
  }
}

/** Appends the batch's records at or after `fromOffset` to `records`. Key and value are views of its bytes. */
export function decodeBatch(batch: CommittedBatch, fromOffset: number, records: LogRecord[]): void {
  const { baseOffset, timestampMs, appendTime, count } = batch
  const cursor: Cursor = { bytes: batch.bytes, at: batch.at }
  for (let i = 0; i < count; i++) {
    const size = readVarint(cursor)
    const recordEnd = cursor.at + size
    cursor.at += 1
    const timestampDelta = readVarlong(cursor)
    const offset = baseOffset + readVarint(cursor)
    if (offset < fromOffset) {
      cursor.at = recordEnd
      continue
    }
    const key = readBytes(cursor)
    const value = readBytes(cursor)
    const headerCount = readVarint(cursor)
    records.push({
      offset,
      timestampMs: appendTime ? timestampMs : timestampMs + timestampDelta,
      key,
      value,
      headers: headerCount === 0 ? noHeaders : readHeaders(cursor, headerCount),
    })
    cursor.at = recordEnd
  }
}

function checkBatch(bytes: Buffer, at: number, end: number): void {
  if (bytes[at + 16] !== magic)
    throw new LoyaltyError(
      'log_unsupported_format',
      `record batch at offset ${int64(bytes, at)} has message format ${bytes[at + 16]}; only format 2 (Kafka 0.11 and newer) is read`,
    )
  if (crc32c(bytes, at + 21, end) !== bytes.readUInt32BE(at + 17))
    throw new LoyaltyError('log_corrupt', `record batch at offset ${int64(bytes, at)} fails its checksum`, {
      retriable: true,
    })
}

/** The key of a control record is version int16, type int16: 0 aborts, 1 commits. It follows six one-byte fields. */
function isAbortMarker(bytes: Buffer, at: number): boolean {
  const cursor = { bytes, at: at + batchHeaderBytes }
  readVarint(cursor)
  cursor.at += 1
  skipVarint(cursor)
  readVarint(cursor)
  const keyLength = readVarint(cursor)
  return keyLength >= 4 && bytes.readInt16BE(cursor.at + 2) === 0
}

interface Cursor {
  bytes: Buffer
  at: number
}

const noHeaders: Readonly<Record<string, Uint8Array>> = Object.freeze({})

function readHeaders(cursor: Cursor, count: number): Record<string, Uint8Array> {
  // Without a prototype: the name may be any string.
  const headers: Record<string, Uint8Array> = Object.create(null)
  for (let i = 0; i < count; i++) {
    const name = readBytes(cursor)
    const value = readBytes(cursor)
    if (name !== null) headers[name.toString()] = value ?? Buffer.alloc(0)
  }
  return headers
}

function decompress(codec: number, bytes: Buffer, at: number, end: number): Buffer {
  const compressed = bytes.subarray(at + batchHeaderBytes, end)
  if (codec === 1) return gunzipSync(compressed)
  if (codec === 4) return zstdDecompressSync(compressed)
  throw new LoyaltyError(
    'log_unsupported_format',
    `record batch at offset ${int64(bytes, at)} is compressed with ${codec === 2 ? 'snappy' : codec === 3 ? 'lz4' : `codec ${codec}`}; set compression.type of the topic to uncompressed, so that the broker unpacks it`,
  )
}

function readBytes(cursor: Cursor): Buffer | null {
  const length = readVarint(cursor)
  if (length < 0) return null
  const start = cursor.at
  cursor.at = start + length
  return cursor.bytes.subarray(start, cursor.at)
}

function readVarint(cursor: Cursor): number {
  const { bytes } = cursor
  let at = cursor.at
  let byte = bytes[at++]!
  let value = byte & 127
  for (let shift = 7; byte > 127; shift += 7) {
    byte = bytes[at++]!
    value |= (byte & 127) << shift
  }
  cursor.at = at
  return (value >>> 1) ^ -(value & 1)
}

/** A zigzag varint of up to 53 bits. */
function readVarlong(cursor: Cursor): number {
  const { bytes } = cursor
  let at = cursor.at
  let byte = bytes[at++]!
  let value = byte & 127
  for (let factor = 128; byte > 127; factor *= 128) {
    byte = bytes[at++]!
    value += (byte & 127) * factor
  }
  cursor.at = at
  return value % 2 === 0 ? value / 2 : -(value + 1) / 2
}

function skipVarint(cursor: Cursor): void {
  while (cursor.bytes[cursor.at++]! > 127);
}

/** A big-endian int64 whose value is below 2^53 in size. */
export function int64(bytes: Buffer, at: number): number {
  return bytes.readInt32BE(at) * 0x1_0000_0000 + bytes.readUInt32BE(at + 4)
}
