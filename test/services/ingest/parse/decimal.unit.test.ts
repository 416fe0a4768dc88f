import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { ExactSum, type NumberFormat, parseDecimal, withAlikeMarks } from '#services/ingest/parse/decimal.ts'

const point: NumberFormat = { decimal: '.', thousands: '' }
const comma: NumberFormat = { decimal: ',', thousands: ' .\u00a0\u202f' }

function parsed(text: string, format = point): [number, number] | null {
  const into = { mantissa: 0, scale: 0 }
  return parseDecimal(text, format, into) ? [into.mantissa, into.scale] : null
}

describe('parseDecimal', () => {
  test.each([
    ['2.55', [255, 2]],
    ['0.0', [0, 1]],
    ['-11062.06', [-1106206, 2]],
    ['+7', [7, 0]],
    ['\u22123.5', [-35, 1]],
    [' 12 ', [12, 0]],
    ['.5', [5, 1]],
    ['5.', [5, 0]],
    ['-0', [0, 0]],
    ['000000000000000000012', [12, 0]],
    ['999999999999999', [999999999999999, 0]],
    ['0.000000001', [1, 9]],
  ])('reads %s exactly', (text, expected) => {
    expect(parsed(text)).toEqual(expected)
  })

  test.each(['', ' ', '-', '.', 'abc', '1e3', '1.2.3', '1,5', '12 3', '--1', '1-', '1234567890123456', '0.0000000001'])(
    'refuses %j',
    (text) => {
      expect(parsed(text)).toBeNull()
    },
  )

  test('reads a decimal comma with thousands marks of several kinds', () => {
    expect(parsed('1\u00a0234\u202f567,89', comma)).toEqual([123456789, 2])
    expect(parsed('-12.345,6', comma)).toEqual([-123456, 1])
  })

  test('a mark in a profile stands for all that look like it', () => {
    const spaces = withAlikeMarks({ decimal: ',', thousands: ' ' })
    for (const text of ['1 234,50', '1\u00a0234,50', '1\u202f234,50', '\u00a01\u2009234,50\u202f'])
      expect(parsed(text, spaces)).toEqual([123450, 2])
    const swiss = withAlikeMarks({ decimal: '.', thousands: "'" })
    for (const text of ["1'234'567.5", '1\u2019234\u2019567.5']) expect(parsed(text, swiss)).toEqual([12345675, 1])
    expect(parsed("1'234", spaces)).toBeNull()
    expect(parsed('1 234', withAlikeMarks(point))).toBeNull()
  })

  test('does not take a decimal comma for a thousands mark', () => {
    const us: NumberFormat = { decimal: '.', thousands: ',' }
    expect(parsed('1,234.5', us)).toEqual([12345, 1])
    for (const text of ['1,23', '1234,567', '1,2345', ',123', '1,234,', '1.234,567'])
      expect(parsed(text, us)).toBeNull()
  })

  test('agrees with the number that was written', () => {
    fc.assert(
      fc.property(fc.integer({ min: -1e9, max: 1e9 }), fc.integer({ min: 0, max: 6 }), (mantissa, scale) => {
        const digits = Math.abs(mantissa)
          .toString()
          .padStart(scale + 1, '0')
        const text = `${mantissa < 0 ? '-' : ''}${digits.slice(0, digits.length - scale)}${scale > 0 ? '.' : ''}${digits.slice(digits.length - scale)}`
        expect(parsed(text)).toEqual([mantissa, scale])
      }),
    )
  })
})

describe('ExactSum', () => {
  function sumOf(terms: readonly (readonly [number, number])[], digits = 2): number | null {
    const sum = new ExactSum()
    for (const [mantissa, scale] of terms) sum.add(mantissa, scale)
    return sum.toMinor(digits)
  }

  test.each([
    [[[5, 3]], 0],
    [[[15, 3]], 2],
    [[[25, 3]], 2],
    [[[35, 3]], 4],
    [[[-5, 3]], 0],
    [[[-15, 3]], -2],
    [[[51, 4]], 1],
    [
      [
        [1, 1],
        [2, 1],
      ],
      30,
    ],
    [
      [
        [25, 3],
        [1, 9],
      ],
      3,
    ],
  ] as [[number, number][], number][])('rounds %j to %j minor units, half to even', (terms, expected) => {
    expect(sumOf(terms)).toBe(expected)
    expect(Object.is(sumOf(terms), -0)).toBe(false)
  })

  test('rounds the sum once, not its terms', () => {
    expect(
      sumOf([
        [5, 3],
        [5, 3],
      ]),
    ).toBe(1)
  })

  test('knows when a sum is beyond exact integers', () => {
    expect(sumOf([[9_007_199_254_740_991, 0]])).toBeNull()
    expect(sumOf([[9_007_199_254_740_991, 2]])).toBe(9_007_199_254_740_991)
  })

  test('can be used again after a sum that needed large integers', () => {
    const sum = new ExactSum()
    sum.addProduct({ mantissa: 999_999_999_999_999, scale: 9 }, { mantissa: 999_999_999_999_999, scale: 9 })
    expect(sum.toMinor(2)).toBe(100_000_000_000_000)
    sum.reset()
    sum.add(125, 3)
    expect(sum.toMinor(2)).toBe(12)
  })

  const decimal = fc.record({ mantissa: fc.integer({ min: -1e15, max: 1e15 }), scale: fc.integer({ min: 0, max: 9 }) })

  test('equals the same sum of products in large integers, in any order', () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(decimal, decimal), { maxLength: 12 }),
        fc.constantFrom(0, 2, 3),
        (terms, digits) => {
          const forward = new ExactSum()
          const backward = new ExactSum()
          for (const [a, b] of terms) forward.addProduct(a, b)
          for (const [a, b] of [...terms].reverse()) backward.addProduct(a, b)
          const expected = reference(terms, digits)
          expect(forward.toMinor(digits)).toBe(expected)
          expect(backward.toMinor(digits)).toBe(expected)
        },
      ),
    )
  })

  /** By fractions over 10^18, with another way of rounding: compare twice the remainder after flooring. */
  function reference(
    terms: readonly (readonly [{ mantissa: number; scale: number }, { mantissa: number; scale: number }])[],
    digits: number,
  ) {
    let total = 0n
    for (const [a, b] of terms) total += BigInt(a.mantissa) * BigInt(b.mantissa) * 10n ** BigInt(18 - a.scale - b.scale)
    const unit = 10n ** BigInt(18 - digits)
    let floor = total / unit
    if (total < 0n && total % unit !== 0n) floor -= 1n
    const twice = (total - floor * unit) * 2n
    if (twice > unit || (twice === unit && floor % 2n !== 0n)) floor += 1n
    return Number.isSafeInteger(Number(floor)) ? Number(floor) : null
  }
})
