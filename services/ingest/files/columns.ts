import { LoyaltyError } from '#streams/core/error.ts'
import type { FileProfile } from '../profile.ts'

/** Index of each mapped column, -1 for what the profile does not map. */
export interface ColumnIndex {
  readonly client: number
  readonly occurredAt: number
  /** Time of day, where the date has none. */
  readonly time: number
  readonly receipt: number
  readonly value: number
  readonly quantity: number
  readonly sku: number
  readonly description: number
  readonly category: number
  readonly store: number
  readonly terminal: number
  readonly payment: number
  readonly kind: number
  readonly original: number
  readonly currency: number
  readonly attributes: readonly { readonly name: string; readonly index: number }[]
  /** Columns that a row must have at least. */
  readonly width: number
}

/**
 * Finds columns in the header (null for a file without one), -1 for one that is not mapped; `width` is the number of columns
 * that a row must have at least. Errors of `width`: `columns_missing` (details.missing, details.header).
 */
export function columnFinder(profile: { readonly name: string }, header: readonly string[] | null) {
  const names = header?.map((name) => name.trim()) ?? null
  const missing: string[] = []
  let width = 0
  return {
    find(column: string | number | undefined): number {
      if (column === undefined) return -1
      const index = typeof column === 'number' ? column : (names?.indexOf(column) ?? -1)
      if (index < 0 || (names !== null && index >= names.length)) missing.push(String(column))
      width = Math.max(width, index + 1)
      return index
    },
    width(): number {
      if (missing.length === 0) return width
      throw new LoyaltyError(
        'columns_missing',
        `the file lacks columns of profile ${profile.name}: ${missing.join(', ')}; its header is: ${names?.slice(0, 50).join(', ') ?? '(none)'}`,
        { details: { missing, header: names?.slice(0, 50) ?? null } },
      )
    },
  }
}

/** Finds the profile's columns in the header (null for a file without one). Errors: `columns_missing`. */
export function findColumns(profile: FileProfile, header: readonly string[] | null): ColumnIndex {
  const { find, width } = columnFinder(profile, header)
  const { columns } = profile
  const found = {
    client: find(columns.client),
    occurredAt: find(columns.occurred_at),
    time: find(columns.time),
    receipt: find(columns.receipt_number),
    value: find(columns.amount ?? columns.unit_price),
    quantity: find(columns.quantity),
    sku: find(columns.sku),
    description: find(columns.description),
    category: find(columns.category),
    store: find(columns.store),
    terminal: find(columns.terminal),
    payment: find(columns.payment),
    kind: find(columns.kind),
    original: find(columns.original),
    currency: find(columns.currency),
    attributes: Object.entries(columns.attributes).map(([name, column]) => ({ name, index: find(column) })),
  }
  return { ...found, width: width() }
}

/** The names of a file's columns by its format and its first row; null where it has none. */
export function headerOf(format: FileProfile['format'], firstRow: readonly string[]): readonly string[] | null {
  if (format.kind === 'fixed') return format.fields.map(({ name }) => name)
  return format.header ? firstRow : null
}
