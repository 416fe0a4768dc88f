import { crc32, deflateRawSync } from 'node:zlib'

/** Files as other programs write them, made byte by byte. */

/** Text in an encoding of one byte a character; throws where it has none of a character. */
export function encoded(text: string, encoding: 'windows-1251' | 'koi8-r'): Buffer {
  const codes = codesOf(encoding)
  const bytes = Buffer.alloc(text.length)
  for (let at = 0; at < text.length; at++) {
    const code = codes.get(text[at]!)
    if (code === undefined) throw new Error(`${text[at]} is not in ${encoding}`)
    bytes[at] = code
  }
  return bytes
}

const tables = new Map<string, ReadonlyMap<string, number>>()

function codesOf(encoding: string): ReadonlyMap<string, number> {
  const table =
    tables.get(encoding) ??
    new Map(
      [...new TextDecoder(encoding).decode(Uint8Array.from({ length: 256 }, (_, at) => at))].map((char, at) => [
        char,
        at,
      ]),
    )
  tables.set(encoding, table)
  return table
}

export function utf16(text: string, order: 'le' | 'be', mark = true): Buffer {
  const bytes = Buffer.from(mark ? `\ufeff${text}` : text, 'utf16le')
  return order === 'le' ? bytes : bytes.swap16()
}

export interface ZipFile {
  readonly name: string
  readonly content: Uint8Array
  /** What the content was packed to before, which then is not given. */
  readonly packed?: { readonly data: Buffer; readonly bytes: number; readonly crc: number }
  readonly method?: number
  readonly flags?: number
  /** Another checksum than that of the content. */
  readonly crc?: number
  /** Another size than that of the content. */
  readonly claimedBytes?: number
  /** Checksum and sizes behind the content, as programs write them that pack a stream. */
  readonly descriptor?: boolean
  /** Sizes and place in 64 bits. */
  readonly zip64?: boolean
}

/** A .zip archive; deflate unless a method is given, which then is only claimed (0: stored). */
export function zipped(...files: readonly ZipFile[]): Buffer {
  const parts: Buffer[] = []
  const directory: Buffer[] = []
  let offset = 0
  for (const file of files) {
    const { name, content, packed, method = 8, flags = 0 } = file
    const { crc = packed?.crc ?? crc32(content), claimedBytes = packed?.bytes ?? content.length } = file
    const data = packed?.data ?? (method === 8 ? deflateRawSync(content) : Buffer.from(content))
    const common = Buffer.alloc(26)
    common.writeUInt16LE(file.zip64 ? 45 : 20, 0)
    common.writeUInt16LE(flags | (file.descriptor ? 8 : 0), 2)
    common.writeUInt16LE(method, 4)
    const sizes = Buffer.alloc(12)
    sizes.writeUInt32LE(crc, 0)
    sizes.writeUInt32LE(data.length, 4)
    sizes.writeUInt32LE(claimedBytes, 8)
    common.writeUInt16LE(Buffer.byteLength(name), 22)
    const localHead = Buffer.from(common)
    if (!file.descriptor) sizes.copy(localHead, 10)
    const descriptor = file.descriptor ? Buffer.concat([Buffer.from('PK\x07\x08', 'latin1'), sizes]) : Buffer.alloc(0)
    const local = Buffer.concat([Buffer.from('PK\x03\x04', 'latin1'), localHead, Buffer.from(name), data, descriptor])
    sizes.copy(common, 10)
    const tail = Buffer.alloc(14)
    tail.writeUInt32LE(offset, 10)
    let extra = Buffer.alloc(0)
    if (file.zip64) {
      extra = Buffer.alloc(28)
      extra.writeUInt16LE(1, 0)
      extra.writeUInt16LE(24, 2)
      const wide = [claimedBytes, data.length, offset]
      wide.forEach((value, i) => void extra.writeBigUInt64LE(BigInt(value), 4 + 8 * i))
      common.fill(0xff, 14, 22)
      common.writeUInt16LE(extra.length, 24)
      tail.fill(0xff, 10)
    }
    const made = Buffer.from([20, 0])
    directory.push(Buffer.concat([Buffer.from('PK\x01\x02', 'latin1'), made, common, tail, Buffer.from(name), extra]))
    parts.push(local)
    offset += local.length
  }
  const entries = Buffer.concat(directory)
  const end = Buffer.alloc(18)
  end.writeUInt16LE(files.length, 4)
  end.writeUInt16LE(files.length, 6)
  end.writeUInt32LE(entries.length, 8)
  end.writeUInt32LE(offset, 12)
  return Buffer.concat([...parts, entries, Buffer.from('PK\x05\x06', 'latin1'), end])
}
