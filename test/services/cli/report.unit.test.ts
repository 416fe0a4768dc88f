import { describe, expect, test } from 'vitest'
import { inOrder, reportLines } from '#services/cli/report.ts'
import type { UploadReport } from '#services/ingest/report.ts'
import { sentences } from '#services/ingest/verdicts.ts'

const report: UploadReport = {
  lines: 5,
  rows: { accepted: 3, rejected: 2 },
  ...{ accepted: 3, sales: 2, refunds: 1, voids: 0, duplicates: 0, dead_letters: 0 },
  rejected: { bad_amount: 2 },
  flagged: { outlier: 1 },
  outliers: { above_minor: 123_400, max_minor: null, mads: 100, median_minor: 23_400, mad_minor: 1_000 },
  verdicts: [
    { row: 2, code: 'bad_amount', field: 'unit_price', value: `a\nb${'x'.repeat(60)}`, sentence: sentences.bad_amount },
    { row: 10, code: 'bad_row', field: null, value: null, sentence: sentences.bad_row },
  ],
  ...{ clients: 2, buyers: 2, gross_minor: 500, refunded_minor: 100, currency: 'GBP', as_of: null, cut_points: null },
  ...{ segments: {}, seconds: { total: 1 } },
}

describe('the report of an upload for people', () => {
  const lines = reportLines(report)

  test('counts what was flagged beside what was rejected, and says by what rule', () => {
    expect(lines).toContain(`    ${sentences.bad_amount.en}: 2`)
    expect(lines).toContain(`    ${sentences.outlier.en}: 1`)
    expect(lines).toContain(
      '    unusual is what is above 1,234.00 GBP (the median 234.00 GBP, and 100 deviations of 10.00 GBP)',
    )
  })

  test('lists the first verdicts, each on one line', () => {
    expect(lines.slice(lines.indexOf('  first verdicts') + 1)).toEqual([
      '  row  verdict     field       value',
      expect.stringMatching(/^ {2}─+/),
      `    2  bad_amount  unit_price  a b${'x'.repeat(36)}…`,
      '   10  bad_row',
    ])
  })

  test('of an older version has neither', () => {
    const { flagged, outliers, verdicts, ...older } = report
    expect(reportLines(older).join('\n')).not.toMatch(/first verdicts|unusual/)
    expect(inOrder(older)).not.toHaveProperty('verdicts')
  })
})

test('as JSON it keeps flags, rule and verdicts', () => {
  const { flagged, outliers, verdicts } = report
  expect(inOrder(report)).toMatchObject({ flagged, outliers, verdicts })
})
