/** How rejected rows are written for a spreadsheet, and how they are known again when they come back corrected. */

/** The columns that stand before those of the original; a file that begins with them is one that comes back. */
export const verdictColumns = [
  'loyalty_row',
  'loyalty_reason',
  'loyalty_field',
  'loyalty_value',
  'loyalty_explanation',
  'loyalty_upload',
] as const

/** True for the first row of a file of rejected rows, corrected or not. */
export function isRejectedHeader(cells: readonly string[]): boolean {
  return verdictColumns.every((name, index) => cells[index]?.trim().toLowerCase() === name)
}

/** Id of the upload that a row was rejected from, where the cell still says so; ids are UUIDs. */
export function uploadOf(cells: readonly string[]): string | null {
  const text = cells[verdictColumns.indexOf('loyalty_upload')]?.trim() ?? ''
  return /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(text) ? text.toLowerCase() : null
}

/** True for a row that was dropped since another says the same: its receipt has that other one already. */
export function wasDropped(cells: readonly string[]): boolean {
  return cells[verdictColumns.indexOf('loyalty_reason')]?.trim() === 'duplicate_row'
}

/** What a spreadsheet may take for a formula, also behind blanks, and with any number of marks before it. */
const formula = /^'*(\s*[=+\-@＝＋－＠]|[\t\r\n])/
const number = /^[+-]?[\d.,\s]+$/

/** A cell that no spreadsheet calculates; a number stays one. */
export function safeCell(text: string): string {
  return formula.test(text) && !number.test(text) ? `'${text}` : text
}

/** A cell as it was before `safeCell`. */
export function originalCell(text: string): string {
  return text.startsWith("'") && formula.test(text) ? text.slice(1) : text
}

/** A line of CSV with its line break. */
export function csvLine(cells: readonly string[], delimiter: string): string {
  return `${cells.map((cell) => quoted(cell, delimiter)).join(delimiter)}\r\n`
}

function quoted(cell: string, delimiter: string): string {
  const plain = !cell.includes(delimiter) && !/["\r\n]|^\s|\s$/.test(cell)
  return plain ? cell : `"${cell.replaceAll('"', '""')}"`
}
