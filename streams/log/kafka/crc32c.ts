/**
 * CRC-32C (Castagnoli) of `bytes[from, to)` as an unsigned integer, eight bytes a turn ("slicing by 8").
 *
 * Source: RFC 3720 appendix B.4 (polynomial 0x1edc6f41, reflected 0x82f63b78); Kounavis and Berry, "Novel Table
 * Lookup-Based Algorithms for High-Performance CRC Generation".
 */
export function crc32c(bytes: Uint8Array, from = 0, to = bytes.length): number {
  let crc = -1
  let i = from
  for (const end = to - 7; i < end; i += 8) {
    const low = crc ^ (bytes[i]! | (bytes[i + 1]! << 8) | (bytes[i + 2]! << 16) | (bytes[i + 3]! << 24))
    crc =
      tables[0x700 | (low & 0xff)]! ^
      tables[0x600 | ((low >>> 8) & 0xff)]! ^
      tables[0x500 | ((low >>> 16) & 0xff)]! ^
      tables[0x400 | (low >>> 24)]! ^
      tables[0x300 | bytes[i + 4]!]! ^
      tables[0x200 | bytes[i + 5]!]! ^
      tables[0x100 | bytes[i + 6]!]! ^
      tables[bytes[i + 7]!]!
  }
  for (; i < to; i++) crc = (crc >>> 8) ^ tables[(crc ^ bytes[i]!) & 0xff]!
  return ~crc >>> 0
}

const tables = buildTables()

/** Table k at 256·k: the CRC of one byte followed by k zero bytes. */
function buildTables(): Int32Array {
  const built = new Int32Array(8 * 256)
  for (let byte = 0; byte < 256; byte++) {
    let crc = byte
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1
    built[byte] = crc
  }
  for (let i = 256; i < built.length; i++) built[i] = (built[i - 256]! >>> 8) ^ built[built[i - 256]! & 0xff]!
  return built
}
