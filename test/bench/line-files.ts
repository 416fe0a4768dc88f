import { open } from 'node:fs/promises'
import { type FileProfile, parseProfile } from '#services/ingest/profile.ts'

/** Files of receipt lines of one to four a receipt: as English tills write them, and as Russian spreadsheets do. */
export const lineFiles = {
  ascii: {
    encoding: 'latin1',
    header: 'InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Store',
    line: (i: number, client: number) =>
      `${536_365 + receiptOf(i)},S${i % 4_000},Article number ${i % 4_000},${1 + (i % 12)},${day(i)}/12/2010 ${time(i)},${price(i)}.55,${client},North`,
    format: { delimiter: ',', encoding: 'auto' },
    numbers: { decimal: '.', thousands: '' },
    dates: { formats: ['dd/MM/yyyy HH:mm'] },
  },
  windows_1251: {
    encoding: 'windows-1251',
    header: 'InvoiceNo;StockCode;Description;Quantity;InvoiceDate;UnitPrice;CustomerID;Store',
    line: (i: number, client: number) =>
      `${536_365 + receiptOf(i)};А${i % 4_000};Платье летнее ${i % 4_000};${1 + (i % 12)};${day(i)}.12.2010 ${time(i)};${price(i)},55;${client};Невский`,
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

/** Writes a file of so many lines; the receipts are those of `clients` clients. */
export async function writeLines(
  path: string,
  { encoding, header, line }: LineFile,
  lines: number,
  clients: number,
): Promise<void> {
  const file = await open(path, 'w')
  try {
    for (let from = 0; from < lines; from += linesAtOnce) {
      let text = from === 0 ? `${header}\r\n` : ''
      for (let i = from; i < Math.min(lines, from + linesAtOnce); i++)
        text += `${line(i, 17_850 + ((receiptOf(i) * 7_919) % clients))}\r\n`
      await file.write(encoded(text, encoding))
    }
  } finally {
    await file.close()
  }
}

function encoded(text: string, encoding: 'latin1' | 'windows-1251'): Buffer {
  if (encoding === 'latin1') return Buffer.from(text, encoding)
  // The letters А to я lie one behind the other in both.
  return Buffer.from(
    text.replace(/[А-я]/g, (letter) => String.fromCharCode(letter.charCodeAt(0) - 0x410 + 0xc0)),
    'latin1',
  )
}

/** Receipts of one, two, three and four lines, again and again. */
export function receiptOf(i: number): number {
  const line = i % 10
  return 4 * Math.floor(i / 10) + (line < 1 ? 0 : line < 3 ? 1 : line < 6 ? 2 : 3)
}

function day(i: number): string {
  return String(1 + ((receiptOf(i) >> 9) % 28)).padStart(2, '0')
}

function time(i: number): string {
  return `${10 + ((receiptOf(i) >> 6) % 10)}:${10 + (receiptOf(i) % 50)}`
}

function price(i: number): number {
  return 2 + (i % 97)
}
