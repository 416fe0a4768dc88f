import type { EventEncoder } from '#schemas/encoder.ts'
import { partitionOf } from '#streams/core/partitioner.ts'
import { DistinctCount } from '../distinct.ts'
import type { FileProfile } from '../profile.ts'
import type { Generations } from '../undo/generations.ts'
import { VerdictWriter } from '../verdict-files.ts'
import { addTally, emptyTally, FirstVerdicts, reject, shownValue, type VerdictCode } from '../verdicts.ts'
import { type Receipt, ReceiptBuilder, type ReceiptFault } from './build-receipt.ts'
import { type Field, field } from './fields.ts'
import type { GatheredReceipt } from './gather.ts'
import { type OutlierFindings, Outliers } from './outliers.ts'
import { ReceiptEvents } from './receipt-events.ts'
import { References } from './references.ts'
import type { MappedRow } from './row.ts'
import type { RowsRead } from './row-pass.ts'
import { StoreCounts } from './store-rows.ts'

/**
 * What a file was found to hold, and where its events are: the last word on it, written once all of it is durable. Verdicts
 * are those on rows and those on receipts: accepted and rejected rows sum to the rows of the file; a receipt's rows count
 * for its store, and its verdict stands at its first row.
 */
export interface ReceiptsManifest extends RowsRead {
  readonly key: string
  /** Files of events. */
  readonly buckets: number
  readonly receipts: FileTotals
  readonly outliers: OutlierFindings
  /** Refunds and voids that name what they are of: see `readReferences`. */
  readonly references: number
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

export interface ReceiptsOptions {
  readonly profile: FileProfile
  /** Where events are to be, and what else is kept until they are published. */
  readonly directory: string
  readonly key: string
  readonly batchId: string
  readonly partitions: number
  /** Which generation the ids of receipts have that were taken back before; default: none was. */
  readonly generations?: Pick<Generations, 'idOf'> | undefined
  readonly encoder: EventEncoder<'TransactionRecorded'>
  /** Directory of the batch's verdicts; without it none are kept but those of the manifest. */
  readonly verdictsDirectory?: string | undefined
  /** Only counted and judged: there will be no events. */
  readonly dryRun?: boolean | undefined
}

/** Where events go. */
export interface EventSink {
  /** `rows`: what the event is made of, at least one row. */
  append(rows: readonly { readonly number: number }[], partition: number, key: Uint8Array, value: Uint8Array): void
  /** Call it between batches: what waits is written. */
  drain(): Promise<void>
  /** Makes everything durable; how many files there are. */
  finish(): Promise<number>
  /** Closes without finishing; harmless when repeated. */
  close(): Promise<void>
}

export const maxEventBytes = 256 * 1024
/** What the texts and numbers of a row, or of a receipt beside them, take in an event at most. */
const mostRowBytes = 8 * 1024
/** Of the value of an attribute, and of the lengths before it and its name. */
const mostAttributeBytes = 512

/** What the pass writes. */
interface Outputs {
  readonly events: EventSink
  readonly outliers: Outliers
  readonly references: References
  readonly verdicts: VerdictWriter | null
}

/** Judges receipts, each by its rows: events of those that are good go to a sink, verdicts on the others are written down. */
export class ReceiptPass {
  readonly #options: ReceiptsOptions
  readonly #out: Outputs
  readonly #tally = emptyTally()
  readonly #stores = new StoreCounts()
  readonly #first = new FirstVerdicts()
  #fields: readonly Field[] = []
  readonly #builder: ReceiptBuilder
  readonly #events: ReceiptEvents
  readonly #clients = new DistinctCount()
  /** What the attributes of a receipt take at most. */
  readonly #attributeBytes: number
  readonly #totals = { receipts: 0, sales: 0, refunds: 0, voids: 0, clients: 0, grossMinor: 0, refundedMinor: 0 }

  private constructor(options: ReceiptsOptions, out: Outputs) {
    this.#options = options
    this.#out = out
    this.#builder = new ReceiptBuilder(options.profile)
    this.#events = new ReceiptEvents(options.profile, options.batchId, options.generations)
    const attributes = Object.keys(options.profile.columns.attributes)
    this.#attributeBytes = attributes.reduce((bytes, name) => bytes + 3 * name.length + mostAttributeBytes, 0)
  }

  /** `mostRows`: the highest number of a row, or `rowsOfLeastParts` for a file that is known to have no higher one. */
  static async open(options: ReceiptsOptions, events: EventSink, mostRows: number): Promise<ReceiptPass> {
    const { directory, profile, verdictsDirectory } = options
    return new ReceiptPass(options, {
      events,
      outliers: await Outliers.create(directory, profile),
      references: await References.create(directory),
      verdicts:
        verdictsDirectory === undefined ? null : await VerdictWriter.create(verdictsDirectory, 'receipts', mostRows),
    })
  }

  /** To be called before the first receipt. */
  begin(fields: readonly Field[]): void {
    this.#fields = fields
  }

  /** Makes everything durable; what the rows of the file and its receipts come to. */
  async finish(read: RowsRead): Promise<ReceiptsManifest> {
    const { events, outliers, references, verdicts } = this.#out
    const findings = await outliers.finish(async (amountMinor, rows) => {
      this.#tell('outlier', rows, field.value, this.#builder.textOf(amountMinor))
      await verdicts?.drain()
    })
    await references.finish()
    await verdicts?.finish()
    const buckets = await events.finish()
    addTally(this.#tally, read.tally)
    this.#stores.add(read.stores)
    for (const verdict of read.verdicts) this.#first.add(verdict)
    return {
      ...read,
      key: this.#options.key,
      buckets,
      tally: this.#tally,
      stores: this.#stores.list(),
      verdicts: this.#first.list(),
      receipts: { ...this.#totals, clients: this.#clients.size },
      outliers: findings,
      references: references.count,
    }
  }

  /** Closes without finishing; harmless when repeated. */
  async close(): Promise<void> {
    for (const part of Object.values(this.#out)) await part?.close()
  }

  /** To be called before the first receipt of each bucket: receipts of one content are in one. */
  beginBucket(): void {
    this.#events.beginBucket()
  }

  /** To be called after each bucket, where each is a sample of the whole file. */
  endBucket(): void {
    this.#out.outliers.endBucket()
  }

  /** Call it between batches of receipts: what was written may leave the memory. */
  async drain(): Promise<void> {
    const { events, outliers, references, verdicts } = this.#out
    await events.drain()
    await outliers.drain()
    await verdicts?.drain()
    await references.drain()
  }

  /** A row beyond those that are held of a receipt: said at once, the others hear of it with their receipt. */
  passOver(row: number): void {
    this.#out.verdicts?.add(row, tooLarge.reason, tooLarge.field, null)
  }

  /** A row that says what one before it says. */
  repeated(row: MappedRow): void {
    this.#reject(duplicate, [row], 1)
  }

  settle({ rows, count, whole }: GatheredReceipt): void {
    const held = count === rows.length
    const fault = held ? (whole ? this.#publishable(rows) : incomplete) : tooLarge
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
    const name = this.#fields[fieldIndex]?.name ?? null
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
    const { encoder, partitions } = this.#options
    const event = this.#events.of(receipt)
    const value = encoder.encode(event)
    if (value.length > maxEventBytes) return false
    const key = Buffer.from(receipt.first.client)
    this.#out.events.append(rows, partitionOf(key, partitions), key, value)
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

/** What a row has in a field that is a fault of its receipt; null for others. */
function textOf(row: MappedRow, fieldIndex: number): string | null {
  if (fieldIndex === field.receipt) return shownValue(row.receipt)
  return fieldIndex === field.client ? shownValue(row.client) : null
}
