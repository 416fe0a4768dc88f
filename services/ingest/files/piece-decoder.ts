import { TextDecoder } from 'node:util'

/** Where bytes are no text; carries no message, because only who knows the file can say it well. */
export class BadBytes extends Error {
  readonly fault: 'undecodable' | 'zero' | 'unknown' | 'mixed'
  /** From the beginning of the unpacked file. */
  readonly offset: number
  /** The first bytes from there, hexadecimal. */
  readonly bytes: string

  constructor(fault: BadBytes['fault'], offset: number, bytes: Uint8Array = new Uint8Array()) {
    super(`${fault} at ${offset}`)
    this.fault = fault
    this.offset = offset
    this.bytes = Buffer.from(bytes.subarray(0, 4)).toString('hex')
  }
}

/**
 * Decodes a stream of bytes piece by piece, each piece whole in itself: what begins a character at the end of one is put
 * before the next. So a fault can be found to the byte, and pieces are decoded at the speed of single strings, several
 * times that of a decoder's stream.
 */
export class PieceDecoder {
  readonly encoding: string
  /** Where the next piece begins in the file. */
  offset: number
  readonly #decoder: TextDecoder
  #open: Buffer = Buffer.alloc(0)

  /** Errors of the calls: BadBytes. */
  constructor(encoding: string, offset: number) {
    this.encoding = encoding
    this.offset = offset
    this.#decoder = newDecoder(encoding)
  }

  decode(chunk: Buffer, last: boolean): string {
    const bytes = this.#open.length === 0 ? chunk : Buffer.concat([this.#open, chunk])
    const open = last ? 0 : openBytes(bytes, this.encoding)
    const piece = bytes.subarray(0, bytes.length - open)
    this.#open = bytes.subarray(bytes.length - open)
    const text = this.#decodePiece(piece, last)
    this.offset += piece.length
    return text
  }

  #decodePiece(piece: Buffer, last: boolean): string {
    let text: string
    try {
      text = this.#decoder.decode(piece, { stream: !isSelfContained(this.encoding) && !last })
    } catch {
      const bad = firstBad(piece, this.encoding)
      throw new BadBytes('undecodable', this.offset + bad, piece.subarray(bad))
    }
    const zero = text.indexOf('\0')
    if (zero < 0) return text
    const at = isWide(this.encoding) ? zero * 2 : piece.indexOf(0)
    throw new BadBytes('zero', this.offset + Math.max(0, at), piece.subarray(Math.max(0, at)))
  }
}

function newDecoder(encoding: string): TextDecoder {
  return new TextDecoder(encoding, { fatal: true, ignoreBOM: true })
}

function isWide(encoding: string): boolean {
  return encoding === 'utf-16le' || encoding === 'utf-16be'
}

/** False for encodings whose pieces cannot be cut here, those of East Asia: they are decoded as one stream. */
function isSelfContained(encoding: string): boolean {
  return encoding === 'utf-8' || isWide(encoding) || /^(windows-|koi8|iso-8859|ibm866|mac|x-mac)/.test(encoding)
}

/** Bytes at the end that begin a character and do not end it. */
function openBytes(bytes: Uint8Array, encoding: string): number {
  const length = bytes.length
  if (isWide(encoding)) {
    const odd = length % 2
    const high = bytes[length - odd - (encoding === 'utf-16le' ? 1 : 2)] ?? 0
    return high >= 0xd8 && high < 0xdc ? odd + 2 : odd
  }
  if (encoding !== 'utf-8') return 0
  for (let back = 1; back <= Math.min(3, length); back++) {
    const byte = bytes[length - back]!
    if ((byte & 0xc0) === 0x80) continue
    const needed = byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : byte >= 0xc0 ? 2 : 1
    return needed > back ? back : 0
  }
  return 0
}

/** Where the first character begins that cannot be decoded: the longest prefix that can is found by halving. */
function firstBad(piece: Buffer, encoding: string): number {
  let good = 0
  let bad = piece.length
  while (bad - good > 1) {
    const middle = (good + bad) >> 1
    if (isDecodable(piece.subarray(0, middle), encoding)) good = middle
    else bad = middle
  }
  return good - openBytes(piece.subarray(0, good), encoding)
}

function isDecodable(bytes: Uint8Array, encoding: string): boolean {
  try {
    newDecoder(encoding).decode(bytes, { stream: true })
    return true
  } catch {
    return false
  }
}
