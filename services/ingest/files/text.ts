import { type FileHandle, open } from 'node:fs/promises'
import type { Readable } from 'node:stream'
import { pipeline } from 'node:stream'
import { createGunzip, createZstdDecompress } from 'node:zlib'
import { LoyaltyError, messageOf } from '#streams/core/error.ts'

/** A file as a stream of text: decompressed by its first bytes (gzip, zstd), decoded by the profile's encoding. */

const chunkBytes = 256 * 1024

/** True where the machine can decode an encoding of this name. */
export function isEncoding(name: string): boolean {
  try {
    new TextDecoder(name)
    return true
  } catch {
    return false
  }
}

/**
 * Chunks of text in file order; a byte order mark is dropped. `onBytes` hears how many bytes of the file itself were
 * read so far. Errors: `file_unreadable` (damaged compression or bytes that the encoding does not allow).
 */
export async function* readText(
  path: string,
  encoding: string,
  onBytes: (bytes: number) => void = () => {},
): AsyncGenerator<string> {
  const decoder = new TextDecoder(encoding, { fatal: true })
  const file = await open(path)
  try {
    for await (const chunk of await decompressed(file, onBytes)) {
      const text = decoder.decode(chunk as Uint8Array, { stream: true })
      if (text !== '') yield text
    }
    const tail = decoder.decode()
    if (tail !== '') yield tail
  } catch (cause) {
    throw new LoyaltyError(
      'file_unreadable',
      `the file cannot be read as ${encoding} text: ${messageOf(cause)}; check its encoding and that it is complete`,
      { cause },
    )
  } finally {
    await file.close()
  }
}

async function decompressed(file: FileHandle, onBytes: (bytes: number) => void): Promise<Readable> {
  const head = Buffer.alloc(4)
  const { bytesRead } = await file.read(head, 0, head.length, 0)
  const raw = file.createReadStream({ start: 0, highWaterMark: chunkBytes, autoClose: false })
  let bytes = 0
  raw.on('data', (chunk) => {
    bytes += chunk.length
    onBytes(bytes)
  })
  raw.pause()
  const decompress = decompressorFor(head.subarray(0, bytesRead))
  // Errors reach the reader of the last stream, so the callback has nothing to add.
  return decompress === null ? raw : pipeline(raw, decompress, () => {})
}

function decompressorFor(head: Buffer) {
  if (head.length >= 2 && head.readUInt16BE(0) === 0x1f8b) return createGunzip({ chunkSize: chunkBytes })
  if (head.length === 4 && head.readUInt32LE(0) === 0xfd2fb528) return createZstdDecompress({ chunkSize: chunkBytes })
  return null
}
