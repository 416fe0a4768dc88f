import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  ascendingScore,
  cutPointsFault,
  descendingScore,
  quantileOf,
  quintileCuts,
  rfmText,
} from '#streams/domain/scoring.ts'

const cuts = fc.array(fc.integer({ min: -50, max: 50 }), { maxLength: 8 }).map((list) => list.sort((a, b) => a - b))

describe('scores', () => {
  it('are levels between cuts: a value at a cut is still below it', () => {
    expect([0, 12, 13, 32, 179, 180].map((days) => descendingScore([12, 32, 71, 179], days))).toEqual([
      5, 5, 4, 4, 2, 1,
    ])
    expect([1, 2, 3, 4, 6, 7].map((times) => ascendingScore([1, 2, 3, 6], times))).toEqual([1, 2, 3, 4, 4, 5])
  })

  it('are those of the first level that holds the value, in any number of levels', () => {
    fc.assert(
      fc.property(cuts, fc.integer({ min: -60, max: 60 }), (list, value) => {
        const level = [...list, Number.POSITIVE_INFINITY].findIndex((cut) => value <= cut) + 1
        expect(ascendingScore(list, value)).toBe(level)
        expect(descendingScore(list, value)).toBe(list.length + 2 - level)
      }),
    )
  })

  it('are written as digits, and apart where one has two', () => {
    expect(rfmText(5, 4, 5)).toBe('545')
    expect(rfmText(10, 4, 5)).toBe('10-4-5')
  })
})

describe('calibration', () => {
  it('takes the element at floor(level · n) of the sorted values', () => {
    expect(quintileCuts(Float64Array.of(5, 3, 1, 4, 2))).toEqual([2, 3, 4, 5])
    expect(quintileCuts(Float64Array.of(7))).toEqual([7, 7, 7, 7])
    expect(quantileOf(Float64Array.of(10, 2, 33))(1)).toBe(33)
    expect(() => quintileCuts(new Float64Array(0))).toThrow(RangeError)
  })

  it('sorts numbers as numbers and leaves its input as it is', () => {
    const values = Float64Array.of(100, 20, 3, 1_000, -5)
    expect(quintileCuts(values)).toEqual([3, 20, 100, 1_000])
    expect([...values]).toEqual([100, 20, 3, 1_000, -5])
  })

  it('leaves about a fifth of distinct values in every level', () => {
    fc.assert(
      fc.property(fc.uniqueArray(fc.integer(), { minLength: 50, maxLength: 300 }), (values) => {
        const list = quintileCuts(Float64Array.from(values))
        const levels = [0, 0, 0, 0, 0]
        for (const value of values) levels[ascendingScore(list, value) - 1]! += 1
        for (const size of levels) expect(Math.abs(size - values.length / 5)).toBeLessThan(2.01)
      }),
    )
  })

  it('names what is wrong with cuts', () => {
    const good = { recencyDays: [1, 2], frequency: [], monetaryMinor: [5, 5], basis: 'net' } as const
    expect(cutPointsFault(good)).toBeNull()
    expect(cutPointsFault({ ...good, recencyDays: [2, 1] })).toMatch(/recencyDays: cuts ascend/)
    expect(cutPointsFault({ ...good, frequency: [1.5] })).toMatch(/frequency: every cut is a whole number/)
  })
})
