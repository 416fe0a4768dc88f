import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { EventEncoder } from '#schemas/encoder.ts'
import type { TransactionRecorded } from '#schemas/events.ts'
import { partitionOf } from '#streams/core/partitioner.ts'
import { Buckets, bucketPath, readLines, readManifest, writeManifest } from '../files/buckets.ts'
import type { FileInput } from '../files/rows.ts'
import type { FileProfile } from '../profile.ts'
import type { Generations } from '../undo/generations.ts'
import { addTally, emptyTally, type Reason, reject, type Tally } from '../verdicts.ts'
import { type Receipt, ReceiptBuilder } from './build-receipt.ts'
import { type EventWithoutId, ReceiptIds } from './identity.ts'
import { decodeRow, type KindCode, kindCodes, type MappedRow, type SpoiltRow } from './row.ts'
import type { SpillManifest } from './spill.ts'

/**
 * Second pass: rows are grouped to receipts, receipts become events, and events are dealt out by their first row, so that
 * they can be published in the order of the file. Its manifest is the last word on what the file holds.
 */
export interface GroupManifest {
  readonly key: string
  readonly buckets: number
  /** Verdicts of both passes: accepted and rejected rows sum to the rows of the file. */
  readonly tally: Tally
  readonly receipts: FileTotals
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
  readonly onProgress?: (share: number) => void
  readonly signal?: AbortSignal
}

export const maxEventBytes = 256 * 1024

/** No receipt of so many lines fits into an event; beyond it lines are only counted. */
const maxRowsHeld = 65_536

/** Runs the pass, or answers the manifest of one that was completed before. */
export async function groupReceipts(options: GroupOptions): Promise<GroupManifest> {
  const manifestPath = join(options.directory, 'manifest.json')
  const done = await readManifest<GroupManifest>(manifestPath)
  if (done?.key === options.key) return done
  const files = await Buckets.create<Uint8Array>(options.directory, options.rows.buckets, Buffer.concat)
  const pass = new GroupPass(options, files)
  try {
    for (let bucket = 0; bucket < options.rows.buckets; bucket++) {
      await pass.group(bucket)
      options.onProgress?.((bucket + 1) / options.rows.buckets)
    }
    await files.finish()
  } finally {
    await files.close()
  }
  const manifest: GroupManifest = {
    key: options.key,
    buckets: options.rows.buckets,
    tally: pass.tally,
    receipts: pass.totals(),
    input: options.rows.input,
  }
  await writeManifest(manifestPath, manifest)
  return manifest
}

/** Rows of one receipt, as far as they are held. */
interface Group {
  readonly rows: MappedRow[]
  count: number
}

/** What was found under one key: one receipt, or one of each kind where kinds share their numbers. */
interface Groups {
  readonly byKind: Map<KindCode, Group>
  spoilt: boolean
}

class GroupPass {
  readonly tally = emptyTally()
  readonly #options: GroupOptions
  readonly #files: Buckets<Uint8Array>
  readonly #builder: ReceiptBuilder
  readonly #ids: ReceiptIds
  readonly #clients = new Set<string>()
  readonly #attributes: readonly string[]
  readonly #totals = { receipts: 0, sales: 0, refunds: 0, voids: 0, clients: 0, grossMinor: 0, refundedMinor: 0 }

  constructor(options: GroupOptions, files: Buckets<Uint8Array>) {
    this.#options = options
    this.#files = files
    this.#builder = new ReceiptBuilder(options.profile)
    this.#ids = new ReceiptIds(options.profile, options.generations)
    this.#attributes = Object.keys(options.profile.columns.attributes)
    addTally(this.tally, options.rows.tally)
  }

  totals(): FileTotals {
    return { ...this.#totals, clients: this.#clients.size }
  }

  async group(bucket: number): Promise<void> {
    const { rowsDirectory, profile, signal } = this.#options
    const receipts = new Map<string, Groups>()
    const seen = profile.identical_rows === 'drop' ? new Map<string, Set<string>>() : null
    this.#ids.beginBucket()
    for await (const lines of readLines(rowsDirectory, bucket)) {
      signal?.throwIfAborted()
      for (const line of lines) {
        const row = decodeRow(line)
        if (seen !== null && 'client' in row && !isFirst(seen, row.key, line)) {
          reject(this.tally, 'duplicate_row', 1)
          continue
        }
        if (profile.grain === 'line') collect(receipts, row, profile.system.numbers_cover_kinds)
        else if ('client' in row) this.#settle([row], 1)
      }
      await this.#files.drain()
    }
    for (const { byKind, spoilt } of receipts.values())
      for (const { rows, count } of byKind.values())
        if (spoilt) reject(this.tally, 'incomplete_receipt', count)
        else this.#settle(rows, count)
    await this.#files.drain()
  }

  #settle(rows: readonly MappedRow[], count: number): void {
    const verdict = count > rows.length ? 'too_large' : this.#publishable(rows)
    if (verdict === null) this.tally.acceptedRows += count
    else reject(this.tally, verdict, count)
  }

  /** Deals out the event of a receipt; null, or why there is none. */
  #publishable(rows: readonly MappedRow[]): Reason | null {
    const receipt = this.#builder.build(rows)
    if (typeof receipt === 'string') return receipt
    const { encoder, partitions, rows: file } = this.#options
    const value = encoder.encode(this.#eventOf(receipt))
    if (value.length > maxEventBytes) return 'too_large'
    const key = Buffer.from(receipt.first.client)
    const bucket = Math.floor(((receipt.first.number - 1) * file.buckets) / file.rows)
    this.#files.append(bucket, frame(receipt.first.number, partitionOf(key, partitions), key, value))
    this.#count(receipt)
    return null
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

  #eventOf(receipt: Receipt): TransactionRecorded {
    const { first } = receipt
    const { batchId, profile } = this.#options
    const event: EventWithoutId = {
      client_id: first.client,
      kind: receipt.kind,
      occurred_at: receipt.occurredAtMs,
      amount_minor: receipt.amountMinor,
      currency: profile.currency,
      source: `upload:${batchId}`,
      store_id: orNull(first.store),
      terminal_id: orNull(first.terminal),
      receipt_number: orNull(first.receipt),
      original_transaction_id: this.#ids.originalOf(first),
      payment_method: orNull(first.payment),
      batch_id: batchId,
      items_count: receipt.itemsCount,
      categories: receipt.categories,
      lines: receipt.lines,
      discount_minor: 0,
      bonus_earned_minor: 0,
      bonus_spent_minor: 0,
      attributes: this.#attributesOf(first),
    }
    return { transaction_id: this.#ids.idOf(first, event), ...event }
  }

  #attributesOf(row: MappedRow): Record<string, string> {
    const attributes: Record<string, string> = {}
    for (let i = 0; i < this.#attributes.length; i++)
      if (row.attributes[i]) attributes[this.#attributes[i]!] = row.attributes[i]!
    return attributes
  }
}

/**
 * True for the first of the lines of a key that say the same but for the number of their row, which they begin with. Past
 * what a receipt may hold nothing more is remembered.
 */
function isFirst(seen: Map<string, Set<string>>, key: string, line: string): boolean {
  const content = line.slice(line.indexOf(','))
  const contents = seen.get(key)
  if (contents === undefined) seen.set(key, new Set([content]))
  else if (contents.has(content)) return false
  else if (contents.size < maxRowsHeld) contents.add(content)
  return true
}

function collect(receipts: Map<string, Groups>, row: MappedRow | SpoiltRow, oneKind: boolean): void {
  let groups = receipts.get(row.key)
  if (groups === undefined) {
    groups = { byKind: new Map(), spoilt: false }
    receipts.set(row.key, groups)
  }
  if (!('client' in row)) {
    groups.spoilt = true
    return
  }
  const kind = oneKind ? kindCodes.bySign : row.kind
  let group = groups.byKind.get(kind)
  if (group === undefined) {
    group = { rows: [], count: 0 }
    groups.byKind.set(kind, group)
  }
  group.count++
  if (group.rows.length < maxRowsHeld) group.rows.push(row)
}

function orNull(text: string): string | null {
  return text === '' ? null : text
}

/** One event in a bucket: length of the rest (4), first row (8, double), partition (4), key length (2), key, value. */
const headBytes = 18

export function frame(firstRow: number, partition: number, key: Uint8Array, value: Uint8Array): Uint8Array {
  const bytes = Buffer.allocUnsafe(headBytes + key.length + value.length)
  bytes.writeUInt32LE(bytes.length - 4, 0)
  bytes.writeDoubleLE(firstRow, 4)
  bytes.writeUInt32LE(partition, 12)
  bytes.writeUInt16LE(key.length, 16)
  bytes.set(key, headBytes)
  bytes.set(value, headBytes + key.length)
  return bytes
}

export interface PreparedEvent {
  readonly firstRow: number
  readonly partition: number
  readonly key: Uint8Array
  readonly value: Uint8Array
}

/** Events of a bucket in the order of the file. */
export async function readEvents(directory: string, bucket: number): Promise<PreparedEvent[]> {
  const bytes = await readFile(bucketPath(directory, bucket))
  const events: PreparedEvent[] = []
  for (let at = 0; at < bytes.length; ) {
    const end = at + 4 + bytes.readUInt32LE(at)
    const keyEnd = at + headBytes + bytes.readUInt16LE(at + 16)
    events.push({
      firstRow: bytes.readDoubleLE(at + 4),
      partition: bytes.readUInt32LE(at + 12),
      key: bytes.subarray(at + headBytes, keyEnd),
      value: bytes.subarray(keyEnd, end),
    })
    at = end
  }
  return events.sort((a, b) => a.firstRow - b.firstRow)
}
