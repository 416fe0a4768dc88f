import type { FileHandle } from 'node:fs/promises'
import { LoyaltyError } from '#streams/core/error.ts'
import { officeFormat, refuseOffice } from './foreign.ts'

/**
 * The files of a .zip archive, found by the archive's central directory (PKWARE APPNOTE 6.3.10, sections 4.3 and 4.5).
 * Where one file is looked for, an archive of several is refused rather than guessed at.
 */

export interface ZipEntry {
  readonly name: string
  /** 0 stored, 8 deflate, 93 zstd. */
  readonly method: 0 | 8 | 93
  readonly crc32: number
  readonly compressedBytes: number
  readonly expandedBytes: number
  /** Where its compressed bytes begin in the archive. */
  readonly dataOffset: number
}

interface Directory {
  readonly offset: number
  readonly bytes: number
  readonly entries: number
}

const endSignature = 0x06054b50
const end64Signature = 0x06064b50
const locator64Signature = 0x07064b50
const entrySignature = 0x02014b50
const localSignature = 0x04034b50
const endBytes = 22
const locatorBytes = 20
const longestComment = 0xffff
/** A directory beyond this is not that of an archive with one file. */
const maxDirectoryBytes = 1024 * 1024

/** An entry as the directory of its archive has it. */
export interface DirectoryEntry {
  readonly name: string
  readonly encrypted: boolean
  readonly method: number
  readonly crc32: number
  readonly compressedBytes: number
  readonly expandedBytes: number
  readonly localOffset: number
}

/**
 * Errors: `archive_not_single` (details.files), `archive_unreadable` (damaged, encrypted or packed in an unusual way),
 * `file_format_unsupported` (a spreadsheet, which is a .zip inside).
 */
export async function findZipEntry(file: FileHandle): Promise<ZipEntry> {
  const all = await readZipDirectory(file)
  const office = officeFormat(all.map(({ name }) => name))
  if (office !== null) throw refuseOffice(office)
  const files = all.filter(({ name }) => !isBesideTheFile(name))
  const [only] = files
  if (only === undefined || files.length > 1) throw notSingle(files.length)
  return locateZipEntry(file, only)
}

/** Every entry of an archive. Errors: `archive_unreadable`, `archive_not_single` (more entries than are looked at). */
export async function readZipDirectory(file: FileHandle): Promise<DirectoryEntry[]> {
  const { size } = await file.stat()
  const directory = await findDirectory(file, size)
  if (directory.bytes > maxDirectoryBytes) throw notSingle(directory.entries)
  return [...entriesOf(await readAt(file, directory.offset, directory.bytes))]
}

/** Where the bytes of an entry are. Errors: `archive_unreadable`. */
export async function locateZipEntry(file: FileHandle, entry: DirectoryEntry): Promise<ZipEntry> {
  const { name, method, crc32, compressedBytes, expandedBytes, localOffset } = entry
  if (entry.encrypted) throw unreadable(`${name} is encrypted; send it without a password`)
  if (method !== 0 && method !== 8 && method !== 93)
    throw unreadable(`${name} is packed by method ${method}; pack it with deflate, the usual one`)
  const local = await readAt(file, localOffset, 30)
  if (local.readUInt32LE(0) !== localSignature) throw unreadable('its directory points to no file')
  const dataOffset = localOffset + 30 + local.readUInt16LE(26) + local.readUInt16LE(28)
  const { size } = await file.stat()
  if (dataOffset + compressedBytes > size) throw unreadable('it ends too early')
  return { name, method, crc32, compressedBytes, expandedBytes, dataOffset }
}

async function findDirectory(file: FileHandle, size: number): Promise<Directory> {
  const tailBytes = Math.min(size, endBytes + longestComment)
  const tail = await readAt(file, size - tailBytes, tailBytes)
  let at = tail.length - endBytes
  while (at >= 0 && tail.readUInt32LE(at) !== endSignature) at--
  if (at < 0) throw unreadable('its directory is missing: was it sent whole?')
  const directory = {
    entries: tail.readUInt16LE(at + 10),
    bytes: tail.readUInt32LE(at + 12),
    offset: tail.readUInt32LE(at + 16),
  }
  const is64 = directory.offset === 0xffffffff || directory.bytes === 0xffffffff || directory.entries === 0xffff
  return is64 ? findDirectory64(file, size - tailBytes + at) : directory
}

async function findDirectory64(file: FileHandle, endOffset: number): Promise<Directory> {
  const locator = await readAt(file, endOffset - locatorBytes, locatorBytes)
  if (locator.readUInt32LE(0) !== locator64Signature) throw unreadable('its directory is damaged')
  const end = await readAt(file, Number(locator.readBigUInt64LE(8)), 56)
  if (end.readUInt32LE(0) !== end64Signature) throw unreadable('its directory is damaged')
  return {
    entries: Number(end.readBigUInt64LE(32)),
    bytes: Number(end.readBigUInt64LE(40)),
    offset: Number(end.readBigUInt64LE(48)),
  }
}

function* entriesOf(bytes: Buffer): Generator<DirectoryEntry> {
  for (let at = 0; at + 46 <= bytes.length && bytes.readUInt32LE(at) === entrySignature; ) {
    const nameEnd = at + 46 + bytes.readUInt16LE(at + 28)
    const extraEnd = nameEnd + bytes.readUInt16LE(at + 30)
    const [expandedBytes, compressedBytes, localOffset] = wideSizes(bytes.subarray(nameEnd, extraEnd), [
      bytes.readUInt32LE(at + 24),
      bytes.readUInt32LE(at + 20),
      bytes.readUInt32LE(at + 42),
    ])
    yield {
      name: bytes.toString('utf8', at + 46, nameEnd),
      encrypted: (bytes.readUInt16LE(at + 8) & 1) === 1,
      method: bytes.readUInt16LE(at + 10),
      crc32: bytes.readUInt32LE(at + 16),
      compressedBytes: compressedBytes!,
      expandedBytes: expandedBytes!,
      localOffset: localOffset!,
    }
    at = extraEnd + bytes.readUInt16LE(at + 32)
  }
}

/** Sizes that do not fit into 32 bits are in an extra field, in their order and only those (4.5.3). */
function wideSizes(extra: Buffer, sizes: number[]): number[] {
  for (let at = 0; at + 4 <= extra.length; ) {
    const end = at + 4 + extra.readUInt16LE(at + 2)
    if (extra.readUInt16LE(at) === 0x0001 && end <= extra.length) {
      let next = at + 4
      return sizes.map((size) => {
        if (size !== 0xffffffff || next + 8 > end) return size
        next += 8
        return Number(extra.readBigUInt64LE(next - 8))
      })
    }
    at = end
  }
  return sizes
}

/** Folders, and what macOS packs beside a file. */
function isBesideTheFile(name: string): boolean {
  return name.endsWith('/') || name.startsWith('__MACOSX/') || name.endsWith('.DS_Store')
}

async function readAt(file: FileHandle, position: number, length: number): Promise<Buffer> {
  if (position < 0 || !Number.isSafeInteger(position)) throw unreadable('its directory is damaged')
  const bytes = Buffer.alloc(length)
  const { bytesRead } = await file.read(bytes, 0, length, position)
  if (bytesRead < length) throw unreadable('it ends too early')
  return bytes
}

function notSingle(files: number): LoyaltyError {
  return new LoyaltyError('archive_not_single', `the .zip holds ${files} files; send one file in each archive`, {
    details: { files },
  })
}

function unreadable(why: string): LoyaltyError {
  return new LoyaltyError('archive_unreadable', `the .zip cannot be read: ${why}`)
}
