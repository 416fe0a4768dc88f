import { isUnitOf } from '../parse/currency.ts'
import { placeOf } from './sheet-column.ts'
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
