import { isAscii } from 'node:buffer'

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

/**
 * The encoding of a sample with bytes above 127, without a mark; its last character may be cut. Null where it is text of
 * none of the encodings that are told apart here.
 */
export function encodingOf(sample: Uint8Array): 'utf-8' | 'windows-1251' | 'koi8-r' | null {
  if (isAscii(sample) || isUtf8(sample)) return 'utf-8'
  const windows = likelihoodOf(sample, 'windows-1251')
  const koi = likelihoodOf(sample, 'koi8-r')
  const isKoi = koi.score > windows.score + windowsLead
  const better = isKoi ? koi : windows
  // In Western texts a letter or sign above 127 stands alone, in Russian ones few letters do.
  if (better.lone * 2 > better.letters) return null
  if (better.odd * 2 > better.letters + better.signs) return null
  return isKoi ? 'koi8-r' : 'windows-1251'
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

/** Letters of Russian per thousand; those of its neighbours in Windows-1251 are as rare as the rarest. */
const frequencies: Readonly<Record<string, number>> = Object.fromEntries(
  'о110 е85 а80 и74 н67 т63 с55 р47 в45 л44 к35 м32 д30 п28 у26 я20 ы19 ь17 г17 з16 б16 ч14 й12 х10 ж9 ш7 ю6 ц5 щ4 э3 ф3 ё1 ъ1 і3 ї1 є1 ґ1 ў1'
    .split(' ')
    .map((entry) => [entry[0]!, Number(entry.slice(1)) / 1_000]),
)
const signs = new Set('\u00a0№«»–—“”„’‘…°±©®™•§€²³×·')
const signLog = Math.log(0.005)
const oddLog = Math.log(0.000_1)
/** A small letter before a capital one inside a word. */
const flipLog = Math.log(0.02)
const vowels = new Set('аеёиоуыэюяіїє')
/**
 * What follows a vowel, a consonant, two of them or more: a vowel, or a consonant. The letters of one encoding are in the
 * other as frequent, but not in such an order.
 */
const followingLog = [
  { vowel: Math.log(0.15), consonant: Math.log(0.85) },
  { vowel: Math.log(0.6), consonant: Math.log(0.4) },
  { vowel: Math.log(0.85), consonant: Math.log(0.15) },
] as const

interface Likelihood {
  readonly score: number
  readonly letters: number
  /** Letters that stand beside no other such letter. */
  readonly lone: number
  readonly signs: number
  /** Characters that texts of the encoding hardly have. */
  readonly odd: number
}

/** Of the words that differ: codes such as К17 in every row say no more than one of them. */
function likelihoodOf(sample: Uint8Array, encoding: 'windows-1251' | 'koi8-r'): Likelihood {
  const text = new TextDecoder(encoding).decode(sample)
  let [score, letters, lone, signCount, odd] = [0, 0, 0, 0, 0]
  for (const word of new Set(text.match(/[\u0080-\uffff]+/g))) {
    score += orderScore(word)
    for (let at = 0; at < word.length; at++) {
      const char = word[at]!
      const small = char.toLowerCase()
      const frequency = frequencies[small]
      if (frequency !== undefined) {
        letters++
        score += Math.log(frequency)
        const before = word[at - 1] ?? ' '
        if (char !== small && before in frequencies) score += flipLog
        if (isLone(before, word[at + 1] ?? ' ')) lone++
      } else if (signs.has(char)) {
        signCount++
        score += signLog
      } else {
        odd++
        score += oddLog
      }
    }
  }
  return { score, letters, lone, signs: signCount, odd }
}

function orderScore(word: string): number {
  let score = 0
  /** Consonants just before; null where no letter is. */
  let consonants: number | null = null
  for (const char of word.toLowerCase()) {
    if (!(char in frequencies)) consonants = null
    // Signs that soften or part sounds are none.
    else if (char !== 'ь' && char !== 'ъ') {
      const kind = vowels.has(char) ? 'vowel' : 'consonant'
      if (consonants !== null) score += followingLog[Math.min(2, consonants) as 0 | 1 | 2][kind]
      consonants = kind === 'vowel' ? 0 : (consonants ?? 0) + 1
    }
  }
  return score
}

function isLone(before: string, after: string): boolean {
  return !(before.toLowerCase() in frequencies || after.toLowerCase() in frequencies)
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
  #held: Buffer = Buffer.alloc(0)
  #begun = false
  readonly #declared: string

  /** `declared` is the name of an encoding, or `auto`. */
  constructor(declared: string) {
    this.#declared = declared.toLowerCase()
  }

  /** The bytes to be decoded now by `decoding`; those that it needs to look at once more with their successors are held. */
  take(chunk: Buffer, last: boolean): Buffer {
    if (this.decoding.by !== 'ascii') return chunk
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
    const encoding = encodingOf(bytes.subarray(Math.max(0, plain - 1)))
    if (encoding === null) this.unknownAt = plain
    else this.decoding = { encoding, by: 'bytes' }
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
