import { describe, expect, it } from 'vitest'
import { dayOfIso } from '#streams/domain/calendar.ts'
import { horizonOf, labelOf, topFifth } from '#streams/domain/labels.ts'
import { segmentIds, segments } from '#streams/domain/segments.ts'
import { contextOf, ledgerOf, refund, sale, valuesOf } from './scenario.ts'

const date = dayOfIso('2024-03-01')

function labelled(days: readonly string[], after: readonly string[] = [], topFifthMinor = 1_000, amount = 100) {
  const ledger = ledgerOf([...days, ...after].map((day, i) => sale(`s${i}`, amount, day)))
  const values = valuesOf(ledger, date)
  return labelOf(values, horizonOf(ledger, contextOf(date), values, 90), topFifthMinor)
}

describe('label', () => {
  it.each([
    ['new', 'a first purchase 29 days ago, whatever follows', ['2024-02-01'], ['2024-03-10'], 1],
    ['champions', 'spend in the top fifth', ['2024-01-01'], ['2024-03-02', '2024-05-30'], 200],
    ['loyal', 'a purchase on the last day of the horizon', ['2024-01-31'], ['2024-05-30'], 1_000],
    ['at_risk', 'a purchase only after the horizon', ['2024-01-31'], ['2024-05-31'], 1_000],
    ['at_risk', 'the last purchase 179 days ago', ['2023-09-04'], [], 1_000],
    ['sleeping', 'the last purchase 180 days ago', ['2023-09-03'], [], 1_000],
  ])('is %s for %s', (label, _, before, after, top) => {
    expect(labelled(before, after, top)).toBe(label)
  })

  it('counts refunds in the horizon against the spend', () => {
    const ledger = ledgerOf([
      sale('a', 500, '2024-01-01'),
      sale('b', 300, '2024-03-05'),
      refund('r', 'a', 120, '2024-03-06'),
    ])
    const values = valuesOf(ledger, date)
    expect(horizonOf(ledger, contextOf(date), values, 90)).toEqual({ purchases: 1, netMinor: 180 })
    expect(horizonOf(ledger, contextOf(date), values, 4)).toEqual({ purchases: 1, netMinor: 300 })
    expect(() => horizonOf(ledger, contextOf(null), values, 90)).toThrow(RangeError)
  })

  it('draws the top fifth among those who bought', () => {
    const bought = Array.from({ length: 10 }, (_, i) => ({ purchases: 1, netMinor: i }))
    expect(topFifth([...bought, { purchases: 0, netMinor: -900 }])).toBe(8)
    expect(topFifth([{ purchases: 0, netMinor: 0 }])).toBe(Number.POSITIVE_INFINITY)
  })
})

describe('segments', () => {
  it('are the five, with words, colours and scores', () => {
    expect(segmentIds).toEqual(['champions', 'loyal', 'at_risk', 'new', 'sleeping'])
    expect(segments.map(({ name }) => name)).toEqual(['Чемпионы', 'Лояльные', 'В зоне риска', 'Новички', 'Спящие'])
    for (const { description, descriptionEn, colour, minScore, maxScore } of segments) {
      expect(description).not.toBe('')
      expect(descriptionEn).not.toBe('')
      expect(colour).toMatch(/^#[0-9A-F]{6}$/)
      expect(minScore).toBeGreaterThanOrEqual(0)
      expect(maxScore).toBeLessThanOrEqual(100)
      expect(minScore).toBeLessThan(maxScore)
    }
  })
})
