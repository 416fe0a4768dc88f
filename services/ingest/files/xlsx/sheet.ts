import { LoyaltyError } from '#streams/core/error.ts'
import type { CellWriter, Moment } from './cells.ts'
import { unreadable } from './faults.ts'
import { type CellFormat, plainNumber } from './number-format.ts'
import { columnIn, maxColumns, maxRows, readRange, writeCellRef } from './refs.ts'
import type { SharedStrings } from './shared-strings.ts'
import { cellTooLong, TextCollector, unescaped } from './text.ts'
import { type Attributes, maxTokenChars, type XmlHandler } from './xml.ts'

/** The rows of a sheet as they come; texts that it shares with other cells are put in afterwards. */

export interface SheetRow {
  /** As the sheet numbers it, from 1. */
  readonly number: number
  /** From column A; missing cells are ''. */
  readonly cells: string[]
  /** False as long as nothing is in it but shared texts, which may be empty. */
  hasValue: boolean
  /** By column, of numbers that are shown in a currency, or as shares of a hundred; missing where none is. */
  units?: Map<number, string>
  /** By column, what cells of dates and times say; only where somebody wants to know. */
  moments?: Map<number, Moment>
}

/** As in other files. */
const maxRowChars = 4 * 1024 * 1024
/** Rows are handed on once their texts come to so much. */
const batchChars = 8 * 1024 * 1024

export class SheetHandler implements XmlHandler {
  /** Cells that say #N/A or the like. */
  errorCells = 0
  /** Formulas that no program has computed yet. */
  formulasWithoutValue = 0
  readonly units = new CellUnits()
  /** Columns, as the sheet says itself, which need not be true; 0 where it does not. */
  width = 0
  /** Characters of all texts handed on. */
  chars = 0
  readonly #writer: CellWriter
  readonly #formats: readonly CellFormat[]
  readonly #keepsMoments: boolean
  readonly #shared = new SharedCells()
  readonly #inline = new TextCollector()
  #rows: SheetRow[] = []
  #isData = false
  #row: SheetRow | null = null
  #rowNumber = 0
  #column = -1
  #isCell = false
  #type: string | undefined
  #style: string | undefined
  #hasFormula = false
  /** What text belongs to. */
  #state: 'nothing' | 'value' | 'inline' = 'nothing'
  #value = ''

  /** `keepsMoments`: rows have the moments of their cells. */
  constructor(writer: CellWriter, formats: readonly CellFormat[], keepsMoments: boolean) {
    this.#writer = writer
    this.#formats = formats
    this.#keepsMoments = keepsMoments
  }

  /** The rows completed since, without empty ones. Errors: `sheet_row_too_long`, those of `SharedStrings.ensure`. */
  async *take(strings: SharedStrings | null): AsyncGenerator<SheetRow[]> {
    await this.#shared.ensure(strings)
    const rows = this.#rows
    this.#rows = []
    let batch: SheetRow[] = []
    let waiting = 0
    for (const row of rows) {
      if (strings !== null) this.#shared.fill(row.cells, strings)
      let chars = 0
      for (const cell of row.cells) chars += cell.length
      if (chars > maxRowChars) throw rowTooLong(row.number)
      if (chars > 0 || row.hasValue) batch.push(row)
      this.chars += chars
      waiting += chars
      if (waiting < batchChars) continue
      yield batch
      batch = []
      waiting = 0
    }
    this.#shared.forget()
    yield batch
  }

  open(name: string, attributes: Attributes): void {
    if (!this.#isData) {
      if (name === 'sheetData') this.#isData = true
      else if (name === 'dimension') this.width = (readRange(attributes.ref ?? '')?.last.column ?? -1) + 1
    } else if (name === 'c') this.#openCell(attributes)
    else if (name === 'v') this.#state = this.#isCell ? 'value' : 'nothing'
    else if (name === 'row') this.#openRow(attributes)
    else if (name === 'f') this.#hasFormula = true
    else if (this.#state === 'inline') this.#inline.open(name)
    else if (name === 'is' && this.#isCell) {
      this.#state = 'inline'
      this.#inline.begin()
    }
  }

  text(text: string): void {
    if (this.#state === 'inline') this.#inline.text(text)
    else if (this.#state === 'value') {
      this.#value = this.#value === '' ? text : this.#value + text
      if (this.#value.length > maxTokenChars) throw cellTooLong({ cell: this.#ref })
    }
  }

  close(name: string): void {
    if (!this.#isData) return
    if (name === 'v') this.#state = 'nothing'
    else if (name === 'c') this.#closeCell()
    else if (name === 'row') this.#closeRow()
    else if (name === 'sheetData') this.#isData = false
    else if (name === 'is') {
      this.#value = this.#inline.end()
      this.#state = 'nothing'
    } else if (this.#state === 'inline') this.#inline.close(name)
  }

  #openRow({ r }: Attributes): void {
    if (this.#row !== null) throw unreadable(`row ${this.#rowNumber} holds another row`)
    const number = r === undefined ? this.#rowNumber + 1 : /^\d{1,7}$/.test(r) ? Number(r) : 0
    if (number <= this.#rowNumber || number > maxRows)
      throw unreadable(`row ${r ?? number} stands after row ${this.#rowNumber}, in a sheet of at most ${maxRows}`)
    this.#rowNumber = number
    this.#column = -1
    this.#row = { number, cells: [], hasValue: false }
  }

  #closeRow(): void {
    const row = this.#row
    if (row === null) return
    this.#row = null
    if (row.cells.length > 0) this.#rows.push(row)
  }

  #openCell({ r, t, s }: Attributes): void {
    if (this.#row === null || this.#isCell) throw unreadable(`cell ${r ?? '(nameless)'} stands in no row`)
    const column = r === undefined ? this.#column + 1 : columnIn(r, this.#rowNumber)
    if (column <= this.#column || column >= maxColumns)
      throw unreadable(`cell ${r ?? '(nameless)'} stands after ${this.#ref}, or a second time`, { cell: r ?? '' })
    this.#column = column
    this.#isCell = true
    this.#type = t
    this.#style = s
    this.#hasFormula = false
    this.#value = ''
    this.#state = 'nothing'
  }

  #closeCell(): void {
    this.#isCell = false
    this.#state = 'nothing'
    const row = this.#row
    if (row === null) return
    if (this.#value === '') {
      if (this.#hasFormula && this.#type !== 'str') this.formulasWithoutValue++
      return
    }
    if (this.#type === 's') {
      this.#shared.add(put(row.cells, this.#column, ''), this.#column, this.#sharedIndex())
      return
    }
    // What no value stands for is empty, but the row is one.
    if (this.#type === 'e') this.errorCells++
    row.hasValue = true
    put(row.cells, this.#column, this.#text())
  }

  #text(): string {
    const value = this.#value
    switch (this.#type) {
      case undefined:
      case 'n': {
        const format = (this.#style === undefined ? null : this.#formats[Number(this.#style)]) ?? plainNumber
        const text = this.#writer.number(value.trim(), format)
        if (text === null) throw this.#badCell(`holds ${JSON.stringify(value.slice(0, 40))} as a number`)
        if (format.kind === 'number' && format.unit !== undefined) this.#shownIn(format.unit)
        if (this.#keepsMoments) this.#says(this.#writer.moment(value.trim(), format))
        return text
      }
      case 'str':
        return unescaped(value)
      case 'inlineStr':
        return value
      case 'e':
        return ''
      case 'b':
        if (value === '1' || value === 'true') return 'TRUE'
        if (value === '0' || value === 'false') return 'FALSE'
        throw this.#badCell('is neither true nor false')
      case 'd':
        if (this.#keepsMoments) this.#says(this.#writer.isoMoment(value))
        return this.#writer.isoDate(value)
      default:
        throw this.#badCell(`is of the type ${JSON.stringify(this.#type.slice(0, 40))}`)
    }
  }

  #shownIn(unit: string): void {
    const row = this.#row!
    row.units ??= new Map()
    row.units.set(this.#column, unit)
    this.units.add(this.#column, unit)
  }

  #says(moment: Moment | null): void {
    if (moment === null) return
    const row = this.#row!
    row.moments ??= new Map()
    row.moments.set(this.#column, moment)
  }

  #sharedIndex(): number {
    if (!/^\d{1,9}$/.test(this.#value)) throw this.#badCell('names no shared text')
    return Number(this.#value)
  }

  get #ref(): string {
    return this.#column < 0
      ? `the beginning of row ${this.#rowNumber}`
      : writeCellRef({ column: this.#column, row: this.#rowNumber })
  }

  #badCell(why: string): LoyaltyError {
    return unreadable(`cell ${this.#ref} ${why}`, { cell: this.#ref })
  }
}

/** Numbers of a column that are shown in a currency, or as shares of a hundred. */
export interface ShownUnit {
  /** From 0. */
  readonly column: number
  /** As the format of the cells writes it, such as `$`, `USD`, `%`. */
  readonly unit: string
  readonly cells: number
}

/** A sheet says few units; of one that says more nobody needs to know all. */
const maxUnits = 100

class CellUnits {
  readonly #counts = new Map<number, Map<string, number>>()

  add(column: number, unit: string): void {
    if (this.#counts.size >= maxUnits && !this.#counts.has(column)) return
    const counts = this.#counts.get(column) ?? new Map<string, number>()
    if (counts.size === 0) this.#counts.set(column, counts)
    if (counts.size < maxUnits || counts.has(unit)) counts.set(unit, (counts.get(unit) ?? 0) + 1)
  }

  list(): ShownUnit[] {
    return [...this.#counts]
      .flatMap(([column, counts]) => [...counts].map(([unit, cells]) => ({ column, unit, cells })))
      .slice(0, maxUnits)
  }
}

/** Cells whose text is still to be looked up, in the order of the sheet. */
class SharedCells {
  readonly #rows: string[][] = []
  readonly #columns: number[] = []
  readonly #indexes: number[] = []
  #next = 0
  #max = -1

  add(cells: string[], column: number, index: number): void {
    this.#rows.push(cells)
    this.#columns.push(column)
    this.#indexes.push(index)
    if (index > this.#max) this.#max = index
  }

  async ensure(strings: SharedStrings | null): Promise<void> {
    if (this.#max < 0) return
    if (strings === null) throw unreadable('cells name shared texts, and it has none')
    await strings.ensure(this.#max)
  }

  fill(cells: string[], strings: SharedStrings): void {
    for (; this.#rows[this.#next] === cells; this.#next++)
      cells[this.#columns[this.#next]!] = strings.get(this.#indexes[this.#next]!)
  }

  /** What was filled; cells of a row that is still open stay. */
  forget(): void {
    for (const list of [this.#rows, this.#columns, this.#indexes]) list.splice(0, this.#next)
    this.#next = 0
    if (this.#rows.length === 0) this.#max = -1
  }
}

function put(cells: string[], column: number, text: string): string[] {
  while (cells.length < column) cells.push('')
  cells[column] = text
  return cells
}

function rowTooLong(row: number): LoyaltyError {
  return new LoyaltyError(
    'sheet_row_too_long',
    `row ${row} of the sheet is longer than ${maxRowChars} characters: is it a table?`,
    { details: { row, maxRowChars } },
  )
}
