/** A 64-bit hash as two unsigned 32-bit halves. */
export interface Hash64 {
  hi: number
  lo: number
}

/**
 * Collects strings and numbers and hashes them with MurmurHash3 x86_128, seed 0, of which the first 64 bits are kept.
 * Reused over and over it allocates nothing. Values are laid out unambiguously: a string is its length in UTF-16 units and
 * its UTF-8 bytes, padded to four bytes; a number is its eight IEEE 754 bytes; absence is a length that no string has.
 *
 * Source: Austin Appleby, MurmurHash3.cpp (public domain). Works on little-endian machines, which all supported ones are.
 */
export class Hasher {
  #bytes = new Uint8Array(1024)
  #words = new Uint32Array(this.#bytes.buffer)
  #length = 0

  reset(): this {
    this.#length = 0
    return this
  }

  text(value: string | null): this {
    if (value === null) return this.word(0xffffffff)
    this.word(value.length)
    this.utf8(value)
    let at = this.#length
    while ((at & 3) !== 0) this.#bytes[at++] = 0
    this.#length = at
    return this
  }

  /** Only the bytes of the text: no length, no padding. After it only `finish` may follow. */
  utf8(value: string): this {
    const units = value.length
    this.#reserve(units * 3)
    const bytes = this.#bytes
    let at = this.#length
    for (let i = 0; i < units; i++) {
      let code = value.charCodeAt(i)
      if (code < 0x80) {
        bytes[at++] = code
        continue
      }
      if (code < 0x800) {
        bytes[at++] = 0xc0 | (code >> 6)
      } else {
        if ((code & 0xfc00) === 0xd800 && i + 1 < units && (value.charCodeAt(i + 1) & 0xfc00) === 0xdc00) {
          code = 0x10000 + ((code & 0x3ff) << 10) + (value.charCodeAt(++i) & 0x3ff)
          bytes[at++] = 0xf0 | (code >> 18)
          bytes[at++] = 0x80 | ((code >> 12) & 0x3f)
        } else {
          bytes[at++] = 0xe0 | (code >> 12)
        }
        bytes[at++] = 0x80 | ((code >> 6) & 0x3f)
      }
      bytes[at++] = 0x80 | (code & 0x3f)
    }
    this.#length = at
    return this
  }

  number(value: number): this {
    // Adding 0 makes -0 and 0 the same number, which they are for us.
    float64[0] = value + 0
    return this.word(float64Words[0]!).word(float64Words[1]!)
  }

  /** An unsigned 32-bit number. */
  word(value: number): this {
    this.#reserve(4)
    this.#words[this.#length >>> 2] = value
    this.#length += 4
    return this
  }

  finish(out: Hash64, seed = 0): void {
    const length = this.#length
    this.#reserve(16)
    this.#bytes.fill(0, length, (length + 15) & ~15)
    murmur3(this.#words, length, seed, out)
  }

  #reserve(more: number): void {
    // Sixteen bytes beyond, for padding.
    const needed = this.#length + more + 16
    if (needed <= this.#bytes.length) return
    const grown = new Uint8Array(2 ** Math.ceil(Math.log2(needed)))
    grown.set(this.#bytes.subarray(0, this.#length))
    this.#bytes = grown
    this.#words = new Uint32Array(grown.buffer)
  }
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
