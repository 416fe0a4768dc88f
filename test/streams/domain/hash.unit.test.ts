import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { bytes64, type Hash64, Hasher, hash32, hash64, hex64 } from '#streams/domain/hash.ts'

const hash: Hash64 = { hi: 0, lo: 0 }
const hexOf = (text: string) => {
  hash64(text, hash)
  return hex64(hash)
}

describe('hash64', () => {
  // Computed with Python's mmh3 5.2.0: hash128(text, 0, x64arch=False), the first two words.
  it.each([
    ['', '0000000000000000'],
    ['a', 'a794933c5556b01b'],
    ['abc', '75cdc6d1a2b006a5'],
    ['till-7:s=12:r=100001', 'b59fe870a2e3a1e8'],
    ['online-retail:r=C536379', '567234786e25ecc0'],
    ['0123456789abcdef', 'fb7d440936aed30a'],
    ['0123456789abcdef0', '1f8a385560920c06'],
    ['Привет, мир', 'b673ec1144469eed'],
    ['naïve 🧾 receipt', '6b4d8c07ad9b1302'],
    ['x'.repeat(1000), '02508d27189b6cff'],
  ])('of %j is that of MurmurHash3 x86_128', (text, expected) => {
    expect(hexOf(text)).toBe(expected)
  })

  it('has big-endian bytes that read as its hexadecimal digits', () => {
    hash64('abc', hash)
    expect(Buffer.from(bytes64(hash.hi, hash.lo)).toString('hex')).toBe(hex64(hash))
  })

  it('is never 0 as 32 bits, which stand for none', () => {
    expect(hash32('')).toBe(1)
  })
})

describe('Hasher', () => {
  type Part = string | null | number
  const part: fc.Arbitrary<Part> = fc.oneof(
    fc.string({ unit: 'binary', maxLength: 9 }),
    fc.constant(null),
    fc.double({ noNaN: true, noDefaultInfinity: true }),
    fc.integer(),
    fc.constantFrom(-0, 2 ** 31, 2 ** 31 - 1, 2 ** 52, -1, '', '\0', '\0\0\0\0'),
  )
  const hasher = new Hasher()
  const of = (parts: readonly Part[]) => {
    hasher.reset()
    for (const value of parts) typeof value === 'number' ? hasher.number(value) : hasher.text(value)
    hasher.finish(hash)
    return hex64(hash)
  }

  it('tells different lists of values of one shape apart, and equal ones not', () => {
    const shapeOf = (parts: readonly Part[]) => parts.map((value) => typeof value === 'number').join()
    const normal = (parts: readonly Part[]) => JSON.stringify(parts)
    fc.assert(
      fc.property(fc.array(part, { maxLength: 4 }), fc.array(part, { maxLength: 4 }), (a, b) => {
        fc.pre(shapeOf(a) === shapeOf(b))
        expect(of(a) === of(b)).toBe(normal(a) === normal(b))
      }),
      { numRuns: 3_000 },
    )
  })

  it('tells where one text ends and the next begins', () => {
    expect(new Set([of(['ab', 'c']), of(['a', 'bc']), of(['abc', '']), of(['abc', null])]).size).toBe(4)
  })

  it('takes texts longer than its memory', () => {
    const long = 'я'.repeat(50_000)
    expect(of([long, 1])).toBe(of([long, 1]))
    expect(of([long, 1])).not.toBe(of([long, 2]))
  })
})
