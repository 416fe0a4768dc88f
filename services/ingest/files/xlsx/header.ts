import { LoyaltyError } from '#streams/core/error.ts'
import { type CellRange, writeCellRef } from './refs.ts'
import type { SheetRow } from './sheet.ts'

/**
 * The names of a sheet's columns where cells of its header are merged: names of several rows are joined (`Sum gross`,
 * `Sum net`), and columns that have but one name between them are numbered (`Sum 1`, `Sum 2`), so that none is taken for
 * the other.
 */

export interface SheetHeader {
  readonly names: string[]
  /** Rows from the first one on that are no data: titles and the header. */
  readonly rows: number
}

/** So many rows are looked at for a header. */
export const headRows = 12

/** False where no cell of the first rows can be merged with another: one of those is always empty. */
export function mayBeMerged([first, second]: readonly SheetRow[]): boolean {
  if (first === undefined || second === undefined) return false
  const { cells } = first
  if (cells.includes('') || cells.length < 2 || second.number !== first.number + 1) return true
  return second.cells.length !== cells.length || second.cells.includes('')
}

/** `rows` are the first `headRows` of the sheet, or all. Errors: `sheet_header_unclear` (details.merged). */
export function headerOfSheet(rows: readonly SheetRow[], merges: readonly CellRange[]): SheetHeader {
  const start = titleRows(rows, merges)
  const first = rows[start]
  if (first === undefined) return { names: [], rows: start }
  const own = merges.filter((range) => range.first.row === first.number)
  const lastNumber = Math.max(
    lastHeaderRow(first, own),
    isSecondLine(rows[start + 1], first, own) ? first.number + 1 : 0,
  )
  const headers = rows.slice(start).filter(({ number }) => number <= lastNumber)
  const inside = merges.filter((range) => range.first.row >= first.number && range.first.row <= lastNumber)
  return { names: namesOf(headers, inside), rows: start + headers.length }
}

/** Rows of nothing but one text, merged over columns: the title of a report. */
function titleRows(rows: readonly SheetRow[], merges: readonly CellRange[]): number {
  const isTitle = ({ number, cells }: SheetRow) =>
    cells.filter((cell) => cell !== '').length === 1 &&
    merges.some(({ first, last }) => first.row === number && last.column > first.column && cells[first.column] !== '')
  let count = 0
  while (count < rows.length && isTitle(rows[count]!)) count++
  return count
}

function lastHeaderRow(first: SheetRow, merges: readonly CellRange[]): number {
  const deepest = merges.reduce((deep, range) => (range.last.row > deep.last.row ? range : deep), merges[0]!)
  if (deepest === undefined) return first.number
  if (deepest.last.row < first.number + headRows - 2) return deepest.last.row
  const merged = `${writeCellRef(deepest.first)}:${writeCellRef(deepest.last)}`
  throw new LoyaltyError(
    'sheet_header_unclear',
    `the header cells ${merged} are merged over more rows than a header has; unmerge them, so that one row names the columns`,
    { details: { merged } },
  )
}

/** Names under a merged cell, and nothing beside them: a row of data has numbers, or more than that. */
function isSecondLine(row: SheetRow | undefined, first: SheetRow, merges: readonly CellRange[]): boolean {
  if (row === undefined || row.number !== first.number + 1) return false
  const isUnder = (column: number) =>
    merges.some((range) => range.last.column > range.first.column && covers(range, column))
  const isName = (cell: string) => /\p{L}/u.test(cell)
  return row.cells.some(isName) && row.cells.every((cell, column) => cell === '' || (isUnder(column) && isName(cell)))
}

function covers({ first, last }: CellRange, column: number): boolean {
  return column >= first.column && column <= last.column
}

function namesOf(rows: readonly SheetRow[], merges: readonly CellRange[]): string[] {
  const wide = merges.filter(({ first, last }) => last.column > first.column)
  const used = Math.max(...rows.map(({ cells }) => cells.length))
  const width = Math.max(used, ...wide.map(({ last }) => last.column + 1))
  const names: string[] = []
  for (let column = 0; column < width; column++) {
    const parts = rows.map(({ number, cells }) => {
      const range = wide.find(
        ({ first, last }) => number >= first.row && number <= last.row && covers({ first, last }, column),
      )
      if (range === undefined) return cells[column] ?? ''
      // The text of merged cells is that of the first one.
      return number === range.first.row ? (cells[range.first.column] ?? '') : ''
    })
    names.push(
      rows.length === 1
        ? parts[0]!
        : parts
            .map((part) => part.trim())
            .filter((part) => part !== '')
            .join(' '),
    )
  }
  for (const range of wide) numberAlike(names, range)
  while (names.at(-1) === '') names.pop()
  return names
}

/** Numbers those columns of merged cells that have one name. */
function numberAlike(names: string[], { first, last }: CellRange): void {
  const counts = new Map<string, number>()
  const own = names.slice(first.column, last.column + 1)
  for (const name of own) counts.set(name, (counts.get(name) ?? 0) + 1)
  const seen = new Map<string, number>()
  own.forEach((name, at) => {
    if (name === '' || counts.get(name) === 1) return
    const number = (seen.get(name) ?? 0) + 1
    seen.set(name, number)
    names[first.column + at] = `${name} ${number}`
  })
}
