import { CsvReader } from './csv.ts'

const candidates = [',', ';', '\t', '|'] as const

/** Rows that are looked at. */
const sampleRows = 100

/**
 * The delimiter of the first rows of a text: the one by which most rows have as many cells as the first, and the more
 * cells the better. A comma where none divides the first row: a file of one column.
 */
export function delimiterOf(text: string, quote: string | null): string {
  let best = { delimiter: ',', share: 0, cells: 1 }
  for (const delimiter of candidates) {
    const rows = rowsOf(text, delimiter, quote)
    const cells = rows[0]?.length ?? 0
    if (cells < 2) continue
    const share = rows.filter((row) => row.length === cells).length / rows.length
    const isBetter = share === best.share ? cells > best.cells : share > best.share
    if (isBetter) best = { delimiter, share, cells }
  }
  return best.delimiter
}

function rowsOf(text: string, delimiter: string, quote: string | null): string[][] {
  const reader = new CsvReader({ delimiter, quote })
  try {
    const rows = reader.push(text)
    return (rows.length > 0 ? rows : reader.end()).slice(0, sampleRows)
  } catch {
    // By this delimiter it is no CSV.
    return []
  }
}
