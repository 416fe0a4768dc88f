import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { findColumns } from '#services/ingest/files/columns.ts'
import { readRows } from '#services/ingest/files/rows.ts'
import { loadProfile } from '#services/ingest/profile.ts'
import { RowMapper } from '#services/ingest/receipts/map-row.ts'
import { bigXlsx, type Cell, formatted } from '../services/ingest/support/xlsx.ts'
import { type Bench, perSecond } from './bench.ts'

const rows = 300_000
const header = [
  'InvoiceNo',
  'StockCode',
  'Description',
  'Quantity',
  'InvoiceDate',
  'UnitPrice',
  'CustomerID',
  'Country',
]

/** A sheet of receipt lines: unpacked, parsed, and every row mapped to its verdict. */
export const workbookBench: Bench = {
  name: 'workbook',
  about: 'rows/s of a workbook of 300,000 receipt lines, read and mapped, per core; peak memory',
  async run({ dir, say }) {
    const path = join(dir.path, 'lines.xlsx')
    await writeFile(path, await bigXlsx(lines(), ['dd/mm/yyyy hh:mm']))
    const profile = loadProfile('online-retail')
    // All threads of the process: unpacking is the work of another one.
    const start = process.cpuUsage()
    let mapper: RowMapper | null = null
    let read = 0
    let peak = 0
    for await (const batch of readRows(path, profile.format, { notation: profile })) {
      for (const cells of batch)
        if (mapper === null) mapper = new RowMapper(profile, findColumns(profile, cells))
        else if (mapper.map(cells, ++read) !== null) throw new Error(`row ${read} was rejected`)
      if (read % 16 === 0) peak = Math.max(peak, process.memoryUsage.rss())
    }
    const { user, system } = process.cpuUsage(start)
    const figures = { rows: read, rows_per_second: perSecond(read, (user + system) / 1_000) }
    say(`${figures.rows_per_second} rows/s`)
    return { ...figures, peak_rss_mib: Math.round(peak / 1_048_576) }
  },
}

function* lines(): Generator<Cell[]> {
  yield header
  for (let i = 0; i < rows; i++) {
    const article = i % 4_000
    const day = formatted(40_513.351_388_888_89 + (i >> 2) / 1_440, 1)
    yield [
      536_365 + (i >> 2),
      `S${article}`,
      `Article number ${article}`,
      1 + (i % 12),
      day,
      2.55,
      17_850 + article,
      'UK',
    ]
  }
}
