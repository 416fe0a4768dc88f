import { LoyaltyError } from '#streams/core/error.ts'

/**
 * Comma separated values (RFC 4180) from chunks of text. Own code, because everything else in a file's way is paid per
 * row as well: csv-parse reads the sample at 256,000 rows/s on one core, this at several times that, and a row that
 * never ends must not fill the memory. The property test holds it to csv-parse's answers.
 */

export interface CsvFormat {
  readonly delimiter: string
  /** Null: quotes are ordinary characters. */
  readonly quote: string | null
}

/** A row longer than this ends the reading: an unclosed quote, or no such file at all. */
const maxRowChars = 4 * 1024 * 1024

/** A row of more cells is refused; Excel's sheets have 16,384 columns. */
export const maxCells = 20_000

export function tooManyColumns(row: number): LoyaltyError {
  return new LoyaltyError(
    'too_many_columns',
    `row ${row} has more than ${maxCells} columns: is the delimiter another one, or the file no table?`,
    { details: { row, maxCells } },
  )
}

export class CsvReader {
  readonly #delimiter: string
  readonly #quote: string | null
  #rest = ''
  #rows = 0
  /** Where the next quote of the current text is; text.length when there is none. */
  #nextQuote = 0

  constructor(format: CsvFormat) {
    this.#delimiter = format.delimiter
    this.#quote = format.quote
  }

  /**
   * Rows completed by a chunk; empty lines are left out, and so is a byte order mark before a row, as files have that were
   * put together from several. Errors: `csv_row_too_long` (details.row, from 1, with the header), `too_many_columns`.
   */
  push(chunk: string): string[][] {
    return this.#read(this.#rest === '' ? chunk : this.#rest + chunk, false)
  }

  /** The last row, where the file does not end with a line break. Errors: `csv_unclosed_quote`. */
  end(): string[][] {
    return this.#read(this.#rest, true)
  }

  #read(text: string, last: boolean): string[][] {
    const rows: string[][] = []
    this.#nextQuote = -1
    let start = 0
    while (start < text.length) {
      if (text.charCodeAt(start) === 0xfeff) start++
      const row: string[] = []
      const next = this.#readRow(text, start, last, row)
      if (next < 0) break
      if (next - start > maxRowChars) throw this.#tooLong()
      start = next
      if (row.length > maxCells) throw tooManyColumns(this.#rows + 1)
      if (row.length === 1 && row[0] === '') continue
      this.#rows++
      rows.push(row)
    }
    this.#rest = text.slice(start)
    if (this.#rest.length > maxRowChars) throw this.#tooLong()
    return rows
  }

  /** Reads one row from `start` into `row`; where the next begins, or -1 when the text ends inside the row. */
  #readRow(text: string, start: number, last: boolean, row: string[]): number {
    let end = text.indexOf('\n', start)
    if (end < 0) {
      if (!last) return -1
      end = text.length
    }
    if (this.#quote !== null && this.#quoteFrom(text, start) < end) return this.#readQuoted(text, start, last, row)
    this.#split(text, start, end, row)
    return end + 1
  }

  #quoteFrom(text: string, start: number): number {
    if (this.#nextQuote < start) {
      const at = text.indexOf(this.#quote!, start)
      this.#nextQuote = at < 0 ? text.length : at
    }
    return this.#nextQuote
  }

  /** A row without quotes: the usual one. */
  #split(text: string, start: number, end: number, row: string[]): void {
    const stop = text.charCodeAt(end - 1) === 0x0d && end > start ? end - 1 : end
    let from = start
    for (;;) {
      const to = text.indexOf(this.#delimiter, from)
      if (to < 0 || to >= stop) break
      row.push(text.slice(from, to))
      from = to + 1
    }
    row.push(text.slice(from, stop))
  }

  #readQuoted(text: string, start: number, last: boolean, row: string[]): number {
    let at = start
    for (;;) {
      let value = ''
      if (text[at] === this.#quote) {
        const close = this.#closingQuote(text, at + 1, last)
        if (close < 0) return -1
        value = text.slice(at + 1, close).replaceAll(this.#quote! + this.#quote!, this.#quote!)
        at = close + 1
      }
      // Text after a closing quote is kept as it stands, rather than refusing the file for it.
      const stop = this.#fieldEnd(text, at)
      if (stop === text.length && !last) return -1
      const ends = stop === text.length || text[stop] === '\n'
      const tail = text.slice(at, ends && text[stop - 1] === '\r' && stop > at ? stop - 1 : stop)
      row.push(value + tail)
      if (ends) return stop + 1
      at = stop + 1
    }
  }

  #fieldEnd(text: string, from: number): number {
    for (let at = from; at < text.length; at++) {
      const char = text[at]
      if (char === '\n' || char === this.#delimiter) return at
    }
    return text.length
  }

  #closingQuote(text: string, from: number, last: boolean): number {
    const quote = this.#quote!
    for (let at = text.indexOf(quote, from); at >= 0; at = text.indexOf(quote, at + 2)) {
      // A quote at the end of a chunk may be the first half of an escaped one.
      if (at + 1 === text.length) return last ? at : -1
      if (text[at + 1] !== quote) return at
    }
    if (last)
      throw new LoyaltyError('csv_unclosed_quote', `row ${this.#rows + 1} has a quote that is never closed`, {
        details: { row: this.#rows + 1 },
      })
    return -1
  }

  #tooLong(): LoyaltyError {
    return new LoyaltyError(
      'csv_row_too_long',
      `row ${this.#rows + 1} is longer than ${maxRowChars} characters: is a quote left open, or the file no CSV?`,
      { details: { row: this.#rows + 1, maxRowChars } },
    )
  }
}
