import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { dayOfIso } from '#streams/domain/calendar.ts'
import { evolve, initialContext } from '#streams/domain/context.ts'
import { minorPerMajor } from '#streams/domain/currency.ts'
import { featureIndices, featureNames, features, featuresInto } from '#streams/domain/features.ts'
import { contextOf, dates, ledgerOf, sale, transactionSets, valuesOf } from './scenario.ts'

const date = dayOfIso('2024-03-01')

describe('features', () => {
  it('come in the order asked for, at the place asked for', () => {
    const values = valuesOf(ledgerOf([sale('a', 12_345, '2024-01-10'), sale('b', 55, '2024-02-20')]), date)
    const out = new Float32Array(6).fill(7)
    featuresInto(
      values,
      contextOf(date),
      featureIndices(['frequency', 'recency_days', 'monetary_gross', 'tenure_days']),
      out,
      1,
    )
    expect([...out]).toEqual([7, 2, 10, 124, 51, 7])
  })

  it('refuse names that do not exist, naming them', () => {
    expect(() => featureIndices(['frequency', 'luck', 'fate'])).toThrow(/no such feature: luck, fate/)
  })

  it('have names, units and words of their own', () => {
    expect(new Set(featureNames).size).toBe(features.length)
    for (const { about } of features) expect(about.length).toBeGreaterThan(10)
  })

  it('are finite numbers whatever the ledger and the date', () => {
    const indices = featureIndices(featureNames)
    fc.assert(
      fc.property(transactionSets(12), dates, (set, asOf) => {
        const out = new Float32Array(features.length).fill(Number.NaN)
        featuresInto(valuesOf(ledgerOf(set), asOf), contextOf(asOf), indices, out, 0)
        for (const value of out) expect(Number.isFinite(value)).toBe(true)
      }),
    )
  })

  it('count money in units of the currency of the programme', () => {
    const values = valuesOf(ledgerOf([sale('a', 12_000, '2024-01-10')]), date)
    const { programme } = contextOf(date)
    const yen = evolve(initialContext(), {
      type: 'programme_configured',
      programme: { ...programme!, currency: 'JPY' },
    })
    const out = new Float32Array(2)
    const indices = featureIndices(['monetary_gross'])
    featuresInto(values, contextOf(date), indices, out, 0)
    featuresInto(values, yen, indices, out, 1)
    expect([...out]).toEqual([120, 12_000])
  })
})

describe('minorPerMajor', () => {
  it('agrees with the currency data of this machine', () => {
    for (const currency of ['RUB', 'GBP', 'USD', 'EUR', 'JPY', 'KRW', 'VND', 'KWD', 'BHD', 'TND', 'CLP', 'XOF']) {
      const { maximumFractionDigits } = new Intl.NumberFormat('en', { style: 'currency', currency }).resolvedOptions()
      expect(minorPerMajor(currency), currency).toBe(10 ** maximumFractionDigits!)
    }
  })
})
