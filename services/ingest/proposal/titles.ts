import { isNameOfClients } from './client-names.ts'
import { isKnownName } from './names.ts'

/** Rows above the names of a table's columns, as reports have: a title, a period, a shop. */

/** So far down names are looked for. */
export const headRows = 21

/** Fewer known names than that may stand in a title as well. */
const leastNames = 3

/**
 * How many rows stand above the one that names the columns; 0 where the first one may do so itself, and where no row does for
 * certain: it has names that are known, and more cells with something in them than each row above it.
 */
export function rowsAboveNames(rows: readonly (readonly string[])[]): number {
  if (namesIn(rows[0]) >= leastNames) return 0
  const at = rows.slice(0, headRows).findIndex((row) => namesIn(row) >= leastNames)
  return at > 0 && at < rows.length - 1 && standsBelowTitles(rows, at) ? at : 0
}

/** True where every row above has fewer cells with something in them. */
export function standsBelowTitles(rows: readonly (readonly string[])[], at: number): boolean {
  const filled = filledIn(rows[at] ?? [])
  return rows.slice(0, at).every((above) => filledIn(above) < filled)
}

function namesIn(row: readonly string[] = []): number {
  return row.filter((cell) => isKnownName(cell) || isNameOfClients(cell)).length
}

function filledIn(row: readonly string[]): number {
  return row.filter((cell) => cell.trim() !== '').length
}
