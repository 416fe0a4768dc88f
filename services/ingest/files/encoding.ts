import { isAscii } from 'node:buffer'
import { changeOfLetters, changeOfUtf8, linesOf, russianUtf8At, type Word } from './mixed.ts'
import type { Likelihood } from './russian.ts'

/** Which encoding bytes of text are in: by their mark, by zeros, by being UTF-8, or by the letters of Russian. */

export type DetectedEncoding = 'utf-8' | 'utf-16le' | 'utf-16be' | 'windows-1251' | 'koi8-r'

export interface Mark {
  readonly encoding: 'utf-8' | 'utf-16le' | 'utf-16be'
  readonly bytes: number
}

/** The byte order mark that bytes begin with, or null. */
export function markOf(head: Uint8Array): Mark | null {
  if (head[0] === 0xef && head[1] === 0xbb && head[2] === 0xbf) return { encoding: 'utf-8', bytes: 3 }
  if (head[0] === 0xff && head[1] === 0xfe) return { encoding: 'utf-16le', bytes: 2 }
  if (head[0] === 0xfe && head[1] === 0xff) return { encoding: 'utf-16be', bytes: 2 }
  return null
}

const zerosLookedAt = 4096

/** UTF-16 without a mark: digits, delimiters and Latin letters have a zero byte, always on the same side. */
export function utf16ByZeros(head: Uint8Array): 'utf-16le' | 'utf-16be' | null {
  const bytes = Math.min(head.length, zerosLookedAt) & ~1
  let even = 0
  let odd = 0
  for (let at = 0; at < bytes; at += 2) {
    if (head[at] === 0) even++
    if (head[at + 1] === 0) odd++
  }
  // One zero is damage rather than an encoding.
  if (Math.max(even, odd) < Math.max(2, bytes / 20)) return null
  if (even === 0) return 'utf-16le'
  return odd === 0 ? 'utf-16be' : null
}

/** What a sample with bytes above 127 and without a mark is found to be. */
export type Guess =
  | { readonly kind: 'one'; readonly encoding: 'utf-8' | 'windows-1251' | 'koi8-r' }
  /** Text of none of the encodings that are told apart here. */
  | { readonly kind: 'unknown' }
  /** `at` begins text in another encoding than the text before. */
  | { readonly kind: 'mixed'; readonly at: number }

/** The last character of the sample may be cut. */
export function guessEncoding(sample: Buffer): Guess {
  if (isAscii(sample) || isUtf8(sample)) return { kind: 'one', encoding: 'utf-8' }
  const lines = linesOf(sample)
  const change = changeOfUtf8(sample) ?? changeOfLetters(lines)
  if (change !== null) return { kind: 'mixed', at: change }
  // Of the words that differ: codes such as К17 in every row say no more than one of them.
  const words = new Set(lines.flatMap(({ words }) => words))
  const windows = sumOf(words, 'windows')
  const koi = sumOf(words, 'koi')
  const isKoi = koi.score > windows.score + windowsLead
  const better = isKoi ? koi : windows
  // In Western texts a letter or sign above 127 stands alone, in Russian ones few letters do.
  if (better.lone * 2 > better.letters) return { kind: 'unknown' }
  if (better.odd * 2 > better.letters + better.signs) return { kind: 'unknown' }
  return { kind: 'one', encoding: isKoi ? 'koi8-r' : 'windows-1251' }
}

function sumOf(words: Iterable<Word>, reading: 'windows' | 'koi'): Likelihood {
  let [score, letters, lone, signs, odd] = [0, 0, 0, 0, 0]
  for (const word of words) {
    const one = word[reading]
    score += one.score
    letters += one.letters
    lone += one.lone
    signs += one.signs
    odd += one.odd
  }
  return { score, letters, lone, signs, odd }
}

/** Of two readings of a word or two that are as likely, the encoding is meant that nearly all such files are in. */
const windowsLead = Math.log(2)

/** Also where a few bytes are wrong in what is UTF-8 otherwise: the error then names the place. */
function isUtf8(sample: Uint8Array): boolean {
  let good = 0
  let bad = 0
  for (const char of new TextDecoder('utf-8').decode(sample, { stream: true })) {
    if (char === '\ufffd') bad++
    else if (char > '\x7f') good++
  }
  if (bad === 0) return true
  try {
    // U+FFFD may stand in the text itself.
    new TextDecoder('utf-8', { fatal: true }).decode(sample, { stream: true })
    return true
  } catch {
    return good > bad * 10
  }
}

/** How a file is decoded, and how that is known: `ascii` where no byte told encodings apart. */
export interface Decoding {
  readonly encoding: string
  readonly by: 'profile' | 'mark' | 'bytes' | 'ascii'
}

/** What the encoding is guessed from: as much, from the first byte on that tells encodings apart. */
const sampleBytes = 64 * 1024

/** Settles the encoding of a stream of bytes: at its beginning, or where the first byte above 127 stands. */
export class EncodingFinder {
  /** `ascii` as long as nothing else is known. */
  decoding: Decoding = { encoding: 'utf-8', by: 'ascii' }
  /** Bytes of the mark, which are no text. */
  skipped = 0
  /** Where, in the bytes last taken, text stands that is in no encoding known here; null as long as there is none. */
  unknownAt: number | null = null
  /** The same of text in another encoding than the text before it. */
  changeAt: number | null = null
  #held: Buffer = Buffer.alloc(0)
  #begun = false
  readonly #declared: string

  /** `declared` is the name of an encoding, or `auto`. */
  constructor(declared: string) {
    this.#declared = declared.toLowerCase()
  }

  /** The bytes to be decoded now by `decoding`; those that it needs to look at once more with their successors are held. */
  take(chunk: Buffer, last: boolean): Buffer {
    if (this.decoding.by !== 'ascii') {
      if (isGuessedByLetters(this.decoding)) this.changeAt = russianUtf8At(chunk)
      return chunk
    }
    const bytes = this.#held.length === 0 ? chunk : Buffer.concat([this.#held, chunk])
    this.#held = bytes.subarray(bytes.length)
    if (!this.#begun) {
      if (!last && bytes.length < sampleBytes) return this.#hold(bytes, 0)
      this.#begun = true
      if (this.#settleByBeginning(bytes)) return bytes.subarray(this.skipped)
    }
    const plain = asciiLength(bytes)
    if (plain === bytes.length) return bytes
    if (!last && bytes.length - plain < sampleBytes) return this.#hold(bytes, plain)
    const guess = guessEncoding(bytes.subarray(plain))
    if (guess.kind === 'unknown') this.unknownAt = plain
    else if (guess.kind === 'mixed') this.changeAt = plain + guess.at
    else this.decoding = { encoding: guess.encoding, by: 'bytes' }
    return bytes
  }

  #hold(bytes: Buffer, from: number): Buffer {
    this.#held = bytes.subarray(from)
    return bytes.subarray(0, from)
  }

  #settleByBeginning(bytes: Buffer): boolean {
    const mark = markOf(bytes)
    const declared = this.#declared === 'auto' ? null : declaredEncoding(this.#declared, mark)
    const encoding = declared ?? mark?.encoding ?? utf16ByZeros(bytes)
    if (encoding === null) return false
    if (mark?.encoding === encoding) this.skipped = mark.bytes
    this.decoding = { encoding, by: declared !== null ? 'profile' : mark !== null ? 'mark' : 'bytes' }
    return true
  }
}

function isGuessedByLetters({ encoding, by }: Decoding): boolean {
  return by === 'bytes' && (encoding === 'windows-1251' || encoding === 'koi8-r')
}

/** The name that decoders give it. The mark says which of its two orders a plain `utf-16` is. */
function declaredEncoding(name: string, mark: Mark | null): string {
  if (/^utf-?16$/.test(name) && mark?.encoding === 'utf-16be') return mark.encoding
  return new TextDecoder(name).encoding
}

/** Bytes before the first above 127. */
function asciiLength(bytes: Buffer): number {
  if (isAscii(bytes)) return bytes.length
  let at = 0
  while (bytes[at]! < 0x80) at++
  return at
}
