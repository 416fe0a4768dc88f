import { sale } from './publisher.ts'

/** 2024-01-10. */
export const jan10 = 19_732
const dayMs = 86_400_000

/** Sales over forty days, with voids, refunds, repetitions and two records of poison. */
export function traffic(round: number) {
  return Array.from({ length: 90 }, (_, i) => {
    const client = `c${(i * 7 + round) % 30}`
    const id = `r${round}-${i}`
    const original = `r${round}-${i - 30}`
    if (i > 30 && i % 13 === 4)
      return sale(client, { transaction_id: id, kind: 'VOID', amount_minor: 0, original_transaction_id: original })
    if (i > 30 && i % 11 === 3)
      return sale(client, { transaction_id: id, kind: 'REFUND', amount_minor: 150, original_transaction_id: original })
    if (i === 77) return sale(client, { transaction_id: id, currency: 'USD' })
    const repeated = i % 17 === 16 ? `r${round}-${i - 1}x` : id
    return sale(client, {
      transaction_id: repeated,
      occurred_at: (jan10 - (i % 40)) * dayMs,
      amount_minor: 100 * (i + 1),
    })
  })
}
