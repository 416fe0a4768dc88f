/**
 * CRC-32C (Castagnoli) of `bytes[from, to)` as an unsigned integer, sixteen bytes a turn ("slicing by 16"), read as
 * little-endian words.
 *
 * Source: RFC 3720 appendix B.4 (polynomial 0x1edc6f41, reflected 0x82f63b78); Kounavis and Berry, "Novel Table
 * Lookup-Based Algorithms for High-Performance CRC Generation".
 */
export function crc32c(bytes: Uint8Array, from = 0, to = bytes.length): number {
  let crc = -1
  let i = from
  // Words can be read at multiples of four only.
  const aligned = Math.min(to, from + (-(bytes.byteOffset + from) & 3))
  for (; i < aligned; i++) crc = (crc >>> 8) ^ tables[(crc ^ bytes[i]!) & 0xff]!
  const turns = (to - i) >> 4
  if (turns > 0) {
    crc = overWords(crc, new Int32Array(bytes.buffer, bytes.byteOffset + i, turns * 4))
    i += turns * 16
  }
  for (; i < to; i++) crc = (crc >>> 8) ^ tables[(crc ^ bytes[i]!) & 0xff]!
  return ~crc >>> 0
}

function overWords(start: number, words: Int32Array): number {
  let crc = start
  for (let k = 0; k < words.length; k += 4) {
    const a = crc ^ words[k]!
    const b = words[k + 1]!
    const c = words[k + 2]!
    const d = words[k + 3]!
    crc =
      tables[0xf00 | (a & 0xff)]! ^
      tables[0xe00 | ((a >>> 8) & 0xff)]! ^
      tables[0xd00 | ((a >>> 16) & 0xff)]! ^
      tables[0xc00 | (a >>> 24)]! ^
      tables[0xb00 | (b & 0xff)]! ^
      tables[0xa00 | ((b >>> 8) & 0xff)]! ^
      tables[0x900 | ((b >>> 16) & 0xff)]! ^
      tables[0x800 | (b >>> 24)]! ^
      tables[0x700 | (c & 0xff)]! ^
      tables[0x600 | ((c >>> 8) & 0xff)]! ^
      tables[0x500 | ((c >>> 16) & 0xff)]! ^
      tables[0x400 | (c >>> 24)]! ^
      tables[0x300 | (d & 0xff)]! ^
      tables[0x200 | ((d >>> 8) & 0xff)]! ^
      tables[0x100 | ((d >>> 16) & 0xff)]! ^
      tables[d >>> 24]!
  }
  return crc
}

const tables = buildTables()

/** Table k at 256·k: the CRC of one byte followed by k zero bytes. */
function buildTables(): Int32Array {
  const built = new Int32Array(16 * 256)
  for (let byte = 0; byte < 256; byte++) {
    let crc = byte
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1
    built[byte] = crc
  }
  for (let i = 256; i < built.length; i++) built[i] = (built[i - 256]! >>> 8) ^ built[built[i - 256]! & 0xff]!
  return built
}
