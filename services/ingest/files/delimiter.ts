import { hasCode } from '#streams/core/error.ts'
import { CsvReader } from './csv.ts'

const candidates = [',', ';', '\t', '|'] as const

/** Rows that are looked at. */
const sampleRows = 100

interface Found {
  readonly delimiter: string
  /** Of the rows that have so many cells. */
  readonly share: number
  readonly cells: number
}

/**
 * The delimiter of the first rows of a text: the one by which most rows have as many cells as the first, and the more
 * cells the better; where titles stand above the table, by which most have as many as each other. A comma where none
 * divides them: a file of one column. `skipRows` are not looked at. Errors: `too_many_columns`.
 */
export function delimiterOf(text: string, quote: string | null, skipRows = 0): string {
  const refused: unknown[] = []
  const samples = candidates.map((delimiter) => ({
    delimiter,
    rows: rowsOf(text, delimiter, quote, (error) => refused.push(error)).slice(skipRows),
  }))
  const byFirst = bestOf(samples.map(({ delimiter, rows }) => foundOf(delimiter, rows, rows[0]?.length ?? 0)))
  if (byFirst !== null && byFirst.share >= 0.9) return byFirst.delimiter
  const byMost = bestOf(samples.map(({ delimiter, rows }) => foundOf(delimiter, rows, usualCells(rows))))
  const isTable = byMost !== null && byMost.share >= 0.5 && (byFirst === null || isBetter(byMost, byFirst))
  const found = isTable ? byMost : byFirst
  const tooMany = refused.find((error) => hasCode(error, 'too_many_columns'))
  if (found === null && tooMany !== undefined) throw tooMany
  return found?.delimiter ?? ','
}

function foundOf(delimiter: string, rows: readonly (readonly string[])[], cells: number): Found {
  const share = rows.length === 0 ? 0 : rows.filter((row) => row.length === cells).length / rows.length
  return { delimiter, share, cells }
}

/** Null where none divides anything. */
function bestOf(found: readonly Found[]): Found | null {
  let best: Found | null = null
  for (const each of found) {
    if (each.cells >= 2 && (best === null || isBetter(each, best))) best = each
  }
  return best
}

function isBetter(one: Found, other: Found): boolean {
  return one.share === other.share ? one.cells > other.cells : one.share > other.share
}

/** So many cells most rows have. */
function usualCells(rows: readonly (readonly string[])[]): number {
  const counts = new Map<number, number>()
  for (const { length } of rows) counts.set(length, (counts.get(length) ?? 0) + 1)
  return [...counts].reduce((most, each) => (each[1] > most[1] ? each : most), [0, 0])[0]
}

function rowsOf(text: string, delimiter: string, quote: string | null, refuse: (error: unknown) => void): string[][] {
  const reader = new CsvReader({ delimiter, quote })
  try {
    const rows = reader.push(text)
    return (rows.length > 0 ? rows : reader.end()).slice(0, sampleRows)
  } catch (error) {
    // By this delimiter it is no CSV.
    refuse(error)
    return []
  }
}
