/** References to cells, such as B12: the column's letters and the row's number. */

/** The size of a sheet: its last cell is XFD1048576. */
export const maxRows = 1_048_576
export const maxColumns = 16_384

export interface CellRef {
  /** From 0. */
  readonly column: number
  /** From 1. */
  readonly row: number
}

export interface CellRange {
  readonly first: CellRef
  readonly last: CellRef
}

/** Null where the text is no reference, or one beyond the end of a sheet. */
export function readCellRef(text: string): CellRef | null {
  const match = /^([A-Z]{1,3})([1-9]\d{0,6})$/.exec(text)
  if (match === null) return null
  let column = 0
  for (const letter of match[1]!) column = column * 26 + letter.charCodeAt(0) - 0x40
  const row = Number(match[2])
  return column > maxColumns || row > maxRows ? null : { column: column - 1, row }
}

export function readRange(text: string): CellRange | null {
  const [from = '', to = from] = text.split(':')
  const first = readCellRef(from)
  const last = readCellRef(to)
  return first === null || last === null ? null : { first, last }
}

export function writeCellRef({ column, row }: CellRef): string {
  let letters = ''
  for (let rest = column + 1; rest > 0; rest = Math.floor((rest - 1) / 26))
    letters = String.fromCharCode(0x41 + ((rest - 1) % 26)) + letters
  return `${letters}${row}`
}

/**
 * The column of a reference to a cell of a row; -1 where it is none of that row. Without a pattern, because it is asked
 * for every cell of a sheet.
 */
export function columnIn(text: string, row: number): number {
  let column = 0
  let at = 0
  for (; at < 3; at++) {
    const letter = text.charCodeAt(at) - 0x40
    if (!(letter >= 1 && letter <= 26)) break
    column = column * 26 + letter
  }
  let number = 0
  const digits = at
  for (; at < text.length; at++) {
    const digit = text.charCodeAt(at) - 0x30
    if (!(digit >= 0 && digit <= 9)) return -1
    number = number * 10 + digit
  }
  return column > maxColumns || digits === text.length || number !== row ? -1 : column - 1
}
