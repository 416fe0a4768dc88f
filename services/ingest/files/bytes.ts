import { type FileHandle, open } from 'node:fs/promises'
import { pipeline, type Readable, type Transform } from 'node:stream'
import { crc32, createGunzip, createInflateRaw, createZstdDecompress } from 'node:zlib'
import { LoyaltyError, messageOf } from '#streams/core/error.ts'
import { headBytes, refuseForeign } from './foreign.ts'
import { findZipEntry, type ZipEntry } from './zip.ts'

/** A file as a stream of the bytes of its text: unpacked by its first bytes, whatever its name says. */

export type Container = 'none' | 'gzip' | 'zstd' | 'zip'

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

const chunkBytes = 256 * 1024

/**
 * Errors: `file_unreadable` (damaged compression), `file_expands_too_much`, `file_format_unsupported`,
 * `archive_not_single`, `archive_unreadable`.
 */
export async function* readBytes(path: string, options: BytesOptions = {}): AsyncGenerator<Buffer> {
  const file = await open(path)
  try {
    const head = Buffer.alloc(headBytes)
    const { bytesRead } = await file.read(head, 0, headBytes, 0)
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

function contentOf(file: FileHandle, container: Container, options: BytesOptions): AsyncGenerator<Buffer> {
  if (container === 'gzip') return unpacked(file, createGunzip({ chunkSize: chunkBytes }), {}, options)
  if (container === 'zstd') return unpacked(file, createZstdDecompress({ chunkSize: chunkBytes }), {}, options)
  return container === 'zip' ? unzipped(file, options) : unpacked(file, null, {}, options)
}

async function* unzipped(file: FileHandle, options: BytesOptions): AsyncGenerator<Buffer> {
  const entry = await findZipEntry(file)
  const range = { start: entry.dataOffset, end: entry.dataOffset + entry.compressedBytes - 1 }
  let checksum = 0
  let bytes = 0
  if (entry.compressedBytes > 0)
    for await (const chunk of unpacked(file, decompressorOf(entry), range, options)) {
      checksum = crc32(chunk, checksum)
      bytes += chunk.length
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
  range: { start?: number; end?: number },
  { onBytes, limits = expansionLimits }: BytesOptions,
): AsyncGenerator<Buffer> {
  const raw = file.createReadStream({ start: 0, ...range, highWaterMark: chunkBytes, autoClose: false })
  // Errors reach the reader of the last stream, so the callback has nothing to add.
  const content: Readable = decompress === null ? raw : pipeline(raw, decompress, () => {})
  let bytes = 0
  try {
    for await (const chunk of content as AsyncIterable<Buffer>) {
      bytes += chunk.length
      if (decompress !== null) checkExpansion(bytes, raw.bytesRead, limits)
      onBytes?.(raw.bytesRead)
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

function checkExpansion(bytes: number, read: number, limits: ExpansionLimits): void {
  const isTooDense = bytes > limits.ratioFromBytes && bytes > read * limits.maxRatio
  if (bytes <= limits.maxBytes && !isTooDense) return
  throw new LoyaltyError(
    'file_expands_too_much',
    `the file unpacks to more than ${isTooDense ? `${limits.maxRatio} times its size` : `${limits.maxBytes} bytes`}, as no export of data does; send it unpacked, or in parts`,
    { details: { bytes, read } },
  )
}

function packedTwice(): LoyaltyError {
  return new LoyaltyError('file_format_unsupported', 'the file is packed twice; unpack it once and send it again', {
    details: { format: 'packed twice' },
  })
}
