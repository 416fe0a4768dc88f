import { BucketReader, Buckets } from '../files/buckets.ts'
import { Gatherer, maxRowsHeld } from './gather.ts'
import { isFirst } from './identical-rows.ts'
import { frame } from './prepared-events.ts'
import { type EventSink, ReceiptPass, type ReceiptsManifest, type ReceiptsOptions } from './receipt-pass.ts'
import { RowRecords } from './row-codec.ts'
import type { SpillManifest } from './spill.ts'

export interface GroupOptions extends ReceiptsOptions {
  /** Directory of the first pass, and its manifest. */
  readonly rowsDirectory: string
  readonly rows: SpillManifest
  readonly onProgress?: ((share: number) => void) | undefined
  readonly signal?: AbortSignal | undefined
}

/** After so many rows and receipts what was written may leave the memory. */
const stepsAtOnce = 2_048

/**
 * Second pass: rows are grouped to receipts, receipts become events, and events are dealt out by their first row, so that
 * they can be published in the order of the file.
 */
export async function groupReceipts(options: GroupOptions): Promise<ReceiptsManifest> {
  const { directory, rows, onProgress } = options
  const { buckets, lastNumber } = rows
  const events = new EventBuckets(await Buckets.create(directory, buckets), lastNumber)
  const pass = await ReceiptPass.open(options, events, lastNumber)
  pass.begin(rows.fields)
  try {
    const reader = new BucketReader(options.rowsDirectory)
    for (let bucket = 0; bucket < buckets; bucket++) {
      await groupBucket(options, pass, await reader.read(bucket))
      onProgress?.((bucket + 1) / buckets)
    }
    return await pass.finish(rows)
  } finally {
    await pass.close()
  }
}

async function groupBucket({ profile, signal }: GroupOptions, pass: ReceiptPass, bytes: Buffer): Promise<void> {
  const records = new RowRecords(bytes)
  const gatherer = new Gatherer(records, profile.system.numbers_cover_kinds)
  const isRepeated = profile.identical_rows === 'drop' ? repetitionsIn(records) : () => false
  const isLine = profile.grain === 'line'
  let steps = 0
  const step = async () => {
    signal?.throwIfAborted()
    await pass.drain()
  }
  pass.beginBucket()
  for (let at = 0; at < bytes.length; at = records.after(at)) {
    if (isRepeated(at)) pass.repeated(records.row(at))
    else if (!isLine) {
      if (!records.isSpoilt(at)) pass.settle({ rows: [records.row(at)], count: 1, whole: true })
    } else if (!gatherer.add(at)) pass.passOver(records.number(at))
    if (++steps % stepsAtOnce === 0) await step()
  }
  for (const receipt of gatherer.receipts()) {
    pass.settle(receipt)
    if (++steps % stepsAtOnce === 0) await step()
  }
  await step()
  pass.endBucket()
}

/** Events dealt out by the numbers of their first rows. */
class EventBuckets implements EventSink {
  readonly #files: Buckets
  readonly #lastNumber: number

  constructor(files: Buckets, lastNumber: number) {
    this.#files = files
    this.#lastNumber = lastNumber
  }

  append(rows: readonly { readonly number: number }[], partition: number, key: Uint8Array, value: Uint8Array): void {
    const bucket = Math.floor(((rows[0]!.number - 1) * this.#files.count) / this.#lastNumber)
    this.#files.append(bucket, frame(rows, partition, key, value))
  }

  async drain(): Promise<void> {
    await this.#files.drain()
  }

  async finish(): Promise<number> {
    const { count } = this.#files
    await this.#files.finish()
    return count
  }

  async close(): Promise<void> {
    await this.#files.close()
  }
}

/** True for a row that says what one before it in the bucket says, but for its number. */
function repetitionsIn(records: RowRecords): (at: number) => boolean {
  const seen = new Map<string, Set<string>>()
  return (at) => !records.isSpoilt(at) && !isFirst(seen, records.key(at), records.content(at), maxRowsHeld)
}
