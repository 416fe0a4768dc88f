import { open } from 'node:fs/promises'
import type { FileProfile } from '../profile.ts'
import { type Container, isZip } from './bytes.ts'
import { CsvReader } from './csv.ts'
import { delimiterOf } from './delimiter.ts'
import type { Decoding } from './encoding.ts'
import { refuseWorkbook } from './foreign.ts'
import { cutAtSpaces, cutFixed, LineReader } from './lines.ts'
import { isRejectedHeader, originalCell, uploadOf, verdictColumns, wasDropped } from './rejected-csv.ts'
import { withShownCurrency } from './shown-currency.ts'
import { readText, type TextOptions } from './text.ts'
import { withTimesApart } from './times-apart.ts'
import { type Notation, plainNotation } from './xlsx/cells.ts'
import { readWorkbook, type SheetInput } from './xlsx/read.ts'
import type { SheetRow } from './xlsx/sheet.ts'
import { openWorkbook, type Workbook } from './xlsx/workbook.ts'

/** A file as rows of cells, by the format of its profile and by what the file itself shows where that says `auto`. */

/** What a file was found to be; stored with its upload, so that nobody need guess what was guessed. */
export interface FileInput {
  container: Container
  encoding: string
  encoding_by: Decoding['by'] | 'container'
  /** Null where cells are not divided by one. */
  delimiter: string | null
  /** Of a workbook: which sheet was read, and what of it could not be. */
  sheet?: SheetInput
  /** Present where the file is one of rejected rows that has come back. */
  rejected_rows?: true
  /** Upload that they were rejected from, where the file still says so. */
  rejected_of?: string
}

/** Rows as cells of text; `numbers` where rows have numbers of their own, as those of sheets have, from 1. */
export type RowBatch = string[][] & { readonly numbers?: readonly number[] }

export interface RowsOptions extends Omit<TextOptions, 'onDecoding' | 'onContainer'> {
  /** Filled as the file is read, complete at its end. */
  readonly input?: FileInput | undefined
  /**
   * What the profile says of numbers, dates and sums: numbers and dates that a workbook has as such are written so, and
   * whoever then reads the cells by a profile must give that one here. Without it they have a point, and ISO 8601.
   */
  readonly notation?: Notation | undefined
}

type CsvFormat = Extract<FileProfile['format'], { kind: 'csv' }>

interface RowReader {
  push(chunk: string): string[][]
  end(): string[][]
}

/** What delimiter and line ends are looked for in; a first row longer than this is looked at as far as it goes. */
const sampleChars = 64 * 1024

export function unknownInput(): FileInput {
  return { container: 'none', encoding: 'utf-8', encoding_by: 'ascii', delimiter: null }
}

/**
 * Rows in file order, some at a time, the header's first where there is one; empty lines are left out. What a file is its
 * first bytes say: the rows of a workbook are those of its sheet. A file of rejected rows that has come back is read as
 * what it is, a CSV with a header, and gives rows as the original would. Errors: those of `readText` and `readWorkbook`,
 * `csv_row_too_long`, `csv_unclosed_quote`, `too_many_columns`.
 */
export async function* readRows(
  path: string,
  format: FileProfile['format'],
  { input = unknownInput(), ...options }: RowsOptions = {},
): AsyncGenerator<RowBatch> {
  const file = await open(path)
  try {
    const workbook = (await isZip(file)) ? await openWorkbook(file) : null
    if (workbook === null) {
      yield* readTextRows(path, format, { input, ...options })
      return
    }
    if (format.kind !== 'csv') throw refuseWorkbook(format.kind)
    input.container = 'xlsx'
    input.encoding_by = 'container'
    const { size: fileBytes } = await file.stat()
    const skipRows = (await comesBack(workbook, format, fileBytes)) ? 0 : format.skip_rows
    const onSheet = (sheet: SheetInput) => {
      input.sheet = sheet
    }
    const sheet = readWorkbook(workbook, { ...options, ...format, skipRows, fileBytes, onSheet })
    const { notation = plainNotation } = options
    const rows = numbered(withShownCurrency(withTimesApart(sheet, notation), notation.sums))
    const first = await rows.next()
    if (first.done) return
    // Rejected rows are mended in a spreadsheet program, which may save them as its own.
    if (isRejectedHeader(first.value[0] ?? [])) input.rejected_rows = true
    const all = startingWith(first.value, rows)
    yield* input.rejected_rows ? originalRows(all, format.header, input) : all
  } finally {
    await file.close()
  }
}

/** True for a workbook of rejected rows: nothing stands above its header, whatever stood above that of the original. */
async function comesBack(workbook: Workbook, { sheet, skip_rows }: CsvFormat, fileBytes: number): Promise<boolean> {
  if (skip_rows === undefined) return false
  for await (const [first] of readWorkbook(workbook, { sheet, header: true, fileBytes }))
    return isRejectedHeader(first?.cells ?? [])
  return false
}

async function* numbered(batches: AsyncGenerator<SheetRow[]>): AsyncGenerator<RowBatch> {
  for await (const rows of batches)
    yield Object.assign(
      rows.map(({ cells }) => cells),
      { numbers: rows.map(({ number }) => number) },
    )
}

async function* startingWith<T>(first: T, rest: AsyncGenerator<T>): AsyncGenerator<T> {
  yield first
  yield* rest
}

async function* readTextRows(
  path: string,
  format: FileProfile['format'],
  { input, ...options }: RowsOptions & { readonly input: FileInput },
): AsyncGenerator<string[][]> {
  if (await holdsRejectedRows(path)) {
    input.rejected_rows = true
    yield* originalRows(readAsItIs(path, rejectedFormat, { ...options, input }), format.header, input)
  } else yield* without(format.skip_rows ?? 0, readAsItIs(path, format, { ...options, input }))
}

/** Rows after the first `count`. */
async function* without(count: number, batches: AsyncGenerator<string[][]>): AsyncGenerator<string[][]> {
  let left = count
  for await (const batch of batches) {
    yield left === 0 ? batch : batch.slice(left)
    left -= Math.min(left, batch.length)
  }
}

const rejectedFormat = { kind: 'csv', delimiter: 'auto', quote: '"', encoding: 'auto', header: true } as const

/** A file that cannot be read so is none; why it cannot be read is told by who reads it by its profile. */
async function holdsRejectedRows(path: string): Promise<boolean> {
  try {
    for await (const [first] of readAsItIs(path, rejectedFormat, {}))
      if (first !== undefined) return isRejectedHeader(first)
  } catch {
    return false
  }
  return false
}

async function* originalRows(
  rows: AsyncGenerator<string[][]>,
  header: boolean,
  input: FileInput,
): AsyncGenerator<string[][]> {
  let begun = false
  for await (const batch of rows) {
    const upload = input.rejected_of === undefined ? batch.map(uploadOf).find((id) => id !== null) : null
    if (upload) input.rejected_of = upload
    const cells = batch
      .filter((row) => !wasDropped(row))
      .map((row) => row.slice(verdictColumns.length).map(originalCell))
    if (begun || cells.length === 0) yield cells
    else {
      begun = true
      yield header ? cells : cells.slice(1)
    }
  }
}

async function* readAsItIs(
  path: string,
  format: FileProfile['format'],
  { input = unknownInput(), ...options }: RowsOptions,
): AsyncGenerator<string[][]> {
  let reader: RowReader | null = null
  let sample = ''
  let endsWithCr = false
  const text = readText(path, format.encoding, {
    ...options,
    onContainer: (container) => {
      input.container = container
    },
    onDecoding: ({ encoding, by }) => {
      input.encoding = encoding
      input.encoding_by = by
    },
  })
  const begin = (): [RowReader, string[][]] => {
    endsWithCr = hasOnlyCr(sample)
    if (endsWithCr) sample = withLineFeeds(sample)
    const begun = readerOf(format, sample, input)
    return [begun, begun.push(sample.slice(statementOf(format, sample).length))]
  }
  for await (const chunk of text) {
    if (reader !== null) {
      yield reader.push(endsWithCr ? withLineFeeds(chunk) : chunk)
      continue
    }
    sample += chunk
    if (sample.length < sampleChars) continue
    const [begun, rows] = begin()
    reader = begun
    yield rows
  }
  if (reader === null) {
    const [begun, rows] = begin()
    reader = begun
    yield rows
  }
  yield reader.end()
}

/** Lines that end as those of old Macintosh programs do. The last character may be the first half of CR LF. */
function hasOnlyCr(sample: string): boolean {
  const first = sample.indexOf('\r')
  return first >= 0 && first < Math.max(1, sample.length - 1) && !sample.includes('\n')
}

/** A line feed of its own that follows gives an empty line, which is none. */
function withLineFeeds(text: string): string {
  return text.replaceAll('\r', '\n')
}

/** True where the delimiter is to be found in the file. */
function isOpen(format: FileProfile['format']): boolean {
  return format.kind === 'csv' && format.delimiter === 'auto'
}

/** The first line `sep=;`, by which Excel is told the delimiter; '' where there is none, or the profile knows better. */
function statementOf(format: FileProfile['format'], sample: string): string {
  return isOpen(format) ? (/^"?sep=."?\r?\n/i.exec(sample)?.[0] ?? '') : ''
}

function readerOf(format: FileProfile['format'], sample: string, input: FileInput): RowReader {
  if (format.kind === 'fixed') return new LineReader(cutFixed(format.fields))
  if (format.kind === 'whitespace') return new LineReader(cutAtSpaces)
  const { quote } = format
  const stated = statementOf(format, sample).replace('"', '')[4]
  const found = isOpen(format)
    ? (stated ?? delimiterOf(sample.slice(0, sampleChars), quote, format.skip_rows))
    : format.delimiter
  input.delimiter = found
  return new CsvReader({ delimiter: found, quote })
}
