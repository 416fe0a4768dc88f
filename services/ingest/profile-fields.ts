import type { Notation } from './files/xlsx/cells.ts'
import type { FileProfile } from './profile.ts'

/** What reading takes of a profile besides its values; without the schema, which a thread that only reads need not load. */

/** Columns of a row that may be missing by policy; what identifies or values a receipt may not. */
export const optionalFields = ['sku', 'description', 'category', 'store', 'terminal', 'payment'] as const

/** What typed values of a workbook are written by. */
export function notationOf({ numbers, dates, columns, currency }: FileProfile): Notation {
  const column = columns.amount ?? columns.unit_price
  const { occurred_at: day, time } = columns
  return {
    ...{ numbers, dates },
    ...(column === undefined ? {} : { sums: { column, currency } }),
    ...(time === undefined ? {} : { apart: { day, time } }),
  }
}
