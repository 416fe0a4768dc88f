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

interface ZipFile {
  readonly name: string
  readonly content: Uint8Array
  readonly method?: number
  readonly flags?: number
  /** Another checksum than that of the content. */
  readonly crc?: number
}

/** A .zip archive; deflate unless a method is given, which then is only claimed (0: stored). */
export function zipped(...files: readonly ZipFile[]): Buffer {
  const parts: Buffer[] = []
  const directory: Buffer[] = []
  let offset = 0
  for (const { name, content, method = 8, flags = 0, crc = crc32(content) } of files) {
    const data = method === 8 ? deflateRawSync(content) : Buffer.from(content)
    const common = Buffer.alloc(26)
    common.writeUInt16LE(20, 0)
    common.writeUInt16LE(flags, 2)
    common.writeUInt16LE(method, 4)
    common.writeUInt32LE(crc, 10)
    common.writeUInt32LE(data.length, 14)
    common.writeUInt32LE(content.length, 18)
    common.writeUInt16LE(Buffer.byteLength(name), 22)
    const local = Buffer.concat([Buffer.from('PK\x03\x04', 'latin1'), common, Buffer.from(name), data])
    const tail = Buffer.alloc(14)
    tail.writeUInt32LE(offset, 10)
    const made = Buffer.from([20, 0])
    directory.push(Buffer.concat([Buffer.from('PK\x01\x02', 'latin1'), made, common, tail, Buffer.from(name)]))
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
