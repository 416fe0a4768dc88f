import { headerOf } from '../files/columns.ts'
import { fileEmpty } from '../files/empty.ts'
import { type FileInput, readRows, unknownInput } from '../files/rows.ts'
import type { Notation } from '../files/xlsx/cells.ts'
import type { FileProfile } from '../profile.ts'
import { isNameOfClients } from './client-names.ts'
import { isDateBy, shareOfTimes } from './dates.ts'
import { isKnownName } from './names.ts'
import { looksLikeNumber } from './numbers.ts'
import { headRows, rowsAboveNames } from './titles.ts'

/** The beginning of a file, as rows of cells by a format that was found out. */
export interface Sample {
  readonly format: FileProfile['format']
  readonly input: FileInput
  /** Names of the columns as they stand in the file; null where no row has names. */
  readonly header: readonly string[] | null
  /** Rows with data, without the header. */
  readonly rows: readonly (readonly string[])[]
  /** The first rows as they stand in the file, titles and header included. */
  readonly head: readonly (readonly string[])[]
}

export const sampleRows = 1_000
/** Fewer rows are enough where they are so long. */
const sampleChars = 4 * 1024 * 1024

const open = { kind: 'csv', delimiter: 'auto', quote: '"', encoding: 'auto', header: true } as const

/**
 * Reads the first rows; of a workbook those of `sheet`, or of its first visible sheet with data. Errors: `file_empty`
 * (nothing, or nothing below the header), and those of `readRows`.
 */
export async function readSample(path: string, sheet?: string): Promise<Sample> {
  const input = unknownInput()
  const asked = sheet === undefined ? open : { ...open, sheet }
  const divided = await firstRows(path, asked, input)
  if (divided.length === 0) throw fileEmpty('nothing')
  const found = { ...asked, delimiter: input.delimiter ?? ',' }
  // In a sheet the header has been found already: rows as they stand are needed.
  const raw = input.sheet === undefined ? divided : await firstRows(path, { ...asked, header: false }, unknownInput())
  const head = raw.slice(0, headRows)
  const above = rowsAboveNames(raw)
  if (above > 0) {
    const format = { ...found, skip_rows: above }
    return sampleOf({ format, input, head }, await firstRows(path, format, unknownInput()), true)
  }
  const spaced = isDivided(divided) || input.sheet !== undefined ? null : await spacedRows(path)
  if (spaced === null) return sampleOf({ format: found, input, head }, divided, isHeader(divided))
  input.delimiter = null
  const format = { kind: 'whitespace', encoding: 'auto', header: true } as const
  return sampleOf({ format, input, head }, spaced, isHeader(spaced))
}

function sampleOf(
  { format, ...about }: Pick<Sample, 'format' | 'input' | 'head'>,
  all: readonly string[][],
  hasHeader: boolean,
): Sample {
  const header = hasHeader ? all[0]! : null
  const rows = hasHeader ? all.slice(1) : all
  if (rows.length === 0) throw fileEmpty('header')
  return { ...about, format: { ...format, header: hasHeader }, header, rows: rows.slice(0, sampleRows) }
}

/**
 * The first rows by a format that is known, without its header; with a notation as an upload reads them by the profile that
 * it is of. Errors: as those of `readSample`.
 */
export async function readSampleBy(path: string, format: FileProfile['format'], notation?: Notation): Promise<Sample> {
  const input = unknownInput()
  const all = await firstRows(path, format, input, notation)
  if (all.length === 0) throw fileEmpty('nothing')
  const rows = format.header ? all.slice(1) : all
  if (rows.length === 0) throw fileEmpty('header')
  const header = headerOf(format, all[0]!)
  return { format, input, header, rows: rows.slice(0, sampleRows), head: all.slice(0, headRows) }
}

async function firstRows(
  path: string,
  format: FileProfile['format'],
  input: FileInput,
  notation?: Notation,
): Promise<string[][]> {
  const rows: string[][] = []
  let chars = 0
  for await (const batch of readRows(path, format, { input, notation }))
    for (const row of batch) {
      rows.push(row)
      for (const cell of row) chars += cell.length
      if (rows.length > sampleRows || chars > sampleChars) return rows
    }
  return rows
}

/** True where the first row has more than one cell. */
function isDivided(rows: readonly (readonly string[])[]): boolean {
  return rows[0]!.length > 1
}

/** The file as columns between spaces, where that gives every row as many of them, three at least; else null. */
async function spacedRows(path: string): Promise<string[][] | null> {
  const rows = await firstRows(path, { kind: 'whitespace', encoding: 'auto', header: true }, unknownInput())
  const width = rows[0]?.length ?? 0
  return width >= 3 && rows.every((row) => row.length === width) ? rows : null
}

/** Names are no numbers, dates or empty cells; with names that are known one such cell may be among them. */
function isHeader(rows: readonly (readonly string[])[]): boolean {
  const [first = [], ...others] = rows
  const data = first.filter((cell) => looksLikeData(cell.trim())).length
  if (first.some((cell) => isKnownName(cell) || isNameOfClients(cell)) && data * 4 <= first.length) return true
  if (data > 0) return false
  // Texts above texts: a name does not come again below itself.
  return others.length > 0 && first.every((name, at) => name.trim() !== '' && others.every((row) => row[at] !== name))
}

function looksLikeData(cell: string): boolean {
  return (
    looksLikeNumber(cell) ||
    shareOfTimes([cell]) === 1 ||
    ['iso', 'dd.MM.yyyy[ HH:mm[:ss]]', 'd/M/yyyy[ H:mm[:ss]]', 'M/d/yyyy[ H:mm[:ss]]'].some((format) =>
      isDateBy(format, cell),
    )
  )
}
