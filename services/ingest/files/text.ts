import { LoyaltyError } from '#streams/core/error.ts'
import { type BytesOptions, readBytes } from './bytes.ts'
import { type Decoding, EncodingFinder } from './encoding.ts'
import { BadBytes, PieceDecoder } from './piece-decoder.ts'

/** A file as a stream of text: unpacked, and decoded by the profile's encoding or by the one that its bytes are in. */

/** True where the machine can decode an encoding of this name, and for `auto`. */
export function isEncoding(name: string): boolean {
  if (name === 'auto') return true
  try {
    new TextDecoder(name)
    return true
  } catch {
    return false
  }
}

export interface TextOptions extends BytesOptions {
  /** Hears how the file is decoded: with the first text, and again where later bytes settle it. */
  readonly onDecoding?: ((decoding: Decoding) => void) | undefined
}

/**
 * Chunks of text in file order; a byte order mark at the beginning is dropped. `encoding` is a name or `auto`. Errors:
 * those of `readBytes`, `file_unreadable` (bytes that the encoding does not allow, or several encodings), `file_not_text`
 * (U+0000) and `encoding_unknown`; their details have `offset` in the unpacked file and `line`, from 1.
 */
export async function* readText(path: string, encoding: string, options: TextOptions = {}): AsyncGenerator<string> {
  const finder = new EncodingFinder(encoding)
  let pieces: PieceDecoder | null = null
  const decode = (chunk: Buffer, last: boolean): string => {
    const bytes = finder.take(chunk, last)
    if (finder.unknownAt !== null) throw new BadBytes('unknown', (pieces?.offset ?? 0) + finder.unknownAt)
    if (finder.changeAt !== null) throw new BadBytes('mixed', (pieces?.offset ?? 0) + finder.changeAt)
    if (bytes.length === 0 && !last) return ''
    if (pieces?.encoding !== finder.decoding.encoding) {
      pieces = new PieceDecoder(finder.decoding.encoding, pieces?.offset ?? finder.skipped)
      options.onDecoding?.(finder.decoding)
    }
    return pieces.decode(bytes, last)
  }
  try {
    for await (const chunk of readBytes(path, options)) {
      const text = decode(chunk, false)
      if (text !== '') yield text
    }
    const tail = decode(Buffer.alloc(0), true)
    if (tail !== '') yield tail
  } catch (error) {
    if (error instanceof BadBytes) throw await faultOf(error, path, finder.decoding)
    throw error
  }
}

/** The line is counted only now, in another pass: it costs nothing where nothing is wrong. */
async function faultOf({ fault, offset, bytes }: BadBytes, path: string, decoding: Decoding): Promise<LoyaltyError> {
  const { encoding, by } = decoding
  const line = await lineAt(path, offset, encoding)
  const at = `line ${line} (byte ${offset} of the file as unpacked)`
  const details = { encoding, by, line, offset, bytes }
  if (fault === 'zero')
    return new LoyaltyError('file_not_text', `${at} holds U+0000: the file is damaged, or no text; export it again`, {
      details,
    })
  if (fault === 'unknown')
    return new LoyaltyError(
      'encoding_unknown',
      `the encoding cannot be told from the bytes at ${at}; name it in the profile (format.encoding), or save the file as UTF-8`,
      { details: { line, offset } },
    )
  if (fault === 'mixed')
    return new LoyaltyError(
      'file_unreadable',
      `${at} is in another encoding than the text above it, so the file mixes encodings; save all of it in one, best as UTF-8`,
      { details: { line, offset } },
    )
  return new LoyaltyError(
    'file_unreadable',
    `${at} has bytes that are no ${encoding} text: ${bytes}; ` +
      (by === 'profile'
        ? 'is it in another encoding than its profile says?'
        : 'does it mix encodings? Save all of it in one, best as UTF-8'),
    { details },
  )
}

/** Number of the line that an offset is in, from 1; lines end with CR where there is no LF. */
async function lineAt(path: string, offset: number, encoding: string): Promise<number> {
  // The zero byte beside the line feed tells it from U+0A00 to U+0AFF, which no such file has in bulk.
  const signOf = (byte: number) =>
    Buffer.from(encoding === 'utf-16le' ? [byte, 0] : encoding === 'utf-16be' ? [0, byte] : [byte])
  const [lf, cr] = [signOf(0x0a), signOf(0x0d)]
  let [lfs, crs, begin] = [0, 0, 0]
  for await (const chunk of readBytes(path)) {
    const before = chunk.subarray(0, Math.max(0, offset - begin))
    lfs += countOf(before, lf)
    if (lfs === 0) crs += countOf(before, cr)
    begin += chunk.length
    if (begin >= offset) break
  }
  return 1 + (lfs > 0 ? lfs : crs)
}

function countOf(bytes: Buffer, sign: Buffer): number {
  let count = 0
  for (let at = bytes.indexOf(sign); at >= 0; at = bytes.indexOf(sign, at + 1)) count++
  return count
}
