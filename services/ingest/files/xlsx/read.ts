import { type BytesOptions, checkExpansion, expansionLimits } from '../bytes.ts'
import { CellWriter, type Notation, plainNotation } from './cells.ts'
import { headerOfSheet, headRows, mayBeMerged } from './header.ts'
import { readMerges } from './merges.ts'
import { SharedStrings } from './shared-strings.ts'
import { SheetHandler, type SheetRow, type ShownUnit } from './sheet.ts'
import { type Sheet, sheetsToRead, type Workbook } from './workbook.ts'
import { XmlReader } from './xml.ts'

/** A workbook as rows of text. */

/** What was read of a workbook. */
export interface SheetInput {
  name: string
  /** Names of the other visible sheets, which were not read. */
  others: string[]
  /** Cells that say #N/A or the like, read as empty. */
  error_cells: number
  /** Formulas that were never computed, read as empty. */
  formulas_without_value: number
  /** Numbers that their cells show in a currency or in hundredths; missing where none are. */
  units?: ShownUnit[]
}

export interface SheetOptions extends BytesOptions {
  /** Name of the sheet; the first visible one with data where it is not given. */
  readonly sheet?: string | undefined
  /** True where the first row has the names of the columns. */
  readonly header: boolean
  /** Rows above the header, or above the data, that are left out; rows without any value do not count. */
  readonly skipRows?: number | undefined
  /** How typed cells are written; numbers with a point and dates in ISO 8601 where it is not given. */
  readonly notation?: Notation | undefined
  /** Size of the whole file, for `onBytes`. */
  readonly fileBytes: number
  /** Hears of the sheet, filled as it is read, once it has a row. */
  readonly onSheet?: ((sheet: SheetInput) => void) | undefined
}

/**
 * XML is parsed in such pieces, and the rows of each are handed on: a row of 16,384 columns may be a dozen characters
 * long, so the more text at once, the more memory.
 */
const pieceBytes = 16 * 1024

/**
 * Rows with their numbers in the sheet, some at a time, the header's first where there is one; rows without any value are
 * left out, and short ones are filled up. Errors: `sheet_missing`, `sheet_header_unclear`, `workbook_unreadable`,
 * `workbook_texts_too_large`, `cell_too_long`, `sheet_row_too_long`, and those of `readZipEntry`.
 */
export async function* readWorkbook(workbook: Workbook, options: SheetOptions): AsyncGenerator<SheetRow[]> {
  const candidates = sheetsToRead(workbook, options.sheet)
  const texts =
    workbook.texts === null ? null : new SharedStrings(workbook.texts, workbook.office.read(workbook.texts, options))
  try {
    for (const sheet of candidates) {
      const reading = new SheetReading(workbook, sheet, texts, options)
      yield* reading.rows()
      if (reading.input !== null) return
    }
  } finally {
    await texts?.close()
  }
}

class SheetReading {
  /** Null as long as no row was found. */
  input: SheetInput | null = null
  readonly #workbook: Workbook
  readonly #sheet: Sheet
  readonly #texts: SharedStrings | null
  readonly #options: SheetOptions
  readonly #handler: SheetHandler
  readonly #xml: XmlReader
  #width = 0
  /** Cells handed on, empty ones included. */
  #cells = 0

  constructor(workbook: Workbook, sheet: Sheet, texts: SharedStrings | null, options: SheetOptions) {
    this.#workbook = workbook
    this.#sheet = sheet
    this.#texts = texts
    this.#options = options
    const notation = options.notation ?? plainNotation
    const writer = new CellWriter(notation, workbook.is1904)
    this.#handler = new SheetHandler(writer, workbook.formats, notation.apart !== undefined)
    this.#xml = new XmlReader(sheet.part, this.#handler)
  }

  async *rows(): AsyncGenerator<SheetRow[]> {
    /** The first rows, until they are enough to find the header in. */
    let head: SheetRow[] | null = []
    let skip = this.#options.skipRows ?? 0
    for await (const read of this.#batches()) {
      this.#tell()
      const batch = skip === 0 ? read : read.slice(skip)
      skip -= Math.min(skip, read.length)
      if (head === null) {
        yield this.#filled(batch)
        continue
      }
      head.push(...batch)
      if (head.length < headRows) continue
      yield this.#filled(await this.#withHeader(head))
      head = null
    }
    if (head !== null && head.length > 0) yield this.#filled(await this.#withHeader(head))
  }

  async *#batches(): AsyncGenerator<SheetRow[]> {
    const { onBytes, limits = expansionLimits, fileBytes } = this.#options
    const { office } = this.#workbook
    const packed = office.packedBytesOf(this.#sheet.part)
    const tell = (bytes: number) => onBytes?.(fileBytes - packed + bytes)
    for await (const chunk of office.read(this.#sheet.part, { limits, onBytes: tell }))
      for (let at = 0; at < chunk.length; at += pieceBytes) {
        this.#xml.push(chunk.subarray(at, at + pieceBytes))
        for await (const rows of this.#handler.take(this.#texts)) if (rows.length > 0) yield rows
      }
    this.#xml.end()
  }

  /** The first rows, with one row of names in place of title and header. */
  async #withHeader(rows: SheetRow[]): Promise<SheetRow[]> {
    if (!this.#options.header) return rows
    const isPlain = !mayBeMerged(rows)
    const header = headerOfSheet(rows, isPlain ? [] : await this.#merges(rows))
    const last = rows[header.rows - 1] ?? rows[0]!
    this.#width = header.names.length
    return [{ number: last.number, cells: header.names, hasValue: true }, ...rows.slice(header.rows)]
  }

  #merges(rows: readonly SheetRow[]) {
    return readMerges(this.#workbook.office, this.#sheet.part, {
      prefix: this.#xml.prefix,
      lastRow: rows.at(-1)!.number,
      limits: this.#options.limits,
    })
  }

  /** Programs leave out empty cells at the end of a row; a row of a table is as wide as the table. */
  #filled(rows: SheetRow[]): SheetRow[] {
    if (!this.#options.header) {
      this.#width = Math.max(this.#width, this.#handler.width)
      for (const { cells } of rows) this.#width = Math.max(this.#width, cells.length)
    }
    for (const { cells } of rows) {
      while (cells.length < this.#width) cells.push('')
      this.#cells += cells.length
    }
    // One text that many cells share unpacks as a bomb does, and so do rows of one cell in the last column.
    checkExpansion(this.#handler.chars + this.#cells, this.#options.fileBytes, this.#options.limits ?? expansionLimits)
    return rows
  }

  #tell(): void {
    const { name } = this.#sheet
    if (this.input === null) {
      const others = this.#workbook.sheets.filter((sheet) => sheet.visible && sheet !== this.#sheet)
      this.input = { name, others: others.map((sheet) => sheet.name), error_cells: 0, formulas_without_value: 0 }
      this.#options.onSheet?.(this.input)
    }
    this.input.error_cells = this.#handler.errorCells
    this.input.formulas_without_value = this.#handler.formulasWithoutValue
    const units = this.#handler.units.list()
    if (units.length > 0) this.input.units = units
  }
}
