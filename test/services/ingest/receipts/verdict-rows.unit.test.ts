import { describe, expect, test } from 'vitest'
import { lineHeader, lineProfile, prepareText } from '../support/prepare.ts'

/** The first verdicts on the rows of a file, as `row code field value`. */
async function verdictsOn(rows: readonly string[], profile = lineProfile(), header = lineHeader) {
  const { events } = await prepareText([header, ...rows].join('\n'), profile)
  return events.verdicts.map(({ row, code, field, value }) => [row, code, field, value])
}

const long = 'x'.repeat(257)
const shown = 'x'.repeat(100)

describe('a verdict on a row names the field and shows its value', () => {
  test.each([
    ['R1,,2011-06-15 12:00,2.50,2,A', 'missing_client', 'client', ''],
    [`R1,${long},2011-06-15 12:00,2.50,2,A`, 'bad_client_id', 'client', shown],
    [',17,2011-06-15 12:00,2.50,2,A', 'missing_receipt', 'receipt_number', ''],
    ['R1,17,15.06.2011,2.50,2,A', 'bad_date', 'occurred_at', '15.06.2011'],
    ['R1,17,2012-01-16 12:01,2.50,2,A', 'future_date', 'occurred_at', '2012-01-16 12:01'],
    ['R1,17,2011-06-15 12:00, 2-50 ,2,A', 'bad_amount', 'unit_price', '2-50'],
    ['R1,17,2011-06-15 12:00,2.50,two,A', 'bad_amount', 'quantity', 'two'],
    [`R1,17,2011-06-15 12:00,2.50,2,${long}`, 'too_long', 'sku', shown],
    [`${long},17,2011-06-15 12:00,2.50,2,A`, 'too_long', 'receipt_number', shown],
    ['R1,17,2011-06-15 12:00,2.50', 'bad_row', null, null],
  ])('%s: %s', async (row, code, field, value) => {
    expect(await verdictsOn([row])).toEqual([[1, code, field, value]])
  })

  test('of columns that only some profiles have', async () => {
    const profile = lineProfile({
      columns: {
        ...lineProfile().columns,
        ...{ currency: 'currency', kind: 'kind', original: 'original', attributes: { city: 'city' } },
      },
      kinds: { sale: { values: ['S'] }, void: { values: ['V'] } },
      missing: { sku: 'reject' },
    })
    const rows = [
      'R1,17,2011-06-15 12:00,1,1,A,USD,S,,',
      'R2,17,2011-06-15 12:00,1,1,A,GBP,?,,',
      'R3,17,2011-06-15 12:00,1,1,A,GBP,V,,',
      `R4,17,2011-06-15 12:00,1,1,A,GBP,S,,${long}`,
      'R5,17,2011-06-15 12:00,1,1,,GBP,S,,',
    ]
    expect(await verdictsOn(rows, profile, `${lineHeader},currency,kind,original,city`)).toEqual([
      [1, 'wrong_currency', 'currency', 'USD'],
      [2, 'unknown_kind', 'kind', '?'],
      [3, 'missing_field', 'original', ''],
      [4, 'too_long', 'attributes.city', shown],
      [5, 'missing_field', 'sku', ''],
    ])
  })

  test('a value is not cut within a character', async () => {
    const [verdict] = await verdictsOn([`R1,17,${'a'.repeat(99)}\u{1f600},1,1,A`])
    expect(verdict![3]).toBe(`${'a'.repeat(99)}\ufffd`)
  })
})

describe('a verdict on a receipt stands at its first row', () => {
  test.each([
    ['zero_amount', 'unit_price', '0.00', ['R1,17,2011-06-15 12:00,0.00,5,A', 'R1,17,2011-06-15 12:00,0,1,B']],
    ['negative_amount', 'unit_price', '-4.00', ['R1,17,2011-06-15 12:00,1,-5,A', 'R1,17,2011-06-15 12:00,1,1,A']],
    ['client_mismatch', 'client', '17', ['R1,17,2011-06-15 12:00,1,5,A', 'R1,18,2011-06-15 12:00,1,1,A']],
    ['amount_out_of_range', 'unit_price', null, ['R1,17,2011-06-15 12:00,99999999,99999999,A']],
  ])('%s', async (code, field, value, rows) => {
    expect(await verdictsOn(rows)).toEqual([[1, code, field, value]])
  })

  test('the other rows of a spoilt receipt are incomplete, also where the bad row is cut short', async () => {
    const rows = ['R1,17,2011-06-15 12:00,1,1,A', 'R2,17,2011-06-15 12:00,1,1,A', 'R1,17,2011-06-15 12:00,1']
    expect(await verdictsOn(rows)).toEqual([
      [1, 'incomplete_receipt', 'receipt_number', 'R1'],
      [3, 'bad_row', null, null],
    ])
  })

  test('a store that is too long spoils the receipt, though it is no part of its number', async () => {
    const profile = lineProfile({ columns: { ...lineProfile().columns, store: 'store' } })
    const rows = ['R1,17,2011-06-15 12:00,1,1,A,s1', `R1,17,2011-06-15 12:00,1,1,A,${long}`]
    expect(await verdictsOn(rows, profile, `${lineHeader},store`)).toEqual([
      [1, 'incomplete_receipt', 'receipt_number', 'R1'],
      [2, 'too_long', 'store', shown],
    ])
  })

  test('equal rows are dropped only where the profile says so', async () => {
    const row = 'R1,17,2011-06-15 12:00,1,1,A'
    expect(await verdictsOn([row, row])).toEqual([])
    expect(await verdictsOn([row, row], lineProfile({ identical_rows: 'drop' }))).toEqual([
      [2, 'duplicate_row', null, null],
    ])
  })

  test('a receipt of more lines than are held is too large, whatever else is wrong with it', async () => {
    const rows = Array.from({ length: 65_540 }, () => 'R1,17,2011-06-15 12:00,1,1,A')
    const { events } = await prepareText([lineHeader, ...rows, 'R1,17,2011-06-15 12:00,?,1,A'].join('\n'))
    expect(events.tally).toMatchObject({ rejected: { too_large: 1, bad_amount: 1 }, rejectedRows: 65_541 })
    expect(events.verdicts.map(({ row, code }) => [row, code])).toEqual([
      [1, 'too_large'],
      [65_541, 'bad_amount'],
    ])
  })
})

describe('how far in the future', () => {
  const dates = (future_days?: number) => ({ dates: { formats: ['yyyy-MM-dd HH:mm'], future_days } })
  const rows = ['R1,17,2012-01-16 12:00,1,1,A', 'R2,17,2012-01-16 12:01,1,1,A', 'R3,17,2012-01-25 12:00,1,1,A']

  test('a day after the upload is allowed, or as many as the profile says', async () => {
    expect((await verdictsOn(rows)).map(([row]) => row)).toEqual([2, 3])
    expect((await verdictsOn(rows, lineProfile(dates(0.5)))).map(([row]) => row)).toEqual([1, 2, 3])
    expect(await verdictsOn(rows, lineProfile(dates(10)))).toEqual([])
  })
})

test('the first twenty verdicts by row are listed, whichever pass finds them', async () => {
  const rows = Array.from({ length: 60 }, (_, i) =>
    i % 2 === 0 ? `R${i},17,2011-06-15 12:00,0,1,A` : `R${i},17,2011-06-15 12:00,?,1,A`,
  )
  const verdicts = await verdictsOn(rows)
  expect(verdicts.map(([row]) => row)).toEqual(Array.from({ length: 20 }, (_, i) => i + 1))
  expect(verdicts.slice(0, 2).map(([, code]) => code)).toEqual(['zero_amount', 'bad_amount'])
})
