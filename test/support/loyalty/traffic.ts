import { sale } from './publisher.ts'

/** 2024-01-10. */
export const jan10 = 19_732
const dayMs = 86_400_000

/** So many that three rounds fill more than one chunk of a ledger. */
const salesOfOne = 22

/**
 * Sales over forty days in stores and upload batches, with voids, refunds and a record of poison; behind them a repetition,
 * one with other content, a refund whose original comes in the next round, and many sales of one client.
 */
export function traffic(round: number) {
  const mixed = Array.from({ length: 90 }, (_, i) => transaction(round, i))
  const early = clientOf(round + 1, 2)
  return [
    ...mixed,
    mixed[5]!,
    { ...mixed[6]!, amount_minor: 1 },
    sale(early, {
      transaction_id: `r${round}-early`,
      kind: 'REFUND',
      amount_minor: 50,
      original_transaction_id: `r${round + 1}-2`,
    }),
    ...Array.from({ length: salesOfOne }, (_, i) => sale('regular', { transaction_id: `r${round}-regular-${i}` })),
  ]
}

/**
 * Transactions of clients who only shop at a till that takes the wrong partition, so that their order is that of the log
 * in every run: sales, a refund, a repetition and one with other content.
 */
export function strays(round: number) {
  const sales = Array.from({ length: 10 }, (_, i) =>
    sale(`stray${i % 4}`, {
      transaction_id: `s${round}-${i}`,
      occurred_at: (jan10 - i) * dayMs,
      amount_minor: 100 * (i + round),
    }),
  )
  const refund = { transaction_id: `s${round}-r`, amount_minor: 50, original_transaction_id: `s${round}-1` }
  return [...sales, sale('stray1', { ...refund, kind: 'REFUND' }), sales[2]!, { ...sales[3]!, amount_minor: 1 }]
}

function clientOf(round: number, i: number): string {
  return `c${(i * 7 + round) % 30}`
}

function transaction(round: number, i: number) {
  const client = clientOf(round, i)
  const id = `r${round}-${i}`
  const original = `r${round}-${i - 30}`
  if (i > 30 && i % 13 === 4)
    return sale(client, { transaction_id: id, kind: 'VOID', amount_minor: 0, original_transaction_id: original })
  if (i > 30 && i % 11 === 3)
    return sale(client, { transaction_id: id, kind: 'REFUND', amount_minor: 150, original_transaction_id: original })
  if (i === 77) return sale(client, { transaction_id: id, currency: 'USD' })
  return sale(client, {
    transaction_id: id,
    occurred_at: (jan10 - (i % 40)) * dayMs,
    amount_minor: 100 * (i + 1),
    store_id: `s${i % 3}`,
    batch_id: i % 4 === 0 ? null : `b${i % 4}`,
  })
}
