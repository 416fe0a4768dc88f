import { resolve } from 'node:path'
import { beforeAll, describe, expect, test } from 'vitest'
import { loadProfile } from '#services/ingest/profile.ts'
import { type Prepared, prepareFile } from '../support/prepare.ts'

const sample = resolve(import.meta.dirname, '../../../../samples/online_retail.csv.gz')

/** The figures were computed from the file by another program, in exact fractions. */
describe('the complete Online Retail file', () => {
  let prepared: Prepared
  let seconds = 0

  beforeAll(async () => {
    const start = performance.now()
    prepared = await prepareFile(sample, loadProfile('online-retail'))
    seconds = (performance.now() - start) / 1000
  }, 60_000)

  test('every line has a verdict', () => {
    expect(prepared.rows.rows).toBe(541_909)
    expect(prepared.events.tally).toEqual({
      acceptedRows: 406_822,
      rejectedRows: 135_087,
      rejected: { missing_client: 135_080, zero_amount: 4 },
    })
  })

  test('receipts, clients and sums are those of the file', () => {
    expect(prepared.events.receipts).toEqual({
      receipts: 22_186,
      sales: 18_532,
      refunds: 3_654,
      voids: 0,
      clients: 4_371,
      grossMinor: 891_140_790,
      refundedMinor: 61_134_209,
    })
  })

  test.each([
    ['14911', 201, 14_382_506],
    ['17850', 34, 539_121],
    ['12346', 1, 7_718_360],
    ['16446', 2, 16_847_250],
  ])('client %s has %i sales of %i', (client, sales, gross) => {
    const own = prepared.published.filter((event) => event.client_id === client && event.kind === 'SALE')
    expect(own).toHaveLength(sales)
    expect(own.reduce((sum, event) => sum + event.amount_minor, 0)).toBe(gross)
  })

  test('what client 12346 bought was given back whole', () => {
    const refunds = prepared.published.filter((event) => event.client_id === '12346' && event.kind === 'REFUND')
    expect(refunds.map((event) => event.amount_minor)).toEqual([7_718_360])
  })

  test('events are in the order of the file, each id once, times in London', () => {
    const ids = prepared.published.map((event) => event.transaction_id)
    expect(new Set(ids).size).toBe(ids.length)
    expect(ids.slice(0, 2)).toEqual(['online-retail:r=536365', 'online-retail:r=536366'])
    const last = prepared.published.at(-1)!
    expect(new Date(last.occurred_at).toISOString()).toBe('2011-12-09T12:50:00.000Z')
    expect(prepared.published[0]).toMatchObject({ attributes: { country: 'United Kingdom' }, items_count: 40 })
  })

  test('reading and grouping leave room for the rest of 20 seconds', () => {
    console.info(`541,909 lines read, grouped and decoded again in ${seconds.toFixed(1)} s`)
    expect(seconds).toBeLessThan(12)
  })
})
