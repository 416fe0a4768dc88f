import type { NumberFormat } from '../parse/decimal.ts'
import { type DatesFound, datesOf, shareOfSerials, shareOfTimes } from './dates.ts'
import { looksLikeNumber, numbersBy, shareOfNumbers } from './numbers.ts'
import type { Sample } from './sample.ts'

/** One column of the sample and what its values are. */
export interface ColumnSeen {
  readonly index: number
  /** As it stands in the file, or `column 3` where the file has no names. */
  readonly name: string
  /** How a profile names it: by the header where that name stands there once, else by its index. */
  readonly reference: string | number
  /** Trimmed, in file order, '' where the cell is empty or missing. */
  readonly cells: readonly string[]
  /** Cells that are not empty. */
  readonly values: readonly string[]
  readonly distinct: ReadonlySet<string>
  /** Share of values that look like numbers, 0 to 1. */
  readonly numbers: number
  readonly dates: DatesFound | null
  readonly times: number
  readonly serials: number
}

export function columnsOf({ header, rows }: Sample): ColumnSeen[] {
  const width = header?.length ?? Math.max(...rows.map((row) => row.length))
  const names = header?.map((name) => name.trim()) ?? null
  return Array.from({ length: width }, (_, index) => {
    const name = names?.[index] ?? ''
    const cells = rows.map((row) => row[index]?.trim() ?? '')
    const values = cells.filter((cell) => cell !== '')
    const isUnique = name !== '' && names!.indexOf(name) === names!.lastIndexOf(name)
    return {
      index,
      name: name === '' ? `column ${index + 1}` : name,
      reference: isUnique ? name : index,
      cells,
      values,
      distinct: new Set(values),
      numbers: values.length === 0 ? 0 : values.filter(looksLikeNumber).length / values.length,
      dates: datesOf(values),
      times: shareOfTimes(values),
      serials: shareOfSerials(values),
    }
  })
}

/** The numbers of a column by a format, NaN where a cell has none. */
export function numbersIn(column: ColumnSeen, format: NumberFormat): number[] {
  return numbersBy(column.cells, format)
}

export function shareByFormat(column: ColumnSeen, format: NumberFormat): number {
  return shareOfNumbers(column.values, format)
}
