import { rm, writeFile } from 'node:fs/promises'
import { join, relative } from 'node:path'
import { decoderOf } from '#schemas/decoder.ts'
import { EventEncoder } from '#schemas/encoder.ts'
import type { TransactionRecorded } from '#schemas/events.ts'
import { type FileProfile, parseProfile } from '#services/ingest/profile.ts'
import { notationOf } from '#services/ingest/profile-fields.ts'
import { eventsIn, prepareReceipts } from '#services/ingest/receipts/prepare.ts'
import { readEvents } from '#services/ingest/receipts/prepared-events.ts'
import type { ReceiptsManifest } from '#services/ingest/receipts/receipt-pass.ts'
import { keepVerdicts, verdictsPath } from '#services/ingest/verdict-files.ts'
import { MemoryRegistry } from '../../../support/memory-registry.ts'
import { tempDir } from '../../../support/temp-dir.ts'

export const batchId = '00000000-0000-4000-8000-000000000001'

/** When the files of the tests come. */
export const uploadedAtMs = Date.UTC(2012, 0, 15, 12)

/** A small profile of receipt lines; `changes` replaces parts of it. */
export function lineProfile(changes: Record<string, unknown> = {}): FileProfile {
  return parseProfile(
    {
      name: 'test-lines',
      system: { name: 'till', identity: ['receipt_number'], numbers_cover_kinds: true },
      grain: 'line',
      time_zone: 'Europe/London',
      currency: 'GBP',
      format: { kind: 'csv' },
      columns: {
        receipt_number: 'receipt',
        client: 'client',
        occurred_at: 'time',
        unit_price: 'price',
        quantity: 'quantity',
        sku: 'sku',
      },
      kinds: { refund: { receipt_prefix: 'C' } },
      dates: { formats: ['yyyy-MM-dd HH:mm'] },
      ...changes,
    },
    'test',
  )
}

export const lineHeader = 'receipt,client,time,price,quantity,sku'

export interface Prepared {
  readonly events: ReceiptsManifest
  /** In the order in which they would be published. */
  readonly published: readonly TransactionRecorded[]
}

/** Prepares a file as an upload does, and decodes what would be published. */
export async function prepareFile(path: string, profile: FileProfile, key = 'test'): Promise<Prepared> {
  const dir = await tempDir('loyalty-ingest-')
  try {
    return await prepareIn(dir.path, path, profile, key)
  } finally {
    await dir.remove()
  }
}

/** Also keeps the verdicts, below `dir` as below a data directory. */
export async function prepareIn(dir: string, path: string, profile: FileProfile, key = 'test'): Promise<Prepared> {
  const registry = new MemoryRegistry()
  const verdictsDirectory = verdictsPath(dir, batchId)
  const encoder = new EventEncoder('TransactionRecorded', await registry.idOf('TransactionRecorded'))
  const events = await prepareReceipts({
    ...{ profile, directory: dir, rowsKey: key, eventsKey: key, batchId, partitions: 4, encoder },
    ...{ uploadedAtMs, verdictsDirectory, original: (work) => work(path) },
  })
  const { fields, input, lastNumber } = events
  const read = { format: profile.format, notation: notationOf(profile) }
  const about = { fileName: 'file.csv', storedPath: relative(dir, path), ...read }
  await keepVerdicts(verdictsDirectory, { ...about, delimiter: input.delimiter, rows: lastNumber, fields })
  const decoder = decoderOf(registry, 'TransactionRecorded')
  const published: TransactionRecorded[] = []
  for (let bucket = 0; bucket < events.buckets; bucket++)
    for (const { value } of await readEvents(eventsIn(dir), bucket)) {
      const decoded = await decoder.read(value)
      if (decoded.kind !== 'ok') throw new Error(decoded.kind)
      published.push(decoded.event)
    }
  return { events, published }
}

/** As `prepareFile`, for the text of a file. */
export async function prepareText(text: string, profile: FileProfile = lineProfile()): Promise<Prepared> {
  const dir = await tempDir('loyalty-ingest-')
  try {
    const path = join(dir.path, 'file.csv')
    await writeFile(path, text)
    return await prepareIn(dir.path, path, profile)
  } finally {
    await rm(dir.path, { recursive: true, force: true })
  }
}
