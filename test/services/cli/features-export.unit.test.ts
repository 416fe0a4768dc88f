import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { exportFeatures, featureLines, foldLedgers } from '#services/cli/features-export.ts'
import { dayMs, dayOfIso } from '#streams/domain/calendar.ts'
import { type Context, evolve, initialContext } from '#streams/domain/context.ts'
import { featureNames } from '#streams/domain/features.ts'
import { Kind, type Transaction } from '#streams/domain/transaction.ts'
import { type TempDir, tempDir } from '../../support/temp-dir.ts'

const context: Context = evolve(initialContext(), {
  type: 'programme_configured',
  programme: {
    programmeId: 'p',
    currency: 'GBP',
    timeZone: 'UTC',
    offsets: [],
    clock: 'events',
    monetaryBasis: 'net',
    partitions: 1,
    ledgerCap: 4_096,
  },
})

let number = 0
function transaction(clientId: string, iso: string, amountMinor: number, more: Partial<Transaction> = {}): Transaction {
  return {
    transactionId: `t${++number}`,
    clientId,
    kind: Kind.sale,
    occurredAtMs: dayOfIso(iso) * dayMs + 12 * 3_600_000,
    amountMinor,
    currency: 'GBP',
    originalTransactionId: null,
    storeId: null,
    discountMinor: 0,
    bonusEarnedMinor: 0,
    bonusSpentMinor: 0,
    lines: [],
    ...more,
  }
}

const cut = dayOfIso('2020-06-01')
/** Ends every horizon used here. */
const end = transaction('later', '2020-12-31', 1)

async function rowsOf(transactions: Transaction[], days = [cut]): Promise<Record<string, string>[]> {
  const [header, ...lines] = featureLines(await foldLedgers([...transactions, end], context), context, days, 90)
  const names = header!.split(',')
  return lines.map((line) => Object.fromEntries(line.split(',').map((value, i) => [names[i]!, value])))
}

async function rowOf(transactions: Transaction[]): Promise<Record<string, string>> {
  return (await rowsOf(transactions))[0]!
}

describe('training rows', () => {
  it('hold every feature as of the date, then what came after', async () => {
    const row = await rowOf([
      transaction('a', '2020-03-01', 1_050),
      transaction('a', '2020-05-30', 2_000),
      transaction('a', '2020-07-01', 7_777),
    ])
    expect(Object.keys(row)).toEqual(['as_of', 'client_id', ...featureNames, 'segment', 'buys', 'horizon_net_minor'])
    expect(row).toMatchObject({
      as_of: '2020-06-01',
      client_id: 'a',
      recency_days: '2',
      tenure_days: '92',
      frequency: '2',
      monetary_gross: '30.5',
      spend_30d: '20',
      buys: '1',
      horizon_net_minor: '7777',
    })
  })

  it('leave out who had not bought by the date', async () => {
    expect(await rowsOf([transaction('a', '2020-06-02', 100)])).toEqual([])
  })

  it('label by what followed: top fifth of buyers, buyers, recent and long gone ones, and the new', async () => {
    const buyers = Array.from({ length: 5 }, (_, i) => [
      transaction(`buyer${i}`, '2020-01-01', 100),
      transaction(`buyer${i}`, '2020-06-02', 1_000 + i),
    ])
    const rows = await rowsOf([
      ...buyers.flat(),
      transaction('gone', '2019-06-01', 100),
      transaction('newcomer', '2020-05-20', 100),
      transaction('quiet', '2020-03-01', 100),
    ])
    expect(Object.fromEntries(rows.map((row) => [row.client_id, row.segment]))).toEqual({
      buyer0: 'loyal',
      buyer1: 'loyal',
      buyer2: 'loyal',
      buyer3: 'loyal',
      buyer4: 'champions',
      gone: 'sleeping',
      newcomer: 'new',
      quiet: 'at_risk',
    })
  })

  it('count the last day of the horizon and not the day after it', async () => {
    const first = transaction('a', '2020-01-01', 100)
    expect(await rowOf([first, transaction('a', '2020-08-30', 100)])).toMatchObject({ buys: '1' })
    expect(await rowOf([first, transaction('a', '2020-08-31', 100)])).toMatchObject({ buys: '0' })
  })

  it('never let a later event into a feature', async () => {
    const day = fc.integer({ min: 1, max: 200 })
    const kind = fc.constantFrom(Kind.sale, Kind.refund)
    const event = fc.record({ day, kind, amountMinor: fc.integer({ min: 1, max: 10_000 }) })
    await fc.assert(
      fc.asyncProperty(fc.array(event, { maxLength: 8 }), async (later) => {
        const before = [transaction('a', '2020-05-01', 500), transaction('a', '2020-05-20', 700)]
        const after = later.map(({ day, kind, amountMinor }) =>
          transaction('a', '2020-06-01', amountMinor, { kind, occurredAtMs: (cut + day) * dayMs }),
        )
        const refund = transaction('a', '2020-06-05', 500, {
          kind: Kind.refund,
          originalTransactionId: before[0]!.transactionId,
        })
        const [bare, full] = await Promise.all([rowOf(before), rowOf([...before, ...after, refund])])
        for (const name of featureNames) expect(full[name]).toBe(bare[name])
      }),
      { numRuns: 50 },
    )
  })

  it('do not depend on the order of arrival, nor on repetitions', async () => {
    const all = ['b', 'a', 'c'].flatMap((id) => [
      transaction(id, '2020-01-01', 100),
      transaction(id, '2020-06-02', 1_000),
    ])
    expect(await rowsOf([...all, ...all].reverse())).toEqual(await rowsOf(all))
  })

  it('are refused where the data end before the horizon does', async () => {
    const folded = await foldLedgers([transaction('a', '2020-01-01', 100)], context)
    expect(() => [...featureLines(folded, context, [cut], 90)]).toThrow(
      expect.objectContaining({ code: 'horizon_beyond_data', details: { needed: '2020-08-30', newest: '2020-01-01' } }),
    )
  })

  it.each([
    [[], 90],
    [[Number.NaN], 90],
    [[cut], 0],
    [[cut], Number.NaN],
  ])('are refused for dates %o and a horizon of %d days', async (days, horizon) => {
    const folded = await foldLedgers([end], context)
    expect(() => [...featureLines(folded, context, days, horizon)]).toThrow(
      expect.objectContaining({ code: 'export_options' }),
    )
  })
})

describe('the training file', () => {
  let dir: TempDir
  beforeAll(async () => {
    dir = await tempDir()
  })
  afterAll(() => dir.remove())

  it('is written as CSV, compressed on demand, with ids quoted where they must be', async () => {
    const folded = await foldLedgers([transaction('a, "b"', '2020-05-01', 3_333), end], context)
    const plain = join(dir.path, 'features.csv')
    expect(await exportFeatures(plain, folded, context, [cut], 90)).toEqual({ rows: 1, clients: 2, transactions: 2 })
    await exportFeatures(`${plain}.gz`, folded, context, [cut], 90)
    const text = await readFile(plain, 'utf8')
    expect(text).toContain('2020-06-01,"a, ""b""",31,31,1,33.33,33.33,33.33,')
    expect(gunzipSync(await readFile(`${plain}.gz`)).toString()).toBe(text)
    for (const path of [dir.path, join(dir.path, 'nowhere', 'features.csv.gz')])
      await expect(exportFeatures(path, folded, context, [cut], 90)).rejects.toMatchObject({ code: 'file_unwritable' })
  })
})
