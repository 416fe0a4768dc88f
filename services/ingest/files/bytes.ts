import { type FileHandle, open } from 'node:fs/promises'
import { pipeline, Readable, type Transform } from 'node:stream'
import { crc32, createGunzip, createInflateRaw, createZstdDecompress } from 'node:zlib'
import { LoyaltyError, messageOf } from '#streams/core/error.ts'
import { headBytes, refuseForeign } from './foreign.ts'
import { refuseEncrypted } from './ole.ts'
import { findZipEntry, type ZipEntry } from './zip.ts'

/** A file as a stream of the bytes of its text: unpacked by its first bytes, whatever its name says. */

export type Container = 'none' | 'gzip' | 'zstd' | 'zip' | 'xlsx'

/** What a packed file may come to before it is taken for a bomb. */
export interface ExpansionLimits {
  readonly maxBytes: number
  /** Bytes unpacked per byte read; asked once more than `ratioFromBytes` were unpacked. */
  readonly maxRatio: number
  readonly ratioFromBytes: number
}

/** Exports pack to a fifth or a twentieth; deflate reaches 1,032, zstd more, with nothing but repetition. */
export const expansionLimits: ExpansionLimits = {
  maxBytes: 32 * 1024 ** 3,
  maxRatio: 250,
  ratioFromBytes: 16 * 1024 ** 2,
}

export interface BytesOptions {
  /** Hears how many bytes of the file itself were read so far. */
  readonly onBytes?: ((bytes: number) => void) | undefined
  readonly onContainer?: ((container: Container) => void) | undefined
  readonly limits?: ExpansionLimits | undefined
}

/** The text of more would be an object that V8 keeps apart, and most of it until the old generation is swept. */
const chunkBytes = 64 * 1024

/** Both ends are in it; a missing one is that of the file. */
interface ByteRange {
  readonly start?: number
  readonly end?: number
}

/**
 * Errors: `file_unreadable` (damaged compression), `file_expands_too_much`, `file_format_unsupported`,
 * `workbook_encrypted`, `archive_not_single`, `archive_unreadable`.
 */
export async function* readBytes(path: string, options: BytesOptions = {}): AsyncGenerator<Buffer> {
  const file = await open(path)
  try {
    const head = Buffer.alloc(headBytes)
    const { bytesRead } = await file.read(head, 0, headBytes, 0)
    await refuseEncrypted(file, head.subarray(0, bytesRead))
    const container = containerOf(head.subarray(0, bytesRead))
    options.onContainer?.(container)
    let first = true
    for await (const chunk of contentOf(file, container, options)) {
      if (first) {
        refuseForeign(chunk.subarray(0, headBytes))
        if (container !== 'none' && containerOf(chunk) !== 'none') throw packedTwice()
      }
      first = false
      yield chunk
    }
  } finally {
    await file.close()
  }
}

function containerOf(head: Buffer): Container {
  if (head.length >= 2 && head.readUInt16BE(0) === 0x1f8b) return 'gzip'
  if (head.length < 4) return 'none'
  if (head.readUInt32LE(0) === 0xfd2fb528) return 'zstd'
  const start = head.readUInt32BE(0)
  // The second is the mark of an archive without entries.
  return start === 0x504b0304 || start === 0x504b0506 ? 'zip' : 'none'
}

/** True where a file begins as archives do, which workbooks are too. */
export async function isZip(file: FileHandle): Promise<boolean> {
  const { bytesRead, buffer } = await file.read(Buffer.alloc(4), 0, 4, 0)
  return containerOf(buffer.subarray(0, bytesRead)) === 'zip'
}

function contentOf(file: FileHandle, container: Container, options: BytesOptions): AsyncGenerator<Buffer> {
  if (container === 'gzip') return unpacked(file, createGunzip({ chunkSize: chunkBytes }), {}, options)
  if (container === 'zstd') return unpacked(file, createZstdDecompress({ chunkSize: chunkBytes }), {}, options)
  return container === 'zip' ? unzipped(file, options) : unpacked(file, null, {}, options)
}

async function* unzipped(file: FileHandle, options: BytesOptions): AsyncGenerator<Buffer> {
  yield* readZipEntry(file, await findZipEntry(file), options)
}

/**
 * The bytes of one entry of an archive, checked against what the archive says of it. Errors: `archive_unreadable`,
 * `file_unreadable`, `file_expands_too_much`.
 */
export async function* readZipEntry(
  file: FileHandle,
  entry: ZipEntry,
  options: BytesOptions = {},
): AsyncGenerator<Buffer> {
  const range = { start: entry.dataOffset, end: entry.dataOffset + entry.compressedBytes - 1 }
  let checksum = 0
  let bytes = 0
  if (entry.compressedBytes > 0)
    for await (const chunk of unpacked(file, decompressorOf(entry), range, options)) {
      checksum = crc32(chunk, checksum)
      bytes += chunk.length
      if (bytes > entry.expandedBytes) break
      yield chunk
    }
  if (checksum !== entry.crc32 || bytes !== entry.expandedBytes)
    throw new LoyaltyError('archive_unreadable', `${entry.name} in the .zip is damaged; pack and send it again`)
}

function decompressorOf({ method }: ZipEntry): Transform | null {
  if (method === 0) return null
  return method === 8 ? createInflateRaw({ chunkSize: chunkBytes }) : createZstdDecompress({ chunkSize: chunkBytes })
}

async function* unpacked(
  file: FileHandle,
  decompress: Transform | null,
  range: ByteRange,
  { onBytes, limits = expansionLimits }: BytesOptions,
): AsyncGenerator<Buffer> {
  const read = { bytes: 0 }
  const raw = rawBytes(file, range, read)
  // Errors reach the reader of the last stream, so the callback has nothing to add.
  const content: AsyncIterable<Buffer> =
    decompress === null ? raw : pipeline(Readable.from(raw, { objectMode: false }), decompress, () => {})
  let bytes = 0
  try {
    for await (const chunk of content) {
      bytes += chunk.length
      if (decompress !== null) checkExpansion(bytes, read.bytes, limits)
      onBytes?.(read.bytes)
      yield chunk
    }
  } catch (cause) {
    if (cause instanceof LoyaltyError) throw cause
    throw new LoyaltyError(
      'file_unreadable',
      `the file cannot be unpacked: ${messageOf(cause)}; check that it is complete, and send it again`,
      { cause },
    )
  }
}

/** Not the stream of the file: that one closes the file when its reader stops early, and others may be reading it too. */
async function* rawBytes(file: FileHandle, range: ByteRange, read: { bytes: number }): AsyncGenerator<Buffer> {
  const { start = 0, end = Number.POSITIVE_INFINITY } = range
  for (let at = start; at <= end; ) {
    const length = Math.min(chunkBytes, end - at + 1)
    const { bytesRead, buffer } = await file.read(Buffer.allocUnsafe(length), 0, length, at)
    if (bytesRead === 0) return
    at += bytesRead
    read.bytes += bytesRead
    yield buffer.subarray(0, bytesRead)
  }
}

/** Errors: `file_expands_too_much`. */
export function checkExpansion(bytes: number, read: number, limits: ExpansionLimits): void {
  const isTooDense = bytes > limits.ratioFromBytes && bytes > read * limits.maxRatio
  if (bytes <= limits.maxBytes && !isTooDense) return
  throw new LoyaltyError(
    'file_expands_too_much',
    `the file unpacks to more than ${isTooDense ? `${limits.maxRatio} times its size` : `${limits.maxBytes} bytes`}, as no export of data does; send it unpacked, or in parts`,
    { details: { bytes, read } },
  )
}

function packedTwice(): LoyaltyError {
  return new LoyaltyError(
    'file_format_unsupported',
    'the file is packed twice, as a workbook in an archive is too; unpack it once and send what is in it',
    {
      details: { format: 'packed twice' },
    },
  )
}
