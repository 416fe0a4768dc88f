import type { TransactionRecorded } from '#schemas/events.ts'

/** A receipt of a file as the till of its system sends it: by its number where it has one, else by the id it was given. */
export function tillItemOf(event: TransactionRecorded): Record<string, unknown> {
  const { transaction_id, receipt_number, original_transaction_id, attributes, lines } = event
  return {
    ...(receipt_number === null ? { transaction_id } : { receipt_number }),
    client_id: event.client_id,
    kind: event.kind,
    occurred_at: event.occurred_at,
    amount_minor: event.amount_minor,
    currency: event.currency,
    store_id: event.store_id,
    terminal_id: event.terminal_id,
    payment_method: event.payment_method,
    original_transaction_id,
    items_count: event.items_count,
    categories: event.categories,
    lines,
    attributes,
  }
}
