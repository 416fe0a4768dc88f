import { open } from 'node:fs/promises'
import { join } from 'node:path'
import { previewFile } from '#services/ingest/preview.ts'
import { parseAnyProfile } from '#services/ingest/profile.ts'
import type { ProfileBook } from '#services/ingest/profile-book.ts'
import { type Bench, type Figures, perSecond } from './bench.ts'

const lines = 600_000
const linesAtOnce = 10_000

/** Two files of receipt lines of up to four a receipt: as English tills write them, and as Russian spreadsheets do. */
const files = {
  ascii: {
    encoding: 'latin1',
    header: 'InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Store',
    line: (i: number) =>
      `${536_365 + receiptOf(i)},S${i % 4_000},Article number ${i % 4_000},${1 + (i % 12)},${day(i)}/12/2010 ${time(i)},${price(i)}.55,${client(i)},North`,
    format: { delimiter: ',', encoding: 'auto' },
    numbers: { decimal: '.', thousands: '' },
    dates: { formats: ['dd/MM/yyyy HH:mm'] },
  },
  windows_1251: {
    encoding: 'windows-1251',
    header: 'InvoiceNo;StockCode;Description;Quantity;InvoiceDate;UnitPrice;CustomerID;Store',
    line: (i: number) =>
      `${536_365 + receiptOf(i)};А${i % 4_000};Платье летнее ${i % 4_000};${1 + (i % 12)};${day(i)}.12.2010 ${time(i)};${price(i)},55;${client(i)};Невский`,
    format: { delimiter: ';', encoding: 'auto' },
    numbers: { decimal: ',', thousands: ' ' },
    dates: { formats: ['dd.MM.yyyy HH:mm'] },
  },
} as const

/** Both passes of an upload over CSV files of receipt lines, without publishing. */
export const dryRunBench: Bench = {
  name: 'dry-run',
  about: `lines/s of dry runs over files of ${lines.toLocaleString('en')} receipt lines, per core; peak memory`,
  async run({ dir, say }) {
    const figures: Record<string, Figures[string]> = {}
    for (const [name, file] of Object.entries(files)) {
      const path = join(dir.path, `${name}.csv`)
      await writeLines(path, file)
      // All threads of the process count.
      const start = process.cpuUsage()
      const { totals } = await previewFile(
        { profiles: notAsked, context: notAsked.all },
        path,
        { profile: JSON.stringify(profileOf(file)) },
        { directory: join(dir.path, 'dry-run') },
      )
      const { user, system } = process.cpuUsage(start)
      if (totals?.rows.accepted !== lines) throw new Error(`of ${name}, not every line was accepted`)
      figures[`${name}_lines_per_second`] = perSecond(lines, (user + system) / 1_000)
      say(`${name}: ${figures[`${name}_lines_per_second`]} lines/s`)
    }
    return { ...figures, peak_rss_mib: Math.round(process.resourceUsage().maxRSS / 1_024) }
  },
}

/** Files are read by a profile that is given whole. */
const notAsked = {
  all: () => Promise.reject(new Error('the profile is given')),
} as unknown as ProfileBook & { readonly all: () => Promise<never> }

function profileOf({ format, numbers, dates }: (typeof files)[keyof typeof files]) {
  return parseAnyProfile(
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

async function writeLines(path: string, { encoding, header, line }: (typeof files)[keyof typeof files]): Promise<void> {
  const file = await open(path, 'w')
  try {
    for (let from = 0; from < lines; from += linesAtOnce) {
      const some = Array.from({ length: linesAtOnce }, (_, i) => `${line(from + i)}\r\n`)
      await file.write(encoded(`${from === 0 ? `${header}\r\n` : ''}${some.join('')}`, encoding))
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

function receiptOf(i: number): number {
  return ((i * 2) / 5) | 0
}

function client(i: number): number {
  return 17_850 + ((receiptOf(i) * 7_919) % 50_000)
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
