import { join } from 'node:path'
import type { EventEncoder } from '#schemas/encoder.ts'
import type { StoreRows } from '#schemas/events.ts'
import { partitionOf } from '#streams/core/partitioner.ts'
import { DistinctCount } from '../distinct.ts'
import { BucketReader, Buckets, readManifest, writeManifest } from '../files/buckets.ts'
import type { FileInput } from '../files/rows.ts'
import type { FileProfile } from '../profile.ts'
import type { Generations } from '../undo/generations.ts'
import { VerdictWriter } from '../verdict-files.ts'
import {
  addTally,
  emptyTally,
  FirstVerdicts,
  reject,
  shownValue,
  type Tally,
  type Verdict,
  type VerdictCode,
} from '../verdicts.ts'
import { type Receipt, ReceiptBuilder, type ReceiptFault } from './build-receipt.ts'
import { field } from './fields.ts'
import { Gatherer, maxRowsHeld } from './gather.ts'
import { isFirst } from './identical-rows.ts'
import { type OutlierFindings, Outliers } from './outliers.ts'
import { frame } from './prepared-events.ts'
import { ReceiptEvents } from './receipt-events.ts'
import { References } from './references.ts'
import type { MappedRow } from './row.ts'
import { RowRecords } from './row-codec.ts'
import type { SpillManifest } from './spill.ts'
import { StoreCounts } from './store-rows.ts'

/**
 * Second pass: rows are grouped to receipts, receipts become events, and events are dealt out by their first row, so that
 * they can be published in the order of the file. Its manifest is the last word on what the file holds.
 */
export interface GroupManifest {
  readonly key: string
  readonly buckets: number
  /** The highest number of a row; missing in manifests of older versions, whose rows are numbered without gaps. */
  readonly lastNumber?: number
  /** Verdicts of both passes: accepted and rejected rows sum to the rows of the file. */
  readonly tally: Tally
  /** The same rows by store; those of a receipt count for its store. */
  readonly stores: readonly StoreRows[]
  readonly receipts: FileTotals
  /** Verdicts of both passes, the first ones by row; a receipt's at its first row. */
  readonly verdicts: readonly Verdict[]
  readonly outliers: OutlierFindings
  /** Refunds and voids that name what they are of: see `readReferences`. */
  readonly references: number
  /** What the file was found to be. */
  readonly input: FileInput
}

/** What the accepted receipts of a file come to, before the stream has looked for duplicates. */
export interface FileTotals {
  receipts: number
  sales: number
  refunds: number
  voids: number
  clients: number
  grossMinor: number
  refundedMinor: number
}

export interface GroupOptions {
  readonly profile: FileProfile
  /** Directory of the first pass, and its manifest. */
  readonly rowsDirectory: string
  readonly rows: SpillManifest
  readonly directory: string
  readonly key: string
  readonly batchId: string
  readonly partitions: number
  /** Which generation the ids of receipts have that were taken back before; default: none was. */
  readonly generations?: Pick<Generations, 'idOf'> | undefined
  readonly encoder: EventEncoder<'TransactionRecorded'>
  /** Directory of the batch's verdicts; without it none are kept but those of the manifest. */
  readonly verdictsDirectory?: string
  /** Only counted and judged: there will be no events. */
  readonly dryRun?: boolean
  readonly onProgress?: (share: number) => void
  readonly signal?: AbortSignal
}

export const maxEventBytes = 256 * 1024
/** What the texts and numbers of a row, or of a receipt beside them, take in an event at most. */
const mostRowBytes = 8 * 1024
/** Of the value of an attribute, and of the lengths before it and its name. */
const mostAttributeBytes = 512

/** After so many rows and receipts what was written may leave the memory. */
const stepsAtOnce = 2_048

/** Runs the pass, or answers the manifest of one that was completed before. */
export async function groupReceipts(options: GroupOptions): Promise<GroupManifest> {
  const manifestPath = join(options.directory, 'manifest.json')
  const done = await readManifest<GroupManifest>(manifestPath)
  if (done?.key === options.key) return done
  const pass = await GroupPass.open(options)
  try {
    for (let bucket = 0; bucket < options.rows.buckets; bucket++) {
      await pass.group(bucket)
      options.onProgress?.((bucket + 1) / options.rows.buckets)
    }
    const manifest = await pass.finish()
    await writeManifest(manifestPath, manifest)
    return manifest
  } finally {
    await pass.close()
  }
}

/** What the pass writes. */
interface Outputs {
  readonly files: Buckets
  readonly outliers: Outliers
  readonly references: References
  readonly verdicts: VerdictWriter | null
}

class GroupPass {
  readonly #options: GroupOptions
  readonly #out: Outputs
  readonly #tally = emptyTally()
  readonly #stores: StoreCounts
  readonly #first = new FirstVerdicts()
  readonly #reader: BucketReader
  readonly #builder: ReceiptBuilder
  readonly #events: ReceiptEvents
  readonly #clients = new DistinctCount()
  /** What the attributes of a receipt take at most. */
  readonly #attributeBytes: number
  readonly #totals = { receipts: 0, sales: 0, refunds: 0, voids: 0, clients: 0, grossMinor: 0, refundedMinor: 0 }

  private constructor(options: GroupOptions, out: Outputs) {
    this.#options = options
    this.#out = out
    this.#reader = new BucketReader(options.rowsDirectory)
    this.#builder = new ReceiptBuilder(options.profile)
    this.#events = new ReceiptEvents(options.profile, options.batchId, options.generations)
    const attributes = Object.keys(options.profile.columns.attributes)
    this.#attributeBytes = attributes.reduce((bytes, name) => bytes + 3 * name.length + mostAttributeBytes, 0)
    addTally(this.#tally, options.rows.tally)
    this.#stores = new StoreCounts(options.rows.stores)
    for (const verdict of options.rows.verdicts) this.#first.add(verdict)
  }

  static async open(options: GroupOptions): Promise<GroupPass> {
    const { directory, rows, profile, verdictsDirectory } = options
    return new GroupPass(options, {
      files: await Buckets.create(directory, rows.buckets),
      outliers: await Outliers.create(directory, profile),
      references: await References.create(directory),
      verdicts:
        verdictsDirectory === undefined
          ? null
          : await VerdictWriter.create(verdictsDirectory, 'receipts', rows.lastNumber ?? rows.rows),
    })
  }

  /** Makes everything durable; what the pass has come to. */
  async finish(): Promise<GroupManifest> {
    const { files, outliers, references, verdicts } = this.#out
    const findings = await outliers.finish((amountMinor, rows) =>
      this.#tell('outlier', rows, field.value, this.#builder.textOf(amountMinor)),
    )
    await references.finish()
    await verdicts?.finish()
    await files.finish()
    const { key, rows } = this.#options
    return {
      key,
      buckets: rows.buckets,
      ...(rows.lastNumber === undefined ? {} : { lastNumber: rows.lastNumber }),
      tally: this.#tally,
      stores: this.#stores.list(),
      receipts: { ...this.#totals, clients: this.#clients.size },
      verdicts: this.#first.list(),
      outliers: findings,
      references: references.count,
      input: rows.input,
    }
  }

  async close(): Promise<void> {
    for (const part of Object.values(this.#out)) await part?.close()
  }

  async group(bucket: number): Promise<void> {
    const bytes = await this.#reader.read(bucket)
    const records = new RowRecords(bytes)
    const gatherer = new Gatherer(records, this.#options.profile.system.numbers_cover_kinds)
    const isRepeated = this.#options.profile.identical_rows === 'drop' ? repetitionsIn(records) : () => false
    this.#events.beginBucket()
    let steps = 0
    for (let at = 0; at < bytes.length; at = records.after(at)) {
      this.#takeRecord(records, at, gatherer, isRepeated)
      if (++steps % stepsAtOnce === 0) await this.#drain()
    }
    for (const { rows, count, whole } of gatherer.receipts()) {
      if (!whole && count === rows.length) this.#reject(incomplete, rows, count)
      else this.#settle(rows, count)
      if (++steps % stepsAtOnce === 0) await this.#drain()
    }
    await this.#drain()
    await this.#out.outliers.endBucket()
  }

  #takeRecord(records: RowRecords, at: number, gatherer: Gatherer, isRepeated: (at: number) => boolean): void {
    if (isRepeated(at)) this.#reject(duplicate, [records.row(at)], 1)
    else if (this.#options.profile.grain === 'receipt') {
      if (!records.isSpoilt(at)) this.#settle([records.row(at)], 1)
    } else if (!gatherer.add(at))
      // Said at once of a row that is not held; the others hear of it with their receipt.
      this.#out.verdicts?.add(records.number(at), tooLarge.reason, tooLarge.field, null)
  }

  async #drain(): Promise<void> {
    this.#options.signal?.throwIfAborted()
    await this.#out.files.drain()
    await this.#out.verdicts?.drain()
    await this.#out.references.drain()
  }

  #settle(rows: readonly MappedRow[], count: number): void {
    const fault = count > rows.length ? tooLarge : this.#publishable(rows)
    if (fault === null) {
      this.#tally.acceptedRows += count
      this.#stores.accept(rows[0]!.store, count)
    } else this.#reject(fault, rows, count)
  }

  /** `rows` as far as they are held, `count` of them in all. */
  #reject({ reason, field: fieldIndex, value }: ReceiptFault, rows: readonly MappedRow[], count: number): void {
    reject(this.#tally, reason, count)
    this.#stores.reject(rows[0]!.store, reason, count)
    const numbers = rows.map(({ number }) => number)
    this.#tell(reason, numbers, fieldIndex, value, () => textOf(rows[0]!, fieldIndex))
  }

  /** Writes a verdict on every row of a receipt down; `shown` is its value where the rows have it. */
  #tell(
    code: VerdictCode,
    rows: readonly number[],
    fieldIndex: number,
    value: string | null,
    shown: () => string | null = () => null,
  ): void {
    for (const row of rows) this.#out.verdicts?.add(row, code, fieldIndex, value)
    const row = rows[0]!
    if (!this.#first.wants(row)) return
    const name = this.#options.rows.fields[fieldIndex]?.name ?? null
    this.#first.add({ row, code, field: name, value: value ?? shown() })
  }

  /** Counts a receipt and deals its event out; null, or why there is none. */
  #publishable(rows: readonly MappedRow[]): ReceiptFault | null {
    const receipt = this.#builder.build(rows)
    if ('reason' in receipt) return receipt
    const counted = this.#options.dryRun === true && this.#surelyFits(rows)
    if (!counted && !this.#prepare(receipt, rows)) return tooLarge
    if (receipt.kind !== 'VOID') this.#out.outliers.add(receipt.amountMinor, rows)
    this.#count(receipt)
    return null
  }

  /** Deals out the event of a receipt; false for one that is too large. */
  #prepare(receipt: Receipt, rows: readonly MappedRow[]): boolean {
    const { encoder, partitions, rows: file } = this.#options
    const event = this.#events.of(receipt)
    const value = encoder.encode(event)
    if (value.length > maxEventBytes) return false
    const key = Buffer.from(receipt.first.client)
    const bucket = Math.floor(((receipt.first.number - 1) * file.buckets) / (file.lastNumber ?? file.rows))
    this.#out.files.append(bucket, frame(receipt.first.number, partitionOf(key, partitions), key, value))
    if (event.original_transaction_id !== null)
      this.#out.references.add(event.client_id, event.original_transaction_id, rows)
    return true
  }

  /** True where no event of so many rows can be too large, as long as their texts may be. */
  #surelyFits(rows: readonly MappedRow[]): boolean {
    return (rows.length + 1) * mostRowBytes + this.#attributeBytes < maxEventBytes
  }

  #count({ kind, amountMinor, first }: Receipt): void {
    const totals = this.#totals
    totals.receipts++
    if (kind === 'SALE') {
      totals.sales++
      totals.grossMinor += amountMinor
    } else if (kind === 'REFUND') {
      totals.refunds++
      totals.refundedMinor += amountMinor
    } else totals.voids++
    this.#clients.add(first.client)
  }
}

const tooLarge: ReceiptFault = { reason: 'too_large', field: field.receipt, value: null }
const duplicate: ReceiptFault = { reason: 'duplicate_row', field: field.none, value: null }
const incomplete: ReceiptFault = { reason: 'incomplete_receipt', field: field.receipt, value: null }

/** True for a row that says what one before it in the bucket says, but for its number. */
function repetitionsIn(records: RowRecords): (at: number) => boolean {
  const seen = new Map<string, Set<string>>()
  return (at) => !records.isSpoilt(at) && !isFirst(seen, records.key(at), records.content(at), maxRowsHeld)
}

/** What a row has in a field that is a fault of its receipt; null for others. */
function textOf(row: MappedRow, fieldIndex: number): string | null {
  if (fieldIndex === field.receipt) return shownValue(row.receipt)
  return fieldIndex === field.client ? shownValue(row.client) : null
}
