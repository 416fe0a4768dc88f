import type { ColumnIndex } from '../files/columns.ts'
import type { FileProfile } from '../profile.ts'

/**
 * Fields of a row by their place in `fieldsOf`: a verdict names the one at fault by it, so that a row that is rejected
 * costs no object. Attributes come after the others.
 */
export const field = {
  none: -1,
  client: 0,
  occurredAt: 1,
  receipt: 2,
  value: 3,
  quantity: 4,
  sku: 5,
  description: 6,
  category: 7,
  store: 8,
  terminal: 9,
  payment: 10,
  kind: 11,
  original: 12,
  currency: 13,
  attributes: 14,
} as const

export interface Field {
  /** As the profile calls it: `unit_price`, `attributes.country`. */
  readonly name: string
  /** Index of its column; -1 where the profile maps none. */
  readonly column: number
}

/** The fields of a file in the order of `field`. */
export function fieldsOf(profile: FileProfile, columns: ColumnIndex): Field[] {
  return [
    { name: 'client', column: columns.client },
    { name: 'occurred_at', column: columns.occurredAt },
    { name: 'receipt_number', column: columns.receipt },
    { name: profile.columns.unit_price === undefined ? 'amount' : 'unit_price', column: columns.value },
    { name: 'quantity', column: columns.quantity },
    { name: 'sku', column: columns.sku },
    { name: 'description', column: columns.description },
    { name: 'category', column: columns.category },
    { name: 'store', column: columns.store },
    { name: 'terminal', column: columns.terminal },
    { name: 'payment', column: columns.payment },
    { name: 'kind', column: columns.kind },
    { name: 'original', column: columns.original },
    { name: 'currency', column: columns.currency },
    ...columns.attributes.map(({ name, index }) => ({ name: `attributes.${name}`, column: index })),
  ]
}
