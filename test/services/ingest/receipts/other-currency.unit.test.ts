import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { verdictColumns } from '#services/ingest/files/rejected-csv.ts'
import { isInOtherCurrency } from '#services/ingest/parse/amount.ts'
import { isUnitOf } from '#services/ingest/parse/currency.ts'
import { openJudged } from '#services/ingest/rejected-rows.ts'
import type { UploadView } from '#services/ingest/store/uploads.ts'
import { type TempDir, tempDir } from '../../../support/temp-dir.ts'
import { batchId, lineHeader, lineProfile, prepareIn, prepareText } from '../support/prepare.ts'
import { type Cell, formatted, xlsx } from '../support/xlsx.ts'

let dir: TempDir
beforeEach(async () => {
  dir = await tempDir('loyalty-currency-')
})
afterEach(() => dir.remove())

/** One receipt a row, in roubles. */
const profile = lineProfile({
  ...{ grain: 'receipt', currency: 'RUB', system: { name: 'till', identity: ['receipt_number'] } },
  columns: {
    receipt_number: 'receipt',
    client: 'client',
    occurred_at: 'time',
    amount: 'sum',
    attributes: { was: 'was' },
  },
})
const header = ['receipt', 'client', 'time', 'sum', 'was']

function row(number: number, sum: Cell, was: Cell = 1): Cell[] {
  return [`R${number}`, '17', '2011-06-15 12:00', sum, was]
}

/** Number formats by their place, from 1. */
const formats = ['#,##0.00 "₽"', '[$$-409]#,##0.00', '0%']
const [roubles, dollars, percent] = [1, 2, 3]

async function prepared(rows: readonly Cell[][], key = 'first') {
  const path = join(dir.path, 'file.csv')
  await writeFile(path, xlsx({ sheets: [{ rows }], formats }))
  const { events: found, published } = await prepareIn(dir.path, path, profile, key)
  const sums = published.map((event) => event.amount_minor)
  return { rejected: found.tally.rejected, verdicts: found.verdicts, published, sums }
}

describe('a sum that its cell shows in another currency', () => {
  test('is rejected behind the first 1,000 rows as among them, and its own currency is none', async () => {
    const rows = Array.from({ length: 1_500 }, (_, at) => row(at + 1, formatted(5, roubles)))
    rows[2] = row(3, formatted(2, dollars))
    rows[1_399] = row(1_400, formatted(7, dollars))
    const { rejected, verdicts, published } = await prepared([header, ...rows])
    expect(rejected).toEqual({ wrong_currency: 2 })
    // Rows as the sheet numbers them.
    expect(verdicts.map(({ row, field, value }) => [row, field, value])).toEqual([
      [4, 'amount', '2 $'],
      [1_401, 'amount', '7 $'],
    ])
    expect(published).toHaveLength(1_498)
    expect(new Set(published.map((event) => event.amount_minor))).toEqual(new Set([500]))
  })

  test('is not read as one when it comes back among rejected rows, as text or as it was', async () => {
    await prepared([header, row(1, 5), row(2, formatted(2, dollars))])
    const upload = { batchId, status: 'COMPLETED' } as UploadView
    const [rejected] = await Array.fromAsync((await openJudged(dir.path, upload, false)).rows)
    expect(rejected).toMatchObject({ row: 3, verdicts: [{ code: 'wrong_currency', value: '2 $' }] })
    const about = ['3', 'wrong_currency', 'amount', '2 $', '', '']
    const back = [
      [...verdictColumns, ...header],
      [...about, ...rejected!.cells],
      [...about, ...row(3, formatted(3, dollars))],
      [...about, ...row(4, formatted(4, roubles))],
    ]
    expect(await prepared(back, 'again')).toMatchObject({ rejected: { wrong_currency: 2 }, sums: [400] })
  })

  test('is none where another column shows it, or the sum is shown in hundredths', async () => {
    const { rejected, published } = await prepared([
      header,
      row(1, 5, formatted(2, dollars)),
      row(2, formatted(0.5, percent)),
    ])
    expect(rejected).toEqual({})
    expect(published.map(({ amount_minor, attributes }) => [amount_minor, attributes.was])).toEqual(
      expect.arrayContaining([
        [500, '2'],
        [50, '1'],
      ]),
    )
  })
})

test('a sum that is written in another currency is rejected as such, in any other unit as no number', async () => {
  const lines = ['$5', '5 USD', '5.00 €', '$.50', '$5 ₽', '5 pcs', '50 коп.'].map((sum, at) => row(at, sum).join(','))
  const { events } = await prepareText([header.join(','), ...lines].join('\n'), profile)
  expect(events.tally.rejected).toEqual({ wrong_currency: 5, bad_amount: 2 })
})

test('a sum that is written in the currency of the profile is read, before the first 1,000 rows and behind them', async () => {
  const lines = Array.from({ length: 1_200 }, (_, at) => row(at, ['5.00 ₽', '5руб.', 'RUB 5', '5'][at % 4]!).join(','))
  const { events, published } = await prepareText([header.join(','), ...lines].join('\n'), profile)
  expect(events.tally.rejected).toEqual({})
  expect(published).toHaveLength(1_200)
  expect(new Set(published.map((event) => event.amount_minor))).toEqual(new Set([500]))
})

test('a unit price may have its currency beside it, a quantity may not', async () => {
  const lines = ['R1,7,2011-06-15 12:00,£2.50,2,a', 'R2,7,2011-06-15 12:00,£2.50,£2,a']
  const { events, published } = await prepareText([lineHeader, ...lines].join('\n'), lineProfile())
  expect(published.map((event) => event.amount_minor)).toEqual([500])
  expect(events.verdicts.map(({ code, field }) => [code, field])).toEqual([['bad_amount', 'quantity']])
})

test.each([
  ['RUB', ['₽', 'руб.', 'р.', 'rub', 'RUB']],
  ['CAD', ['$', 'CA$', 'CAD']],
  ['BGN', ['лв.']],
  ['CHF', ['CHF', 'Fr.']],
])('%s is written %j', (currency, units) => {
  expect(units.filter((unit) => !isUnitOf(unit, currency))).toEqual([])
})

test.each([
  ['5 USD', true],
  ['-1 234,50 zł', true],
  ['€', true],
  ['5,00 руб.', false],
  ['5 USD or 300 RUB', false],
  ['TRY AGAIN', false],
  ['2-50', false],
  ['', false],
])('%j is a sum in another currency than roubles: %j', (text, expected) => {
  expect(isInOtherCurrency(text, 'RUB')).toBe(expected)
})
