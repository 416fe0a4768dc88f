/** A 64-bit hash as two unsigned 32-bit halves. */
export interface Hash64 {
  hi: number
  lo: number
}

/** Kept free at the end: a text is padded to four bytes, the whole to sixteen. */
const padding = 16
/** Stands for the length of a text that is absent. */
const absent = 0xffffffff
/** Announces a number of eight bytes. */
const wide = 0x80000000

/**
 * Collects strings and numbers and hashes them with MurmurHash3 x86_128, seed 0, of which the first 64 bits are kept.
 * Reused over and over it allocates nothing. Values are laid out unambiguously: a string is its length in UTF-16 units and
 * its UTF-8 bytes, padded to four bytes; a whole number below 2^31 is itself, any other a mark and its IEEE 754 bytes; absence
 * is a length that no string has.
 *
 * Source: Austin Appleby, MurmurHash3.cpp (public domain). Works on little-endian machines, which all supported ones are.
 */
export class Hasher {
  #bytes = new Uint8Array(1024)
  #words = new Uint32Array(this.#bytes.buffer)
  #length = 0
  #room = this.#bytes.length - padding

  reset(): this {
    this.#length = 0
    return this
  }

  text(value: string | null): this {
    if (value === null) return this.word(absent)
    const units = value.length
    this.word(units)
    if (this.#length + units > this.#room) this.#grow(units)
    const words = this.#words
    const whole = units & ~3
    let at = this.#length >>> 2
    let seen = 0
    let i = 0
    for (; i < whole; i += 4) {
      const a = value.charCodeAt(i)
      const b = value.charCodeAt(i + 1)
      const c = value.charCodeAt(i + 2)
      const d = value.charCodeAt(i + 3)
      seen |= a | b | c | d
      words[at++] = a | (b << 8) | (c << 16) | (d << 24)
    }
    if (i < units) {
      let word = 0
      for (let shift = 0; i < units; i++, shift += 8) {
        const unit = value.charCodeAt(i)
        seen |= unit
        word |= unit << shift
      }
      words[at++] = word
    }
    if (seen > 0x7f) return this.#beyondAscii(value)
    this.#length = at << 2
    return this
  }

  #beyondAscii(value: string): this {
    this.utf8(value)
    while ((this.#length & 3) !== 0) this.#bytes[this.#length++] = 0
    return this
  }

  /** As `text`, from the UTF-8 bytes from `from` to `to`; absence where `from` is negative. */
  encodedText(bytes: Uint8Array, from: number, to: number): this {
    if (from < 0) return this.word(absent)
    this.word(0)
    const lengthAt = (this.#length >>> 2) - 1
    const seen = this.#copy(bytes, from, to)
    const length = to - from
    this.#words[lengthAt] = (seen & 0x80808080) === 0 ? length : utf16Length(bytes, from, to)
    this.#length += (length + 3) & ~3
    return this
  }

  /** As `utf8`, from the bytes from `from` to `to`. After it only `finish` may follow. */
  encodedUtf8(bytes: Uint8Array, from: number, to: number): this {
    this.#copy(bytes, from, to)
    this.#length += to - from
    return this
  }

  /** Copies bytes to the end, with zeros up to a whole word, and answers what bits were seen. */
  #copy(bytes: Uint8Array, from: number, to: number): number {
    if (this.#length + to - from > this.#room) this.#grow(to - from)
    const words = this.#words
    let at = this.#length >>> 2
    let seen = 0
    let i = from
    for (const whole = from + ((to - from) & ~3); i < whole; i += 4) {
      const word = bytes[i]! | (bytes[i + 1]! << 8) | (bytes[i + 2]! << 16) | (bytes[i + 3]! << 24)
      seen |= word
      words[at++] = word
    }
    if (i < to) {
      let word = 0
      for (let shift = 0; i < to; i++, shift += 8) word |= bytes[i]! << shift
      seen |= word
      words[at] = word
    }
    return seen
  }

  /** Only the bytes of the text: no length, no padding. After it only `finish` may follow. */
  utf8(value: string): this {
    const units = value.length
    if (this.#length + units * 3 > this.#room) this.#grow(units * 3)
    const bytes = this.#bytes
    let at = this.#length
    for (let i = 0; i < units; i++) {
      const unit = value.charCodeAt(i)
      if (unit < 0x80) bytes[at++] = unit
      else {
        const point = value.codePointAt(i)!
        at = encodePoint(bytes, at, point)
        if (point > 0xffff) i++
      }
    }
    this.#length = at
    return this
  }

  number(value: number): this {
    // Also -0, which is 0 for us.
    if ((value | 0) === value && value >= 0) return this.word(value)
    float64[0] = value
    return this.word(wide).word(float64Words[0]!).word(float64Words[1]!)
  }

  /** An unsigned 32-bit number. */
  word(value: number): this {
    if (this.#length + 4 > this.#room) this.#grow(4)
    this.#words[this.#length >>> 2] = value
    this.#length += 4
    return this
  }

  finish(out: Hash64, seed = 0): void {
    const length = this.#length
    const bytes = this.#bytes
    for (let at = length; (at & 15) !== 0; at++) bytes[at] = 0
    murmur3(this.#words, length, seed, out)
  }

  #grow(more: number): void {
    const grown = new Uint8Array(2 ** Math.ceil(Math.log2(this.#length + more + padding)))
    grown.set(this.#bytes.subarray(0, this.#length))
    this.#bytes = grown
    this.#words = new Uint32Array(grown.buffer)
    this.#room = grown.length - padding
  }
}

/**
 * As `Hasher.encodedText` from word `at` on, and answers the place behind it: for records by the hundred thousand, whose
 * layout then stays in registers. There must be room for the text and eight bytes more.
 */
export function layText(words: Uint32Array, at: number, bytes: Uint8Array, from: number, to: number): number {
  if (from < 0) {
    words[at] = absent
    return at + 1
  }
  let next = at + 1
  let seen = 0
  for (let i = from; i < to; i += 4) {
    const word = wordAt(bytes, i, to)
    seen |= word
    words[next++] = word
  }
  words[at] = (seen & 0x80808080) === 0 ? to - from : utf16Length(bytes, from, to)
  return next
}

/** As `Hasher.number`, in the manner of `layText`. */
export function layNumber(words: Uint32Array, at: number, value: number): number {
  if ((value | 0) === value && value >= 0) {
    words[at] = value
    return at + 1
  }
  float64[0] = value
  words[at] = wide
  words[at + 1] = float64Words[0]!
  words[at + 2] = float64Words[1]!
  return at + 3
}

/** Hashes what was laid out, up to word `end`; there must be room for three more. */
export function hash64Laid(words: Uint32Array, end: number, out: Hash64): void {
  words[end] = 0
  words[end + 1] = 0
  words[end + 2] = 0
  murmur3(words, end * 4, 0, out)
}

/** Length in UTF-16 units of a UTF-8 text: a unit for each byte that begins a character, two for those of four bytes. */
function utf16Length(bytes: Uint8Array, from: number, to: number): number {
  let units = 0
  for (let i = from; i < to; i++) {
    const byte = bytes[i]!
    if ((byte & 0xc0) !== 0x80) units += byte < 0xf0 ? 1 : 2
  }
  return units
}

/** Writes a code point beyond ASCII at `at` and answers the place after it. */
function encodePoint(bytes: Uint8Array, at: number, point: number): number {
  let next = at
  if (point < 0x800) bytes[next++] = 0xc0 | (point >> 6)
  else {
    if (point < 0x10000) bytes[next++] = 0xe0 | (point >> 12)
    else {
      bytes[next++] = 0xf0 | (point >> 18)
      bytes[next++] = 0x80 | ((point >> 12) & 0x3f)
    }
    bytes[next++] = 0x80 | ((point >> 6) & 0x3f)
  }
  bytes[next++] = 0x80 | (point & 0x3f)
  return next
}

const float64 = new Float64Array(1)
const float64Words = new Uint32Array(float64.buffer)
const shared = new Hasher()

/**
 * The 64-bit hash of a text: the first eight bytes of MurmurHash3 x86_128 (seed 0) over its UTF-8 bytes. The key of a
 * transaction in the ledger and in facts is this hash of its id.
 */
export function hash64(text: string, out: Hash64): void {
  shared.reset().utf8(text).finish(out)
}

/** `hash64` of a text that is given as its UTF-8 bytes from `from` to `to`. Longer ones than 16 bytes are rare among ids. */
export function hash64Bytes(bytes: Uint8Array, from: number, to: number, out: Hash64): void {
  if (to - from > 16) {
    shared.reset().encodedUtf8(bytes, from, to).finish(out)
    return
  }
  // Straight from the bytes: to write them as bytes and read them as words would make the processor wait.
  short[0] = wordAt(bytes, from, to)
  short[1] = wordAt(bytes, from + 4, to)
  short[2] = wordAt(bytes, from + 8, to)
  short[3] = wordAt(bytes, from + 12, to)
  murmur3(short, to - from, 0, out)
}

const short = new Uint32Array(4)

/** Four bytes from `at` on, with zeros from `to` on. */
function wordAt(bytes: Uint8Array, at: number, to: number): number {
  if (at + 4 <= to) return bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24)
  let word = 0
  for (let i = at, shift = 0; i < to; i++, shift += 8) word |= bytes[i]! << shift
  return word
}

/** The 64-bit hash of `length` bytes in `words`, which holds zeros from there up to a multiple of sixteen bytes. */
export function hash64Words(words: Uint32Array, length: number, out: Hash64): void {
  murmur3(words, length, 0, out)
}

/** 32 bits of `hash64`, never 0: 0 means "none" wherever it is stored. */
export function hash32(text: string): number {
  hash64(text, scratch)
  return scratch.lo === 0 ? 1 : scratch.lo
}

const scratch: Hash64 = { hi: 0, lo: 0 }

/** The hash as sixteen lower-case hexadecimal digits. */
export function hex64(hash: Hash64): string {
  return hash.hi.toString(16).padStart(8, '0') + hash.lo.toString(16).padStart(8, '0')
}

/** The hash as eight big-endian bytes. */
export function bytes64(hi: number, lo: number): Uint8Array {
  return Uint8Array.of(hi >>> 24, hi >>> 16, hi >>> 8, hi, lo >>> 24, lo >>> 16, lo >>> 8, lo)
}

const c1 = 0x239b961b
const c2 = 0xab0e9789
const c3 = 0x38b34ae5
const c4 = 0xa1e38b93

/** `words` holds `length` bytes and zeros up to the next multiple of 16. */
function murmur3(words: Uint32Array, length: number, seed: number, out: Hash64): void {
  let h1 = seed
  let h2 = seed
  let h3 = seed
  let h4 = seed
  const end = (length >>> 4) << 2
  for (let i = 0; i < end; i += 4) {
    h1 ^= mix(words[i]!, c1, 15, c2)
    h1 = (Math.imul(((h1 << 19) | (h1 >>> 13)) + h2, 5) + 0x561ccd1b) | 0
    h2 ^= mix(words[i + 1]!, c2, 16, c3)
    h2 = (Math.imul(((h2 << 17) | (h2 >>> 15)) + h3, 5) + 0x0bcaa747) | 0
    h3 ^= mix(words[i + 2]!, c3, 17, c4)
    h3 = (Math.imul(((h3 << 15) | (h3 >>> 17)) + h4, 5) + 0x96cd1c35) | 0
    h4 ^= mix(words[i + 3]!, c4, 18, c1)
    h4 = (Math.imul(((h4 << 13) | (h4 >>> 19)) + h1, 5) + 0x32ac3b17) | 0
  }
  if ((length & 15) !== 0) {
    // Lanes beyond the end are zero and mix to zero.
    h1 ^= mix(words[end]!, c1, 15, c2)
    h2 ^= mix(words[end + 1]!, c2, 16, c3)
    h3 ^= mix(words[end + 2]!, c3, 17, c4)
    h4 ^= mix(words[end + 3]!, c4, 18, c1)
  }
  h1 ^= length
  h2 ^= length
  h3 ^= length
  h4 ^= length
  h1 = (h1 + h2 + h3 + h4) | 0
  h2 = (h2 + h1) | 0
  h3 = (h3 + h1) | 0
  h4 = (h4 + h1) | 0
  h1 = avalanche(h1)
  h2 = avalanche(h2)
  h3 = avalanche(h3)
  h4 = avalanche(h4)
  h1 = (h1 + h2 + h3 + h4) | 0
  out.hi = h1 >>> 0
  out.lo = (h2 + h1) >>> 0
}

function mix(k: number, before: number, turn: number, after: number): number {
  const m = Math.imul(k, before)
  return Math.imul((m << turn) | (m >>> (32 - turn)), after)
}

function avalanche(h: number): number {
  let x = h ^ (h >>> 16)
  x = Math.imul(x, 0x85ebca6b)
  x ^= x >>> 13
  x = Math.imul(x, 0xc2b2ae35)
  return x ^ (x >>> 16)
}
