import fc from 'fast-check'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type BonusSinceRow, bonusSince } from '#clickhouse/queries/bonus-since.ts'
import { migrateClickHouse } from '#services/platform/migrate.ts'
import { beforeTheFirstDate } from '#streams/domain/context.ts'
import { newEffects } from '#streams/domain/effects.ts'
import { entryOf, newEntry } from '#streams/domain/entry.ts'
import { sumUp } from '#streams/domain/evaluate.ts'
import { Ledger } from '#streams/domain/ledger.ts'
import { Kind, type Transaction } from '#streams/domain/transaction.ts'
import { newValues } from '#streams/domain/values.ts'
import { startClickHouse, type TestClickHouse } from '../support/clickhouse.ts'

/** Bonus after a moment, from the transactions that were taken in, against the ledger. */

let clickhouse: TestClickHouse
beforeAll(async () => {
  clickhouse = await startClickHouse()
  await migrateClickHouse({ url: clickhouse.url, database: 'loyalty' }, 'clickhouse/migrations')
})
afterAll(() => clickhouse.stop())

interface Made {
  readonly id: string
  readonly kind: 'sale' | 'refund' | 'void'
  readonly original: string | null
  readonly day: number
  readonly amount: number
  readonly earned: number
  readonly spent: number
}

const made = (id: string, kind: Made['kind'], day: number, earned: number, spent: number, original?: string): Made => ({
  ...{ id, kind, day, earned, spent, original: original ?? null },
  amount: kind === 'void' || id === 's3' ? 0 : 1_000,
})

/** Sales (one paid with bonus alone), refunds and voids of them, with and without what they name. */
const pool: readonly Made[] = [
  made('s1', 'sale', 1, 10, 0),
  made('s2', 'sale', 5, 100, 7),
  made('s3', 'sale', 6, 0, 1_000),
  made('f1', 'refund', 3, 5, 0, 's1'),
  made('f2', 'refund', 7, 50, 3, 's2'),
  made('f3', 'refund', 8, 2, 0),
  made('f4', 'refund', 9, 30, 0, 'v1'),
  made('v1', 'void', 4, 0, 0, 's1'),
  made('v2', 'void', 8, 0, 0, 'f2'),
  made('v3', 'void', 9, 0, 0, 's3'),
  made('v4', 'void', 9, 0, 0, 'v1'),
]

const start = Date.UTC(2024, 0, 1, 12)
const atMs = ({ day }: Made) => start + day * 86_400_000

function transactionOf(clientId: string, each: Made): Transaction {
  return {
    ...{ clientId, transactionId: each.id, kind: Kind[each.kind], occurredAtMs: atMs(each), amountMinor: each.amount },
    ...{ currency: 'GBP', originalTransactionId: each.original, storeId: null, lines: [], discountMinor: 0 },
    ...{ bonusEarnedMinor: each.earned, bonusSpentMinor: each.spent },
  } as Transaction
}

/** As the ledger has it of a client with these transactions. */
function ofLedger(transactions: readonly Made[]): number {
  const chunk = () => {
    throw new Error('these ledgers are never stored')
  }
  const ledger = Ledger.empty({ cap: 4096, chunks: { entryChunk: chunk, coldChunk: chunk } })
  for (const each of transactions) ledger.apply(entryOf(transactionOf('c', each), newEntry()), newEffects())
  const values = newValues()
  sumUp(ledger, beforeTheFirstDate, values)
  return values.bonusEarnedMinor - values.bonusSpentMinor
}

async function asked(clientId: string, sinceMs: number, asOfDay: number | null = null): Promise<number> {
  const { sql, params } = bonusSince({ clientId, sinceMs, asOfDay })
  const result = await clickhouse.client.query({ query: sql, query_params: params, format: 'JSONEachRow' })
  return Number((await result.json<BonusSinceRow>())[0]!.earned_less_spent_minor)
}

test('is what the ledger counts, whatever is voided or refunded; after a moment, that part of it', {
  timeout: 60_000,
}, async () => {
  const clients = [...fc.sample(fc.subarray([...pool], { minLength: 1 }), { numRuns: 12, seed: 7 }), pool]
  const rows = clients.flatMap((transactions, client) =>
    transactions.map((each, i) => ({
      ...{ client_id: `c${client}`, transaction_key: i, transaction_id: each.id, kind: each.kind },
      ...{ occurred_at: atMs(each), day: Math.floor(atMs(each) / 86_400_000), amount_minor: each.amount },
      ...{ original_transaction_id: each.original ?? '' },
      ...{ bonus_earned_minor: each.earned, bonus_spent_minor: each.spent },
    })),
  )
  const dated = rows.map((row) => ({
    ...row,
    occurred_at: new Date(row.occurred_at).toISOString().slice(0, 23).replace('T', ' '),
    day: new Date(row.day * 86_400_000).toISOString().slice(0, 10),
  }))
  await clickhouse.client.insert({ table: 'transactions', format: 'JSONEachRow', values: dated })
  for (const [client, transactions] of clients.entries()) {
    expect(await asked(`c${client}`, 0)).toBe(ofLedger(transactions))
    // What lies before the moment brings no bonus any more, whatever it still does to what comes after.
    const moment = start + 5 * 86_400_000
    const without = transactions.map((each) => (atMs(each) > moment ? each : { ...each, earned: 0, spent: 0 }))
    expect(await asked(`c${client}`, moment)).toBe(ofLedger(without))
  }
  // Days that have not come do not count.
  const dayOf = (day: number) => Math.floor((start + day * 86_400_000) / 86_400_000)
  expect(await asked(`c${clients.indexOf(pool)}`, 0, dayOf(2))).toBe(10)
  expect(await asked('nobody', 0)).toBe(0)
})
