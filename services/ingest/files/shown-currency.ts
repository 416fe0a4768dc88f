import { isUnitOf } from '../parse/currency.ts'
import { isRejectedHeader, verdictColumns } from './rejected-csv.ts'
import type { Notation } from './xlsx/cells.ts'
import type { SheetRow } from './xlsx/sheet.ts'

/**
 * Rows whose sums have their currency behind them where a workbook shows another than the profile's: `5 $`. So none is taken
 * for a sum by whoever reads the text, also when it comes back among rejected rows.
 */
export async function* withShownCurrency(
  batches: AsyncIterable<SheetRow[]>,
  sums: Notation['sums'],
): AsyncGenerator<SheetRow[]> {
  let column = -1
  let begun = false
  const isOther = sums === undefined ? () => false : otherThan(sums.currency)
  for await (const rows of batches) {
    if (!begun && sums !== undefined && rows.length > 0) {
      column = placeOf(sums.column, rows[0]!.cells)
      begun = true
    }
    for (const { cells, units } of rows) {
      const unit = units?.get(column)
      if (unit !== undefined && isOther(unit)) cells[column] = `${cells[column]} ${unit}`
    }
    yield rows
  }
}

/** Files of few units ask again and again. */
function otherThan(currency: string): (unit: string) => boolean {
  const known = new Map<string, boolean>()
  return (unit) => {
    const found = known.get(unit) ?? (unit !== '%' && !isUnitOf(unit, currency))
    known.set(unit, found)
    return found
  }
}

/** The place of a column by the first row; -1 where it is not there. */
function placeOf(column: string | number, first: readonly string[]): number {
  const before = isRejectedHeader(first) ? verdictColumns.length : 0
  if (typeof column === 'number') return before + column
  return first.findIndex((name, at) => at >= before && name.trim() === column)
}
