import { isRejectedHeader, verdictColumns } from './rejected-csv.ts'

/** Where the first row of a sheet, also of rejected rows that come back, has a column; -1 where it is not there. */
export function placeOf(column: string | number, first: readonly string[]): number {
  const before = isRejectedHeader(first) ? verdictColumns.length : 0
  if (typeof column === 'number') return before + column
  return first.findIndex((name, at) => at >= before && name.trim() === column)
}
