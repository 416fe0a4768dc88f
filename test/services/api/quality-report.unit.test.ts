import { expect, test } from 'vitest'
import type { BatchQuality, DayQuality, QualityCounts } from '#clickhouse/queries/data-quality.ts'
import { batchReports, dayReports } from '#services/api/read-models/quality-report.ts'

const nothing: QualityCounts = {
  ...{ transactions: 0, sales: 0, refunds: 0, voids: 0, without_store: 0, without_receipt_number: 0 },
  ...{ without_payment_method: 0, without_items: 0, without_original: 0, unknown_originals: 0, timed: 0, late: 0 },
  ...{ outliers: 0, duplicates: 0 },
}
const ofDay = (date: string, store: string | null, counts: Partial<QualityCounts>): DayQuality => {
  return { date, store, ...nothing, ...counts }
}

test('a day is the sum of its stores, and its shares are those of the sums', () => {
  const reports = dayReports([
    ofDay('2011-12-08', 'a', { transactions: 3, sales: 3, timed: 2, late: 1, without_items: 3, outliers: 1 }),
    ofDay('2011-12-08', null, { transactions: 1, refunds: 1, voids: 2, without_store: 1, timed: 1, duplicates: 2 }),
    ofDay('2011-12-09', 'a', { duplicates: 5 }),
  ])
  expect(reports).toMatchObject([
    {
      ...{ day: '2011-12-08', transactions: 4, sales: 3, refunds: 1, voids: 2, completeness: 0.75 },
      ...{ missing: { store: 1, receipt_number: 0, payment_method: 0, items: 3 }, arrival_known: 3 },
      ...{ late: 1, late_share: 0.3333, duplicates: 2, duplicate_share: 0.25, outlier_share: 0.25 },
      stores: [
        { store: 'a', completeness: 0.75, late_share: 0.5, duplicate_share: 0 },
        { store: null, late_share: 0, duplicate_share: 0.4 },
      ],
    },
    { day: '2011-12-09', completeness: null, late_share: null, duplicate_share: 1, outlier_share: null },
  ])
})

test('an upload has the rows of all its stores, and says when it came where any of them does', () => {
  const of = (store: string | null, over: Partial<BatchQuality>): BatchQuality => ({
    ...{ batch_id: 'b', store, others: false, received_at_ms: null, outlier_above_minor: null, rows_read: 0 },
    ...{ rows_accepted: 0, rows_rejected: {}, dead_letters: 0, ...nothing, ...over },
  })
  const came = { received_at_ms: 86_400_000, outlier_above_minor: 500 }
  const [report] = batchReports([
    of('a', { ...came, rows_read: 5, rows_accepted: 3, rows_rejected: { bad_date: 2 } }),
    of('b', { ...came, rows_read: 4, rows_accepted: 0, rows_rejected: { bad_date: 1, too_long: 3 } }),
    of(null, { dead_letters: 2 }),
    of(null, { ...came, others: true, rows_read: 1, rows_accepted: 1 }),
  ])
  expect(report).toMatchObject({
    ...{ batch_id: 'b', received_at: '1970-01-02T00:00:00.000Z', outlier_above_minor: 500, dead_letters: 2 },
    rows: { read: 10, accepted: 4, rejected: 6, reasons: { bad_date: 3, too_long: 3 } },
    stores: [{ store: 'a' }, { store: 'b' }, { store: null, others: false }, { store: null, others: true }],
  })
})
