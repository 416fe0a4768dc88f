import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { Outliers } from '#services/ingest/receipts/outliers.ts'
import { type TempDir, tempDir } from '../../../support/temp-dir.ts'
import { lineHeader, lineProfile, prepareText } from '../support/prepare.ts'

let dir: TempDir
beforeEach(async () => {
  dir = await tempDir('loyalty-outliers-')
})
afterEach(() => dir.remove())

/** Receipts of these amounts in buckets of `size`; the rows of those that are flagged, and the rule. */
async function flagged(amounts: readonly number[], outliers: unknown, size = 100) {
  const rule = await Outliers.create(dir.path, lineProfile(outliers === undefined ? {} : { outliers }))
  const rows: number[] = []
  for (let begin = 0; begin < amounts.length; begin += size) {
    for (let at = begin; at < Math.min(amounts.length, begin + size); at++) rule.add(amounts[at]!, [{ number: at + 1 }])
    rule.endBucket()
    await rule.drain()
  }
  const findings = await rule.finish(async (_, [first]) => {
    rows.push(first!)
  })
  return { rows, findings }
}

const exactMedian = (values: readonly number[]) =>
  [...values].sort((a, b) => a - b)[Math.floor((values.length - 1) / 2)]!

/** Amounts between 10.00 and 50.00. */
const usual = Array.from({ length: 1_000 }, (_, i) => 1_000 + ((i * 7_919) % 4_000))

describe('above the median by so many deviations', () => {
  test('the bound is that of the whole file, to within a hundredth', async () => {
    const amounts = [...usual, 999_999]
    const { rows, findings } = await flagged(amounts, { mads: 10 })
    const median = exactMedian(amounts)
    const mad = exactMedian(amounts.map((amount) => Math.abs(amount - median)))
    expect(rows).toEqual([1_001])
    expect(findings).toMatchObject({ flagged: 1, mads: 10, max_minor: null })
    expect(Math.abs(findings.median_minor! / median - 1)).toBeLessThan(0.01)
    expect(Math.abs(findings.mad_minor! / mad - 1)).toBeLessThan(0.02)
    expect(Math.abs(findings.above_minor! / (median + 10 * mad) - 1)).toBeLessThan(0.02)
  })

  test('it flags what came before anything was known, and what only the end shows', async () => {
    const { rows } = await flagged([900_000, ...usual, 800_000], { mads: 100 })
    expect(rows).toEqual([1, 1_002])
  })

  test('where amounts fall while they are read, the bound is never below what was let go', async () => {
    const falling = [...usual.map((amount) => amount * 100), ...usual.flatMap((amount) => [amount, amount, amount])]
    const { rows, findings } = await flagged(falling, { mads: 5 })
    const above = falling.flatMap((amount, at) => (amount > findings.above_minor! ? [at + 1] : []))
    expect(rows).toEqual(above)
  })

  test('a hundred receipts at least, and not all of one amount', async () => {
    expect((await flagged([...usual.slice(0, 98), 10 ** 9], { mads: 10 })).findings.above_minor).toBeNull()
    expect((await flagged([...Array(200).fill(500), 10 ** 9], { mads: 10 })).findings).toMatchObject({
      above_minor: null,
      flagged: 0,
    })
  })

  test('by default a hundred deviations', async () => {
    expect((await flagged(usual, undefined)).findings).toMatchObject({ mads: 100, flagged: 0 })
  })
})

test('above the bound that the profile names, the lower of two', async () => {
  expect((await flagged([100_000, 100_001], { max_amount: 1_000 })).rows).toEqual([2])
  const both = await flagged([...usual, 100_001], { max_amount: 1_000, mads: 1_000 })
  expect(both).toMatchObject({ rows: [1_001], findings: { above_minor: 100_000 } })
})

test('off is off', async () => {
  const { findings } = await flagged([...usual, 10 ** 12], 'off')
  expect(findings).toMatchObject({ above_minor: null, mads: null, max_minor: null, flagged: 0 })
})

test('an outlier is taken in, and its verdict says what it comes to', async () => {
  const rows = ['R1,17,2011-06-15 12:00,400,2,A', 'R2,17,2011-06-15 12:00,1,1,A', 'R1,17,2011-06-15 12:00,400,1,B']
  const { events, published } = await prepareText(
    [lineHeader, ...rows].join('\n'),
    lineProfile({ outliers: { max_amount: 1_000 } }),
  )
  expect(published).toHaveLength(2)
  expect(events.tally).toMatchObject({ acceptedRows: 3, rejectedRows: 0 })
  expect(events.verdicts).toEqual([{ row: 1, code: 'outlier', field: 'unit_price', value: '1200.00' }])
})
