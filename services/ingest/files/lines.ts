import { LoyaltyError } from '#streams/core/error.ts'
import { maxCells, tooManyColumns } from './csv.ts'

/** Rows of files without delimiter: cut at fixed places, or where there are spaces. */

/** Place of a column in a line: characters from `from`, counted from 0, `width` of them. */
export interface FixedField {
  readonly name: string
  readonly from: number
  readonly width: number
}

const maxLineChars = 1024 * 1024

/** Reads lines and cuts each; empty ones, and ones of nothing but spaces, are left out. */
export class LineReader {
  readonly #cut: (line: string) => string[]
  #rest = ''
  #lines = 0

  constructor(cut: (line: string) => string[]) {
    this.#cut = cut
  }

  /** Rows completed by a chunk. Errors: `csv_row_too_long` (details.row), `too_many_columns`. */
  push(chunk: string): string[][] {
    const text = this.#rest === '' ? chunk : this.#rest + chunk
    const end = text.lastIndexOf('\n') + 1
    this.#rest = text.slice(end)
    if (this.#rest.length > maxLineChars) throw this.#tooLong()
    return this.#read(text.slice(0, end))
  }

  /** The last row, where the file does not end with a line break. */
  end(): string[][] {
    return this.#read(this.#rest)
  }

  #read(text: string): string[][] {
    const rows: string[][] = []
    for (const line of text.split('\n')) {
      this.#lines++
      if (line.length > maxLineChars) throw this.#tooLong()
      if (line.trim() === '') continue
      const row = this.#cut(line)
      if (row.length > maxCells) throw tooManyColumns(this.#lines)
      rows.push(row)
    }
    // What follows the last line break is the next line's beginning, or nothing.
    this.#lines--
    return rows
  }

  #tooLong(): LoyaltyError {
    const row = this.#lines + 1
    return new LoyaltyError(
      'csv_row_too_long',
      `line ${row} is longer than ${maxLineChars} characters: is it a table?`,
      {
        details: { row, maxRowChars: maxLineChars },
      },
    )
  }
}

/** A line that ends before a field begins has no cell for it, so that it is told from an empty one. */
export function cutFixed(fields: readonly FixedField[]): (line: string) => string[] {
  return (line) => {
    const text = line.charCodeAt(line.length - 1) === 0x0d ? line.slice(0, -1) : line
    const start = text.charCodeAt(0) === 0xfeff ? 1 : 0
    const cells: string[] = []
    for (const { from, width } of fields) {
      if (start + from >= text.length) break
      cells.push(text.slice(start + from, start + from + width).trim())
    }
    return cells
  }
}

export function cutAtSpaces(line: string): string[] {
  return line.trim().split(/\s+/)
}
