import { describe, expect, it } from 'vitest'
import { bonusSince } from '#clickhouse/queries/bonus-since.ts'
import { calibration } from '#clickhouse/queries/calibration.ts'
import { clientExport } from '#clickhouse/queries/client-export.ts'
import { clientHistory } from '#clickhouse/queries/client-history.ts'
import { examinedUploads, newestBusinessDay, qualityByBatch, qualityByDay } from '#clickhouse/queries/data-quality.ts'
import { knownTransactions } from '#clickhouse/queries/known-transactions.ts'
import { dailySalesDifferences, duplicateRows, populationDifferences } from '#clickhouse/queries/reconcile.ts'
import { factTotals, salesReport } from '#clickhouse/queries/sales-report.ts'
import { segmentPopulations } from '#clickhouse/queries/segment-populations.ts'
import { segmentStats } from '#clickhouse/queries/segment-stats.ts'

const hostile = "x'; DROP TABLE transactions; --"

describe('queries', () => {
  it('carry values as parameters, never in their text', () => {
    const queries = [
      clientHistory(hostile, 10, 20),
      bonusSince({ clientId: hostile, sinceMs: 0, asOfDay: null }),
      clientExport({ afterClientId: hostile, limit: 5, asOfDay: 1, model: hostile }),
      factTotals({ batchId: hostile }),
      qualityByDay({ fromDay: 1, toDay: 2, store: hostile, limit: 3 }),
      qualityByBatch({ batchIds: [], store: hostile, limit: 3 }),
    ]
    for (const { sql, params } of queries) {
      expect(sql).not.toContain('DROP TABLE')
      expect(Object.values(params)).toContain(hostile)
    }
  })

  it('name in their text every parameter they carry, and no other', () => {
    const queries: { sql: string; params: object }[] = [
      segmentStats(),
      segmentPopulations({ fromDay: 1, toDay: 2 }),
      clientHistory('c', 1),
      bonusSince({ clientId: 'c', sinceMs: 0, asOfDay: 1 }),
      calibration({ asOfDay: 1 }),
      salesReport({ fromDay: 1, toDay: 2 }),
      salesReport({ fromDay: 1, toDay: 2, byDay: true, byStore: true }),
      factTotals({ batchId: 'b' }),
      duplicateRows('transactions'),
      dailySalesDifferences(),
      populationDifferences(),
      clientExport({ afterClientId: '', limit: 5, asOfDay: null, model: null }),
      knownTransactions(['c'], ['t']),
      newestBusinessDay(),
      examinedUploads({ fromDay: null, toDay: 2, skip: 0, limit: 3 }),
      qualityByDay({ fromDay: 1, toDay: 2, store: null, limit: 3 }),
      qualityByDay({ fromDay: 1, toDay: 2, store: '', limit: 3 }),
      qualityByBatch({ batchIds: ['b'], store: null, limit: 3 }),
      qualityByBatch({ batchIds: ['b'], store: 's', limit: 3 }),
    ]
    for (const { sql, params } of queries) {
      const named = [...sql.matchAll(/\{(\w+):\s*\w/g)].map((match) => match[1])
      expect(new Set(named)).toEqual(new Set(Object.keys(params)))
    }
  })

  it('read tables that replace rows with FINAL, so that a repeated insert changes no answer', () => {
    const queries = [
      segmentStats(),
      clientHistory('c', 1),
      bonusSince({ clientId: 'c', sinceMs: 0, asOfDay: 1 }),
      calibration({ asOfDay: 1 }),
      factTotals(),
      dailySalesDifferences(),
      populationDifferences(),
      clientExport({ afterClientId: '', limit: 5, asOfDay: null, model: null }),
    ]
    for (const { sql } of queries)
      for (const [, rest] of sql.matchAll(
        /FROM (?:transactions|transaction_effects|client_state|segment_changes)\b(.*)/g,
      ))
        expect(rest).toMatch(/^ FINAL/)
  })
})

describe('the calibration', () => {
  it('makes a cut for each level', () => {
    expect(calibration({ asOfDay: 1 }).sql).toContain('quantilesExact(0.2, 0.4, 0.6, 0.8)(frequency)')
    expect(calibration({ asOfDay: 1, levels: [0.5] }).sql).toContain('quantilesExact(0.5)(frequency)')
  })

  it.each([[[]], [[0]], [[1]], [[Number.NaN]], [[0.2, -0.1]]])('refuses levels that are no shares: %j', (levels) => {
    expect(() => calibration({ asOfDay: 1, levels })).toThrow(RangeError)
  })
})

describe('the sales report', () => {
  it('groups by what is asked for alone', () => {
    expect(salesReport({ fromDay: 1, toDay: 2 }).sql).not.toContain('GROUP BY')
    expect(salesReport({ fromDay: 1, toDay: 2, byStore: true }).sql).toContain('GROUP BY store_id')
    expect(salesReport({ fromDay: 1, toDay: 2, byDay: true, byStore: true }).sql).toContain(
      'GROUP BY daily_sales.day, store_id',
    )
  })
})
