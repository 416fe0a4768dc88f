import { createReadStream } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createGunzip } from 'node:zlib'
import { parse } from 'csv-parse'
import { encoded } from './bytes.ts'
import { bigXlsx, type Cell, formatted } from './xlsx.ts'

/** The retail sample as other programs would export it; its rows are read by csv-parse, not by the product. */

export const samplePath = join(import.meta.dirname, '../../../../samples/online_retail.csv.gz')

type Row = [
  invoice: string,
  stockCode: string,
  description: string,
  quantity: string,
  date: string,
  price: string,
  client: string,
  country: string,
]

async function* sampleRows(): AsyncGenerator<Row> {
  yield* createReadStream(samplePath).pipe(createGunzip()).pipe(parse()) as AsyncIterable<Row>
}

/**
 * As a Russian spreadsheet saves it: Windows-1251, semicolons, decimal commas, dd.mm.yyyy. That encoding has no pound sign;
 * the 32 rows that have one name no client, so that nothing of them is taken in.
 */
export async function writeRussianSample(path: string): Promise<void> {
  const lines: string[] = []
  for await (const [invoice, stockCode, description, quantity, date, price, client, country] of sampleRows()) {
    const isHeader = lines.length === 0
    const written = date.replace(/^(\d{4})-(\d\d)-(\d\d) (\d\d:\d\d):00$/, '$3.$2.$1 $4')
    const numbers = [price, client].map((number) => (isHeader ? number : number.replace('.', ',')))
    const cells = [invoice, stockCode, description.replace('£', 'фунтов '), quantity, written, ...numbers, country]
    lines.push(cells.map((cell) => (/[;"\n]/.test(cell) ? `"${cell.replaceAll('"', '""')}"` : cell)).join(';'))
  }
  await writeFile(path, encoded(`${lines.join('\r\n')}\r\n`, 'windows-1251'))
}

/** As a workbook: numbers and dates are such, numbers with letters are texts. */
export async function writeWorkbookSample(path: string): Promise<void> {
  await writeFile(path, await bigXlsx(cellsOfSample(), ['dd/mm/yyyy\\ hh:mm']))
}

async function* cellsOfSample(): AsyncGenerator<Cell[]> {
  let isHeader = true
  for await (const row of sampleRows()) {
    const [invoice, stockCode, description, quantity, date, price, client, country] = row
    const cells = [numberOf(invoice), numberOf(stockCode), description, Number(quantity), dateOf(date), Number(price)]
    yield isHeader ? row : [...cells, client === '' ? null : Number(client), country]
    isHeader = false
  }
}

function numberOf(text: string): Cell {
  return /^[1-9]\d{0,9}$/.test(text) ? Number(text) : text
}

/** Days since the day before 1900, as spreadsheets count them. */
function dateOf(date: string): Cell {
  const days = (Date.parse(`${date.replace(' ', 'T')}Z`) - Date.UTC(1899, 11, 30)) / 86_400_000
  return formatted(days, 1)
}
