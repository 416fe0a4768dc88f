import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { loadProfile, parseProfile } from '#services/ingest/profile.ts'
import { fromSharedData } from '../../../support/shared-data.ts'
import { prepareFile } from '../support/prepare.ts'

const cdnow = fromSharedData('cdnow')

describe.skipIf(cdnow === null)('the CDNOW file, columns at fixed places', () => {
  test('read as words between spaces, or with equal rows dropped, it comes to the same but for those', async () => {
    const path = cdnow!.path('CDNOW_sample.txt')
    const profile = (changes: object) =>
      parseProfile(
        {
          ...loadProfile('cdnow'),
          format: { kind: 'whitespace', header: false },
          columns: { client: 1, occurred_at: 2, quantity: 3, amount: 4 },
          ...changes,
        },
        'test',
      )
    const fixed = [7, 12, 20, 23].map((from, at) => ({ name: `f${at}`, from, width: [4, 8, 3, 8][at]! }))
    const byPlace = profile({
      format: { kind: 'fixed', header: false, fields: fixed },
      columns: { client: 'f0', occurred_at: 'f1', quantity: 'f2', amount: 'f3' },
    })
    const words = await prepareFile(path, profile({}))
    const places = await prepareFile(path, byPlace)
    expect(words.events.rows).toBe(6_919)
    expect(places.published.map(({ transaction_id }) => transaction_id)).toEqual(
      words.published.map(({ transaction_id }) => transaction_id),
    )
    expect(places.events.receipts).toEqual(words.events.receipts)
    const lines = readFileSync(path, 'latin1').trim().split('\r\n')
    const equal = lines.length - new Set(lines.map((line) => line.slice(7))).size
    const dropped = await prepareFile(path, profile({ identical_rows: 'drop' }))
    expect(dropped.events.tally.rejected.duplicate_row).toBe(equal)
    expect(equal).toBeGreaterThan(0)
  }, 60_000)
})
