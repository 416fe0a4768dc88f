import { describe, expect, test } from 'vitest'
import { lineHeader, lineProfile, prepareText } from '../support/prepare.ts'

/** Verdicts on the given rows, and what would be published. */
async function judge(rows: readonly string[], profile = lineProfile(), header = lineHeader) {
  const { events, published } = await prepareText([header, ...rows].join('\n'), profile)
  const { acceptedRows, rejectedRows, rejected } = events.tally
  expect(acceptedRows + rejectedRows).toBe(events.rows)
  expect(events.rows).toBe(rows.length)
  return { acceptedRows, rejected, published, totals: events.receipts }
}

const good = 'R1,17,2011-06-15 12:00,2.50,2,A'

test('a good row is published as a receipt', async () => {
  const { published, rejected, acceptedRows } = await judge([good])
  expect(acceptedRows).toBe(1)
  expect(rejected).toEqual({})
  expect(published).toEqual([
    expect.objectContaining({
      transaction_id: 'till:r=R1',
      client_id: '17',
      kind: 'SALE',
      occurred_at: Date.UTC(2011, 5, 15, 11),
      amount_minor: 500,
      currency: 'GBP',
      source: 'upload:00000000-0000-4000-8000-000000000001',
      batch_id: '00000000-0000-4000-8000-000000000001',
      receipt_number: 'R1',
      items_count: 2,
      lines: [{ sku: 'A', description: null, category: null, quantity: 2, amount_minor: 500 }],
    }),
  ])
})

describe('faults of a row', () => {
  const long = 'x'.repeat(257)
  test.each([
    ['missing_client', 'R1,,2011-06-15 12:00,2.50,2,A'],
    ['bad_client_id', `R1,${long},2011-06-15 12:00,2.50,2,A`],
    ['bad_client_id', 'R1,4.60701E+14,2011-06-15 12:00,2.50,2,A'],
    ['bad_client_id', 'R1,"4,6e+12",2011-06-15 12:00,2.50,2,A'],
    ['missing_receipt', '5.36365E+14,17,2011-06-15 12:00,2.50,2,A'],
    ['missing_receipt', ',17,2011-06-15 12:00,2.50,2,A'],
    ['bad_date', 'R1,17,15.06.2011,2.50,2,A'],
    ['bad_date', 'R1,17,,2.50,2,A'],
    ['bad_date', 'R1,17,1979-06-15 12:00,2.50,2,A'],
    ['bad_amount', 'R1,17,2011-06-15 12:00,"2,50",2,A'],
    ['bad_amount', 'R1,17,2011-06-15 12:00,2.50,,A'],
    ['too_long', `R1,17,2011-06-15 12:00,2.50,2,${long}`],
    ['bad_row', 'R1,17,2011-06-15 12:00,2.50'],
  ])('%s: %s', async (reason, row) => {
    const { rejected, published } = await judge([row])
    expect(rejected).toEqual({ [reason]: 1 })
    expect(published).toEqual([])
  })

  test('an integer id loses the tail a spreadsheet gave it, and nothing else is an integer', async () => {
    const profile = lineProfile({ client_id: { written_as: 'integer' } })
    const ids = ['17850.0', '17850', '0017', '17850.5', '17850.', '1e4', 'x']
    const { rejected, published } = await judge(
      ids.map((id, i) => `R${i},${id},2011-06-15 12:00,1,1,A`),
      profile,
    )
    expect(published.map((event) => event.client_id)).toEqual(['17850', '17850', '0017'])
    expect(rejected).toEqual({ bad_client_id: 4 })
  })

  test('a row in another currency, or of an unknown kind', async () => {
    const profile = lineProfile({
      columns: { ...lineProfile().columns, currency: 'currency', kind: 'kind' },
      kinds: { sale: { values: ['S'] }, refund: { values: ['R'] } },
    })
    const { rejected, published } = await judge(
      [
        'R1,17,2011-06-15 12:00,1,1,A,USD,S',
        'R2,17,2011-06-15 12:00,1,1,A,GBP,?',
        'R3,17,2011-06-15 12:00,1,1,A,GBP,s',
      ],
      profile,
      `${lineHeader},currency,kind`,
    )
    expect(rejected).toEqual({ wrong_currency: 1, unknown_kind: 1 })
    expect(published.map((event) => event.receipt_number)).toEqual(['R3'])
  })

  test('missing values by policy: reject, empty, default', async () => {
    const row = ['R1,17,2011-06-15 12:00,1,1,']
    expect((await judge(row, lineProfile({ missing: { sku: 'reject' } }))).rejected).toEqual({ missing_field: 1 })
    expect((await judge(row, lineProfile({ missing: { sku: 'empty' } }))).published[0]!.lines[0]!.sku).toBe('')
    expect((await judge(row, lineProfile({ missing: { sku: { default: 'none' } } }))).published[0]!.lines[0]!.sku).toBe(
      'none',
    )
    const guest = lineProfile({ missing: { client: { default: 'guest' } } })
    expect((await judge(['R1,,2011-06-15 12:00,1,1,A'], guest)).published[0]!.client_id).toBe('guest')
  })
})

describe('faults of a receipt count receipts', () => {
  test.each([
    ['zero_amount', ['R1,17,2011-06-15 12:00,0.00,5,A', 'R1,17,2011-06-15 12:00,0,1,B']],
    ['zero_amount', ['R1,17,2011-06-15 12:00,1,5,A', 'R1,17,2011-06-15 12:00,1,-5,A']],
    ['zero_amount', ['R1,17,2011-06-15 12:00,0.005,1,A']],
    ['negative_amount', ['R1,17,2011-06-15 12:00,1,-5,A', 'R1,17,2011-06-15 12:00,1,1,A']],
    ['negative_amount', ['C1,17,2011-06-15 12:00,1,5,A', 'C1,17,2011-06-15 12:00,1,1,A']],
    ['client_mismatch', ['R1,17,2011-06-15 12:00,1,5,A', 'R1,18,2011-06-15 12:00,1,1,A']],
    ['amount_out_of_range', ['R1,17,2011-06-15 12:00,99999999,99999999,A', 'R1,17,2011-06-15 12:00,1,1,A']],
  ])('%s: %j', async (reason, rows) => {
    const { rejected, published, acceptedRows } = await judge(rows)
    expect(rejected).toEqual({ [reason]: 1 })
    expect([acceptedRows, published]).toEqual([0, []])
  })

  test('a receipt with one bad row is not published with a wrong sum', async () => {
    const { rejected, published, acceptedRows } = await judge([
      good,
      'R1,17,2011-06-15 12:00,?,1,A',
      'R2,17,2011-06-15 12:00,1,1,A',
      'R1,17,2011-06-15 12:00,1,1,A',
    ])
    expect(rejected).toEqual({ bad_amount: 1, incomplete_receipt: 1 })
    expect(acceptedRows).toBe(1)
    expect(published.map((event) => event.receipt_number)).toEqual(['R2'])
  })

  test.each([
    ['before', ['R1,17,32.06.2011,1,1,A', 'R1,17,,1,1,A', 'R1,17,2011-06-15 12:00,1,1,B']],
    ['after', ['R1,17,2011-06-15 12:00,1,1,B', 'R1,17,?,1,1,A', 'R1,17']],
  ])('nor is one whose day is unknown in the rows %s it, where the day tells receipts apart', async (_, rows) => {
    const system = { name: 'till', identity: ['day', 'receipt_number'] }
    const other = ['R1,17,2011-06-14 12:00,1,1,A', 'R2,17,2011-06-15 12:00,1,1,A']
    const { published, acceptedRows } = await judge(
      [other[0]!, 'R3,17,,1,1,A', ...rows, other[1]!],
      lineProfile({ system }),
    )
    expect(acceptedRows).toBe(2)
    expect(published.map((event) => event.transaction_id).sort()).toEqual([
      'till:d=2011-06-14:r=R1',
      'till:d=2011-06-15:r=R2',
    ])
  })

  test('a receipt larger than an event', async () => {
    const sku = 'x'.repeat(250)
    const rows = Array.from({ length: 1_100 }, () => `R1,17,2011-06-15 12:00,1,1,${sku}`)
    const { rejected, acceptedRows } = await judge([...rows, 'R2,17,2011-06-15 12:00,1,1,A'])
    expect(rejected).toEqual({ too_large: 1 })
    expect(acceptedRows).toBe(1)
  })
})

describe('receipts', () => {
  test('rows of one receipt meet, also when its number comes back; it has the earliest time and the place of its first row', async () => {
    const { published } = await judge([
      'R2,18,2011-06-15 13:00,1,1,A',
      'R1,17,2011-06-15 12:30,1.10,1,A',
      'R2,18,2011-06-15 12:10,1,2,B',
      'R1,17,2011-06-15 12:31,2.20,1,B',
    ])
    expect(
      published.map((event) => [event.receipt_number, event.amount_minor, new Date(event.occurred_at).toISOString()]),
    ).toEqual([
      ['R2', 300, '2011-06-15T11:10:00.000Z'],
      ['R1', 330, '2011-06-15T11:30:00.000Z'],
    ])
  })

  test('identical lines count', async () => {
    const { published } = await judge([good, good, good])
    expect(published[0]!.amount_minor).toBe(1500)
    expect(published[0]!.lines).toHaveLength(3)
  })

  test('a refund is a magnitude, its lines in its direction', async () => {
    const { published, totals } = await judge(['C1,17,2011-06-15 12:00,2.50,-2,A', 'C1,17,2011-06-15 12:00,0.10,1,B'])
    expect(published[0]).toMatchObject({
      kind: 'REFUND',
      amount_minor: 490,
      original_transaction_id: null,
      items_count: 3,
    })
    expect(published[0]!.lines.map((line) => [line.quantity, line.amount_minor])).toEqual([
      [2, 500],
      [-1, -10],
    ])
    expect(totals).toMatchObject({ sales: 0, refunds: 1, refundedMinor: 490 })
  })

  test('free lines belong to a paid receipt', async () => {
    const { published, acceptedRows } = await judge([good, 'R1,17,2011-06-15 12:00,0,1,GIFT'])
    expect(published[0]).toMatchObject({ amount_minor: 500, items_count: 3 })
    expect(acceptedRows).toBe(2)
  })

  test('where kinds share numbers, one number is a receipt of each kind', async () => {
    const profile = lineProfile({
      system: { name: 'till', identity: ['receipt_number'] },
      columns: { ...lineProfile().columns, kind: 'kind', original: 'original' },
      kinds: { sale: { values: ['S'] }, refund: { values: ['R'] }, void: { values: ['V'] }, refund_sign: 'positive' },
    })
    const { published } = await judge(
      ['R1,17,2011-06-15 12:00,1,5,A,S,', 'R1,17,2011-06-16 12:00,1,2,A,R,R1', 'R1,17,2011-06-17 12:00,1,2,A,V,R1'],
      profile,
      `${lineHeader},kind,original`,
    )
    expect(
      published.map((event) => [event.transaction_id, event.kind, event.amount_minor, event.original_transaction_id]),
    ).toEqual([
      ['till:r=R1', 'SALE', 500, null],
      ['till:r=R1:k=refund', 'REFUND', 200, 'till:r=R1'],
      ['till:r=R1:k=void', 'VOID', 0, 'till:r=R1'],
    ])
  })

  test('by sign: a negative sum without a mark is a refund', async () => {
    const profile = lineProfile({ kinds: { negative_is_refund: true } })
    const { published } = await judge(['R1,17,2011-06-15 12:00,1,-5,A', 'R2,17,2011-06-15 12:00,1,5,A'], profile)
    expect(published.map((event) => [event.kind, event.amount_minor])).toEqual([
      ['REFUND', 500],
      ['SALE', 500],
    ])
  })

  test('store, terminal and day identify receipts where the system says so', async () => {
    const profile = lineProfile({
      system: { name: 'shops', identity: ['store', 'day', 'receipt_number'] },
      columns: { ...lineProfile().columns, store: 'store' },
    })
    const { published } = await judge(
      ['1,17,2011-06-15 23:59,1,1,A,s1', '1,17,2011-06-15 23:59,1,1,A,s2', '1,17,2011-06-16 00:01,1,1,A,s1'],
      profile,
      `${lineHeader},store`,
    )
    expect(published.map((event) => event.transaction_id)).toEqual([
      'shops:s=s1:d=2011-06-15:r=1',
      'shops:s=s2:d=2011-06-15:r=1',
      'shops:s=s1:d=2011-06-16:r=1',
    ])
  })
})

describe('one row per receipt, without numbers', () => {
  const profile = lineProfile({
    system: { name: 'shop', identity: [] },
    grain: 'receipt',
    columns: { client: 'client', occurred_at: 'time', amount: 'amount' },
  })
  const header = 'client,time,amount,note'

  test('identical rows are told apart by their number, whatever unmapped columns hold', async () => {
    const rows = [
      '7,2011-06-15 12:00,1.50,a',
      '7,2011-06-15 12:00,1.50,b',
      '7,2011-06-15 12:00,1.51,a',
      '7,2011-06-15 12:00,1.5,',
    ]
    const { published } = await judge(rows, profile, header)
    const ids = published.map((event) => event.transaction_id)
    expect(new Set(ids).size).toBe(4)
    expect(ids.filter((id) => id.startsWith(ids[0]!))).toEqual([ids[0], `${ids[0]}.2`, `${ids[0]}.3`])
    const again = await judge(rows, profile, header)
    expect(again.published.map((event) => event.transaction_id)).toEqual(ids)
  })

  test('a bad row spoils no other', async () => {
    const { published, rejected } = await judge(['7,2011-06-15 12:00,?,', '7,2011-06-15 12:00,1,'], profile, header)
    expect(published).toHaveLength(1)
    expect(rejected).toEqual({ bad_amount: 1 })
  })
})

describe('files', () => {
  test.each([
    ['file_empty', ''],
    ['file_empty', `${lineHeader}\n`],
    ['columns_missing', 'receipt,client,time\n'],
  ])('%s: %j', async (code, text) => {
    await expect(prepareText(text)).rejects.toMatchObject({ code })
  })

  test('a byte order mark is not part of the first column', async () => {
    const { published } = await prepareText(`\ufeff${lineHeader}\n${good}\n`)
    expect(published).toHaveLength(1)
  })
})
