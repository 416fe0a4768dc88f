import { once } from 'node:events'
import { createWriteStream } from 'node:fs'
import type { Writable } from 'node:stream'
import { finished } from 'node:stream/promises'
import { createGzip, createZstdCompress } from 'node:zlib'
import type { TransactionRecorded } from '#schemas/events.ts'
import { LoyaltyError } from '#streams/core/error.ts'
import { writing } from '../writing.ts'
import { Pace } from './pace.ts'
import { type GenerateReport, never, type Run, reportOf } from './report.ts'
import { tillItemOf } from './till-item.ts'
import { type GeneratorOptions, receiptOf, TransactionGenerator } from './transactions.ts'

/** Columns of a generated CSV, one line of a receipt a row: what the file profile `generated` reads. */
export const generatedColumns = [
  'receipt_number',
  'client_id',
  'kind',
  'occurred_at',
  'currency',
  'store_id',
  'terminal_id',
  'payment_method',
  'original_receipt_number',
  'sku',
  'category',
  'quantity',
  'amount',
] as const

/** The only currency of the file profile. */
export const csvCurrency = 'RUB'

const fileName = /\.(csv|ndjson)(?:\.(gz|zst))?$/i
const eventsAtOnce = 2_000

/** True for a name that `generateToFile` takes. */
export function isGeneratedFile(path: string): boolean {
  return fileName.test(path)
}

/**
 * Writes generated transactions, repetitions too: as CSV for `loyalty ingest`, or as NDJSON as a till would send it, gzip
 * or zstd by the last suffix. Errors: `generator_options` (also where the suffix is another, or a CSV is to be in another
 * currency than RUB), `file_unwritable`.
 */
export async function generateToFile(
  path: string,
  options: GeneratorOptions,
  { ratePerSecond, onProgress = () => {}, signal = never }: Run = {},
): Promise<GenerateReport> {
  const [, format, packing] = fileName.exec(path.toLowerCase()) ?? []
  if (format === undefined)
    throw new LoyaltyError(
      'generator_options',
      `${path} must end in .csv or .ndjson, perhaps with .gz or .zst behind it`,
    )
  if (format === 'csv' && (options.currency ?? csvCurrency) !== csvCurrency)
    throw new LoyaltyError('generator_options', `a CSV is in ${csvCurrency}, as its file profile says; use .ndjson`)
  const generator = new TransactionGenerator({ ...options, detailed: true })
  const pace = new Pace(ratePerSecond ?? null)
  const textOf = format === 'csv' ? csvRows : (event: TransactionRecorded) => `${JSON.stringify(tillItemOf(event))}\n`
  let events = 0
  await writing(path, async () => {
    const file = openFile(path, packing)
    try {
      let text = format === 'csv' ? `${generatedColumns.join(',')}\n` : ''
      const most = pace.turn(eventsAtOnce)
      for (let more = true; more && !signal.aborted; ) {
        await pace.due(events, signal)
        let made = 0
        for (; made < most && more; ) {
          const event = generator.next()
          more = event !== null
          if (event === null) break
          text += textOf(event)
          made++
        }
        await file.write(text)
        text = ''
        events += made
        onProgress(events)
      }
      await file.end()
    } finally {
      file.destroy()
    }
  })
  return reportOf(generator, { events, pace, wanted: options.events })
}

function openFile(path: string, packing: string | undefined) {
  const file = createWriteStream(path)
  const packer = packing === 'gz' ? createGzip({ level: 4 }) : packing === 'zst' ? createZstdCompress() : null
  const head: Writable = packer ?? file
  packer?.pipe(file)
  const done = finished(file)
  // It is awaited below; until then a failure waits.
  done.catch(() => {})
  packer?.on('error', (error) => file.destroy(error))
  return {
    async write(text: string): Promise<void> {
      if (text !== '' && !head.write(text)) await Promise.race([once(head, 'drain'), done])
    },
    async end(): Promise<void> {
      head.end()
      await done
    },
    destroy(): void {
      packer?.destroy()
      file.destroy()
    },
  }
}

/** No value of the generator needs quotes. A receipt has at least one line. */
function csvRows(event: TransactionRecorded): string {
  const original = event.original_transaction_id
  const head = [
    event.receipt_number,
    event.client_id,
    event.kind,
    new Date(event.occurred_at).toISOString(),
    event.currency,
    event.store_id,
    event.terminal_id,
    event.payment_method,
    original === null ? '' : receiptOf(original),
  ].join(',')
  let rows = ''
  for (const { sku, category, quantity, amount_minor: minor } of event.lines)
    rows += `${head},${sku},${category ?? ''},${quantity},${Math.floor(minor / 100)}.${String(minor % 100).padStart(2, '0')}\n`
  return rows
}
