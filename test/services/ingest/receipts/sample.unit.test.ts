import { createHash } from 'node:crypto'
import { createReadStream, createWriteStream } from 'node:fs'
import { readFile, writeFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { createGunzip, gunzipSync } from 'node:zlib'
import { parse } from 'csv-parse'
import { beforeAll, describe, expect, test } from 'vitest'
import { loadProfile, ofTransactions } from '#services/ingest/profile.ts'
import { ProfileBook } from '#services/ingest/profile-book.ts'
import type { ProposalContext } from '#services/ingest/proposal/proposal.ts'
import { proposeProfile } from '#services/ingest/proposal/propose.ts'
import { tempDir } from '../../../support/temp-dir.ts'
import { encoded } from '../support/bytes.ts'
import { type Prepared, prepareFile } from '../support/prepare.ts'
import { bigXlsx, type Cell, formatted } from '../support/xlsx.ts'

const sample = resolve(import.meta.dirname, '../../../../samples/online_retail.csv.gz')

/** The figures were computed from the file by another program, in exact fractions. */
describe('the complete Online Retail file', () => {
  let prepared: Prepared
  let seconds = 0

  beforeAll(async () => {
    // Of the processor: other files are tested at the same time.
    const start = process.cpuUsage()
    prepared = await prepareFile(sample, loadProfile('online-retail'))
    const { user, system } = process.cpuUsage(start)
    seconds = (user + system) / 1_000_000
  }, 60_000)

  test('every line has a verdict', () => {
    expect(prepared.events.rows).toBe(541_909)
    expect(prepared.events.tally).toEqual({
      acceptedRows: 406_822,
      rejectedRows: 135_087,
      rejected: { missing_client: 135_080, zero_amount: 4 },
    })
  })

  test('receipts, clients and sums are those of the file', () => {
    expect(prepared.events.receipts).toEqual({
      receipts: 22_186,
      sales: 18_532,
      refunds: 3_654,
      voids: 0,
      clients: 4_371,
      grossMinor: 891_140_790,
      refundedMinor: 61_134_209,
    })
  })

  test('by the usual rule 19 receipts are flagged, and taken in with the others', () => {
    const { outliers, references } = prepared.events
    expect(outliers).toMatchObject({ flagged: 19, mads: 100, max_minor: null })
    // By sorting all amounts: median 247.77, deviation 158.32.
    expect(outliers.median_minor! / 24_777).toBeCloseTo(1, 2)
    expect(outliers.mad_minor! / 15_832).toBeCloseTo(1, 1)
    expect(references).toBe(0)
  })

  test.each([
    ['14911', 201, 14_382_506],
    ['17850', 34, 539_121],
    ['12346', 1, 7_718_360],
    ['16446', 2, 16_847_250],
  ])('client %s has %i sales of %i', (client, sales, gross) => {
    const own = prepared.published.filter((event) => event.client_id === client && event.kind === 'SALE')
    expect(own).toHaveLength(sales)
    expect(own.reduce((sum, event) => sum + event.amount_minor, 0)).toBe(gross)
  })

  test('what client 12346 bought was given back whole', () => {
    const refunds = prepared.published.filter((event) => event.client_id === '12346' && event.kind === 'REFUND')
    expect(refunds.map((event) => event.amount_minor)).toEqual([7_718_360])
  })

  test('events are in the order of the file, each id once, times in London', () => {
    const ids = prepared.published.map((event) => event.transaction_id)
    expect(new Set(ids).size).toBe(ids.length)
    expect(ids.slice(0, 2)).toEqual(['online-retail:r=536365', 'online-retail:r=536366'])
    const last = prepared.published.at(-1)!
    expect(new Date(last.occurred_at).toISOString()).toBe('2011-12-09T12:50:00.000Z')
    expect(prepared.published[0]).toMatchObject({ attributes: { country: 'United Kingdom' }, items_count: 40 })
  })

  test('in Windows-1251 with semicolons, decimal commas and Russian dates it is known, and has the same receipts', {
    timeout: 120_000,
  }, async () => {
    await withRussianExport(header, createReadStream(sample).pipe(createGunzip()), async (path) => {
      const { basis, profile, confirm } = await proposalFor(path, { currency: null, timeZone: null })
      expect([basis, profile?.name, confirm]).toEqual(['variant', 'online-retail', []])
      const { published, events } = await prepareFile(path, ofTransactions(profile!))
      expect(events.input).toEqual({
        container: 'none',
        encoding: 'windows-1251',
        encoding_by: 'bytes',
        delimiter: ';',
      })
      expect(events.tally).toEqual(prepared.events.tally)
      expect(digestOf(published)).toBe(digestOf(prepared.published, (text) => text.replaceAll('£', '№')))
    })
  })

  test('with Russian names of columns, too, what is proposed finds the same sales and refunds of each client', {
    timeout: 60_000,
  }, async () => {
    const text = gunzipSync(await readFile(sample)).subarray(0, 3_000_000)
    const whole = text.subarray(0, text.lastIndexOf('\n') + 1)
    await withRussianExport(russianHeader, Readable.from([whole]), async (path) => {
      const { basis, profile, confirm } = await proposalFor(path, { currency: 'GBP', timeZone: 'Europe/London' })
      expect([basis, confirm]).toEqual(['content', []])
      const { published } = await prepareFile(path, ofTransactions(profile!))
      const essence = (events: Prepared['published']) =>
        events.map(({ client_id, kind, occurred_at, amount_minor, items_count }) =>
          [client_id, kind, occurred_at, amount_minor, items_count].join(' '),
        )
      const own = essence(published)
      expect(own.length).toBeGreaterThan(1_000)
      // The last receipt may be cut.
      expect(own.slice(0, -1)).toEqual(essence(prepared.published).slice(0, own.length - 1))
    })
  })

  test('as a workbook, its dates and numbers as such, it has the same receipts through the same profile', {
    timeout: 120_000,
  }, async () => {
    const dir = await tempDir('loyalty-sample-')
    try {
      const path = join(dir.path, 'online_retail.csv')
      const rows = createReadStream(sample).pipe(createGunzip()).pipe(parse())
      await writeFile(path, await bigXlsx(asSheet(rows), ['m/d/yyyy h:mm']))
      const { published, events } = await prepareFile(path, loadProfile('online-retail'))
      expect(events.input).toMatchObject({ container: 'xlsx', sheet: { name: 'Sheet1', error_cells: 0 } })
      expect(events).toMatchObject({ rows: 541_909, lastNumber: 541_910 })
      expect(events.tally).toEqual(prepared.events.tally)
      expect(digestOf(published)).toBe(digestOf(prepared.published))
    } finally {
      await dir.remove()
    }
  })

  test('reading and grouping leave room for the rest of 20 seconds', () => {
    console.info(`541,909 lines read, grouped and decoded again in ${seconds.toFixed(1)} s of the processor`)
    expect(seconds).toBeLessThan(12)
  })
})

const header = 'InvoiceNo;StockCode;Description;Quantity;InvoiceDate;UnitPrice;CustomerID;Country'
const russianHeader = 'Номер чека;Артикул;Товар;Количество;Дата;Цена;Код клиента;Страна'

async function proposalFor(path: string, context: ProposalContext) {
  return proposeProfile(path, await new ProfileBook(null).all(), context)
}

/** Runs `work` on lines of the sample as a Russian spreadsheet would export them. */
async function withRussianExport(names: string, lines: Readable, work: (path: string) => Promise<void>): Promise<void> {
  const dir = await tempDir('loyalty-sample-')
  try {
    const path = join(dir.path, 'online_retail.csv')
    const asExport = (source: AsyncIterable<Buffer>) => asRussianExport(source, names)
    await pipeline(lines, asExport, createWriteStream(path))
    await work(path)
  } finally {
    await dir.remove()
  }
}

/** The sample as a Russian spreadsheet would export it; read by csv-parse, so that nothing of ours reads both. */
async function* asRussianExport(source: AsyncIterable<Buffer>, names: string) {
  yield encoded(`${names}\r\n`, 'windows-1251')
  let lines: string[] = []
  const rows = Readable.from(source).pipe(parse({ from_line: 2 }))
  for await (const [receipt, sku, description, quantity, date, price, client, country] of rows as AsyncIterable<
    string[]
  >) {
    const [year, month, day] = date!.slice(0, 10).split('-')
    const cells = [receipt, sku, description!.replaceAll('£', '№'), quantity]
    cells.push(`${day}.${month}.${year} ${date!.slice(11, 16)}`, withComma(price!), client, country)
    lines.push(`${cells.map((cell) => (/[";]/.test(cell!) ? `"${cell!.replaceAll('"', '""')}"` : cell)).join(';')}\r\n`)
    if (lines.length < 5_000) continue
    yield encoded(lines.join(''), 'windows-1251')
    lines = []
  }
  yield encoded(lines.join(''), 'windows-1251')
}

/** The sample as its authors published it: numbers and dates in cells of their types, text where there are letters. */
async function* asSheet(rows: AsyncIterable<string[]>): AsyncGenerator<Cell[]> {
  const typed = (text: string) => (text !== '' && String(Number(text)) === text ? Number(text) : text)
  for await (const row of rows) {
    const [receipt, sku, description, quantity, date, price, client, country] = row as [string, ...string[]]
    if (receipt === 'InvoiceNo') {
      yield row
      continue
    }
    const serial = (Date.parse(`${date!.replace(' ', 'T')}Z`) - Date.UTC(1899, 11, 30)) / 86_400_000
    const cells: Cell[] = [typed(receipt), typed(sku!), description === '' ? null : description!, Number(quantity)]
    cells.push(formatted(serial, 1), Number(price), client === '' ? null : Number(client), country!)
    yield cells
  }
}

/** `11062.06` as `11 062,06`, its space one that does not break. */
function withComma(price: string): string {
  const [whole = '', fraction] = price.split('.')
  return whole.replace(/\B(?=(\d{3})+$)/g, '\u00a0') + (fraction === undefined ? '' : `,${fraction}`)
}

/** Everything that is published, but for the descriptions’ pound sign, which Windows-1251 lacks. */
function digestOf(published: Prepared['published'], written = (text: string) => text): string {
  const hash = createHash('sha256')
  for (const event of published) hash.update(written(JSON.stringify(event)))
  return hash.digest('hex')
}
