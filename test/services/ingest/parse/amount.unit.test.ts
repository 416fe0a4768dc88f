import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { isInOtherCurrency, parseAmount } from '#services/ingest/parse/amount.ts'
import { type NumberFormat, withAlikeMarks } from '#services/ingest/parse/decimal.ts'

const point = withAlikeMarks({ decimal: '.', thousands: ',' })
const comma = withAlikeMarks({ decimal: ',', thousands: ' ' })

function parsed(text: string, currency: string, format: NumberFormat = point): number | null {
  const into = { mantissa: 0, scale: 0 }
  return parseAmount(text, format, currency, into) ? into.mantissa / 10 ** into.scale : null
}

describe('a sum with its currency beside it', () => {
  test.each([
    ['$1,037.01', 'USD', 1037.01],
    ['US$ 5', 'USD', 5],
    ['$5.00 USD', 'USD', 5],
    ['usd 5', 'USD', 5],
    ['$.50', 'USD', 0.5],
    ['$5', 'CAD', 5],
    ['CA$5', 'CAD', 5],
    ['5.50€', 'EUR', 5.5],
    ['£5', 'GBP', 5],
    ['¥500', 'JPY', 500],
    ['¥500', 'CNY', 500],
    ['₹1,234', 'INR', 1234],
    ['Rs.500', 'INR', 500],
    ['CHF\u00a05.00', 'CHF', 5],
    ['5 NOK', 'NOK', 5],
    ['K5', 'MMK', 5],
  ])('%j is a number of %s', (text, currency, expected) => {
    expect(parsed(text, currency)).toBe(expected)
  })

  test.each([
    '10,00 ₽',
    '10,00\u00a0₽',
    '10,00\u202f₽',
    '10,00₽',
    '10,00 руб.',
    '10,00 руб',
    '10 рублей',
    '10р.',
    '10 р',
  ])('%j is ten roubles', (text) => {
    expect(parsed(text, 'RUB', comma)).toBe(10)
    expect(parsed(`-${text}`, 'RUB', comma)).toBe(-10)
  })

  test.each([
    ['1 234,50 ₴', 'UAH'],
    ['1\u00a0234,50\u00a0грн.', 'UAH'],
    ['1 234,50 ₸', 'KZT'],
    ['1 234,50 тенге', 'KZT'],
  ])('%j has a decimal comma', (text, currency) => {
    expect(parsed(text, currency, comma)).toBe(1234.5)
  })

  test.each(['-$5.00', '$-5.00', '- $5.00', '$ -5.00', '\u2212$5.00', '$\u22125.00', '-5.00 $', '-5.00USD'])(
    '%j is negative',
    (text) => {
      expect(parsed(text, 'USD')).toBe(-5)
    },
  )

  test('is the number that stands there alone', () => {
    const number = fc.tuple(fc.boolean(), fc.integer({ min: 0, max: 999_999 }), fc.integer({ min: 0, max: 99 }))
    const unit = fc.constantFrom('$', 'USD', 'US$')
    fc.assert(
      fc.property(
        number,
        unit,
        fc.boolean(),
        fc.constantFrom('', ' ', '\u00a0', '\u202f'),
        (parts, sign, leads, space) => {
          const [isNegative, whole, hundredths] = parts
          const minus = isNegative ? '-' : ''
          const digits = `${whole}.${String(hundredths).padStart(2, '0')}`
          const text = leads ? `${minus}${sign}${space}${digits}` : `${minus}${digits}${space}${sign}`
          expect(parsed(text, 'USD')).toBe(parsed(`${minus}${digits}`, 'USD'))
        },
      ),
    )
  })
})

describe('what is no such sum', () => {
  test.each([
    ['$', 'USD'],
    ['-$', 'USD'],
    ['-$-5', 'USD'],
    ['$$5', 'USD'],
    ['$5$5', 'USD'],
    ['5$5', 'USD'],
    ['($5.00)', 'USD'],
    ['$5,00', 'USD'],
    ['$1,23', 'USD'],
    ['$5 or 6', 'USD'],
    ['5 pcs', 'USD'],
    ['50%', 'USD'],
    ['5 рубероид', 'RUB'],
    ['50 коп.', 'RUB'],
    ['5K', 'MMK'],
    ['1E5', 'USD'],
    [`$${'0'.repeat(64)}5`, 'USD'],
  ])('%j of %s', (text, currency) => {
    expect(parsed(text, currency)).toBeNull()
    expect(isInOtherCurrency(text, currency)).toBe(false)
  })

  test.each([
    ['€5', 'USD'],
    ['5 EUR', 'USD'],
    ['CA$5', 'USD'],
    ['US$5', 'CAD'],
    ['$5', 'RUB'],
    ['$.50', 'RUB'],
    ['$5 EUR', 'USD'],
    ['5 руб.', 'USD'],
  ])('%j is none of %s', (text, currency) => {
    expect(parsed(text, currency)).toBeNull()
    expect(isInOtherCurrency(text, currency)).toBe(true)
  })
})
