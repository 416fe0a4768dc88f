import type { TransactionRecorded } from '#schemas/events.ts'
import { receiptOf } from './transactions.ts'

/**
 * A generated transaction as a till sends it (docs/pos-integration.md): identified by its receipt number, so that the door
 * makes the id that it has already. `event` is detailed.
 */
export function tillItemOf(event: TransactionRecorded): Record<string, unknown> {
  const original = event.original_transaction_id
  return {
    receipt_number: event.receipt_number,
    client_id: event.client_id,
    kind: event.kind,
    occurred_at: new Date(event.occurred_at).toISOString(),
    amount_minor: event.amount_minor,
    currency: event.currency,
    store_id: event.store_id,
    terminal_id: event.terminal_id,
    payment_method: event.payment_method,
    items_count: event.items_count,
    categories: event.categories,
    lines: event.lines.map(({ sku, category, quantity, amount_minor }) => ({ sku, category, quantity, amount_minor })),
    ...(original === null ? {} : { original_receipt: { receipt_number: receiptOf(original) } }),
  }
}
