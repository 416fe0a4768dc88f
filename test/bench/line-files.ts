import { open } from 'node:fs/promises'
import { Weighted, zipfWeights } from '#services/cli/generator/weighted.ts'
import { type FileProfile, parseProfile } from '#services/ingest/profile.ts'

/** Files of receipt lines: as English tills write them, and as Russian spreadsheets do. */
export const lineFiles = {
  ascii: {
    encoding: 'latin1',
    header: 'InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Store',
    line: (i: number, receipt: number, client: number) =>
      `${536_365 + receipt},S${i % 4_000},Article number ${i % 4_000},${1 + (i % 12)},${day(receipt)}/12/2010 ${time(receipt)},${price(i)}.55,${client},North`,
    format: { delimiter: ',', encoding: 'auto' },
    numbers: { decimal: '.', thousands: '' },
    dates: { formats: ['dd/MM/yyyy HH:mm'] },
  },
  windows_1251: {
    encoding: 'windows-1251',
    header: 'InvoiceNo;StockCode;Description;Quantity;InvoiceDate;UnitPrice;CustomerID;Store',
    line: (i: number, receipt: number, client: number) =>
      `${536_365 + receipt};А${i % 4_000};Платье летнее ${i % 4_000};${1 + (i % 12)};${day(receipt)}.12.2010 ${time(receipt)};${price(i)},55;${client};Невский`,
    format: { delimiter: ';', encoding: 'auto' },
    numbers: { decimal: ',', thousands: ' ' },
    dates: { formats: ['dd.MM.yyyy HH:mm'] },
  },
} as const

export type LineFile = (typeof lineFiles)[keyof typeof lineFiles]

export function profileOf({ format, numbers, dates }: LineFile): FileProfile {
  return parseProfile(
    {
      name: 'lines',
      title: 'Lines of receipts',
      system: { name: 'bench', identity: ['receipt_number'] },
      grain: 'line',
      time_zone: 'Europe/Moscow',
      currency: 'RUB',
      clock: 'events',
      format: { kind: 'csv', quote: '"', header: true, ...format },
      columns: {
        receipt_number: 'InvoiceNo',
        sku: 'StockCode',
        description: 'Description',
        quantity: 'Quantity',
        occurred_at: 'InvoiceDate',
        unit_price: 'UnitPrice',
        client: 'CustomerID',
        store: 'Store',
      },
      numbers,
      dates,
      identical_rows: 'keep',
    },
    'bench',
  )
}

const linesAtOnce = 10_000

export interface LinesOptions {
  readonly lines: number
  /** The receipts are those of so many clients: shared out by Zipf's law with an exponent of 1.05, or each has as many. */
  readonly clients: number
  readonly shares?: 'zipf' | 'equal'
  readonly receiptOf?: ReceiptOf
  /** Number of the first receipt. */
  readonly firstReceipt?: number
}

/** Writes a file of receipt lines. */
export async function writeLines(
  path: string,
  { encoding, header, line }: LineFile,
  { lines, clients, shares = 'zipf', receiptOf = mixed, firstReceipt = 0 }: LinesOptions,
): Promise<void> {
  const clientOf = shares === 'zipf' ? byZipf(clients) : (receipt: number) => (receipt * 7_919) % clients
  const file = await open(path, 'w')
  try {
    for (let from = 0; from < lines; from += linesAtOnce) {
      let text = from === 0 ? `${header}\r\n` : ''
      for (let i = from; i < Math.min(lines, from + linesAtOnce); i++) {
        const receipt = firstReceipt + receiptOf(i)
        text += `${line(i, receipt, 17_850 + clientOf(receipt))}\r\n`
      }
      await file.write(encoded(text, encoding))
    }
  } finally {
    await file.close()
  }
}

/** The client of a receipt, always the same one. */
function byZipf(clients: number): (receipt: number) => number {
  const popularity = new Weighted(zipfWeights(clients, 1.05))
  return (receipt) => popularity.draw({ fraction: () => scattered(receipt) })
}

/** A number from 0 to below 1 that follows from another and looks like chance. */
function scattered(value: number): number {
  let hash = Math.imul(value ^ (value >>> 16), 0x21f0aaad)
  hash = Math.imul(hash ^ (hash >>> 15), 0x735a2d97)
  return ((hash ^ (hash >>> 15)) >>> 0) / 2 ** 32
}

function encoded(text: string, encoding: 'latin1' | 'windows-1251'): Buffer {
  if (encoding === 'latin1') return Buffer.from(text, encoding)
  // The letters А to я lie one behind the other in both.
  return Buffer.from(
    text.replace(/[А-я]/g, (letter) => String.fromCharCode(letter.charCodeAt(0) - 0x410 + 0xc0)),
    'latin1',
  )
}

/** Which receipt a line is of, from 0. */
export type ReceiptOf = (line: number) => number

/** Receipts of one, two, three and four lines, again and again. */
export const mixed: ReceiptOf = (i) => {
  const line = i % 10
  return 4 * Math.floor(i / 10) + (line < 1 ? 0 : line < 3 ? 1 : line < 6 ? 2 : 3)
}

/** Receipts of four lines. */
export const fours: ReceiptOf = (i) => Math.floor(i / 4)

function day(receipt: number): string {
  return String(1 + (Math.floor(receipt / 40_000) % 28)).padStart(2, '0')
}

function time(receipt: number): string {
  return `${10 + ((receipt >> 6) % 10)}:${10 + (receipt % 50)}`
}

function price(i: number): number {
  return 2 + (i % 97)
}
