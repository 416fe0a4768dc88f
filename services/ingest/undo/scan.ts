import { decoderOf, type EventDecoder, reducedDecoder } from '#schemas/decoder.ts'
import type { ProgrammeConfigured, TransactionRecorded } from '#schemas/events.ts'
import type { Registry } from '#schemas/registry.ts'
import type { ScannedTransaction } from '#schemas/transaction-scan.ts'
import type { Entry } from '#streams/domain/entry.ts'
import type { Hash64 } from '#streams/domain/hash.ts'
import type { Log, LogRecord } from '#streams/log/log.ts'
import { readRange } from '#streams/log/range.ts'
import { Door } from '#streams/topologies/door.ts'
import { receiptKeyOf } from './receipt-key.ts'

/** Who delivered a transaction, from the point of view of one task. */
export const Owner = { subject: 0, standing: 1, undone: 2 } as const
export type Owner = (typeof Owner)[keyof typeof Owner]

/** A transaction of the log as the stream took it in; good until the next one. */
export interface Seen {
  readonly record: LogRecord
  readonly transaction: ScannedTransaction
  readonly entry: Entry
  /** Key of the receipt, and the generation in its id. */
  readonly key: Hash64
  readonly generation: number
  readonly owner: Owner
  /** Key and generation of what it refers to; without meaning where `entry` has no reference. */
  readonly refKey: Hash64
  readonly refGeneration: number
}

export interface ScanOptions {
  readonly log: Log
  readonly topic: string
  readonly registry: Registry
  readonly programme: ProgrammeConfigured
  /** The batch in question, and the batches that were taken back before. */
  readonly batchId: string
  readonly undone: ReadonlySet<string>
  readonly signal?: AbortSignal
}

/**
 * Reads transactions of the log as a task of the stream does, and by the same code: what that turns away is passed over,
 * and so are the VOIDs by which the platform itself takes transactions back.
 */
export class TransactionScan {
  readonly #options: ScanOptions
  readonly #decoder: EventDecoder<{ TransactionRecorded: Omit<TransactionRecorded, 'attributes'> }>
  readonly #wholeDecoder: EventDecoder<{ TransactionRecorded: TransactionRecorded }>
  readonly #key: Hash64 = { hi: 0, lo: 0 }
  readonly #refKey: Hash64 = { hi: 0, lo: 0 }
  /** Of the id looked at last. */
  #generation = 0
  #lastBatch: Uint8Array = new Uint8Array(0)
  #lastOwner: Owner = Owner.standing

  constructor(options: ScanOptions) {
    this.#options = options
    this.#decoder = reducedDecoder(options.registry, 'TransactionRecorded', ['attributes'])
    this.#wholeDecoder = decoderOf(options.registry, 'TransactionRecorded')
  }

  /** Hands every transaction of a partition with an offset in [from, to) to `take`, in order; between batches it waits for `drain`. */
  async run(
    partition: number,
    { from, to }: { readonly from: number; readonly to: number },
    take: (seen: Seen) => void,
    drain?: () => Promise<void>,
  ): Promise<void> {
    const { log, topic, programme, signal } = this.#options
    const door = new Door(this.#decoder, partition)
    for await (const { records } of readRange(log, topic, partition, from, to)) {
      signal?.throwIfAborted()
      for (const record of records) {
        let turned = door.take(record, programme)
        while (turned?.outcome.kind === 'unprepared') {
          await Promise.all([this.#decoder.read(record.value), this.#wholeDecoder.read(record.value)])
          turned = door.take(record, programme)
        }
        const { transaction: t } = door
        if (turned === null && !endsWith(t.bytes, t.idAt, t.idEnd, undoMark)) take(this.#seen(record, door))
      }
      await drain?.()
    }
  }

  /** The whole event of a transaction that was handed on. */
  eventOf({ record }: Seen): TransactionRecorded {
    const decoded = this.#wholeDecoder.decode(record.value)
    if (decoded.kind === 'ok') return decoded.event
    throw new Error(`the transaction at offset ${record.offset} was taken in and cannot be decoded`)
  }

  #seen(record: LogRecord, { transaction: t, entry }: Door): Seen {
    const client = { from: t.clientAt, to: t.clientEnd }
    const idEnd = this.#baseEnd(t.bytes, t.idAt, t.idEnd)
    const generation = this.#generation
    receiptKeyOf(t.bytes, client, { from: t.idAt, to: idEnd }, this.#key)
    let refGeneration = 0
    if ((entry.refHi | entry.refLo) !== 0) {
      const refEnd = this.#baseEnd(t.bytes, t.originalAt, t.originalEnd)
      refGeneration = this.#generation
      receiptKeyOf(t.bytes, client, { from: t.originalAt, to: refEnd }, this.#refKey)
    }
    const owner = this.#ownerOf(t)
    return { record, transaction: t, entry, key: this.#key, generation, owner, refKey: this.#refKey, refGeneration }
  }

  /** Where an id ends without its generation, which is noted: the bytes of `splitGeneration`. */
  #baseEnd(bytes: Uint8Array, from: number, to: number): number {
    this.#generation = 0
    let at = to - 1
    let value = 0
    let factor = 1
    for (; at >= from && isDigit(bytes[at]!) && to - at <= 9; at--) {
      value += (bytes[at]! - zero) * factor
      factor *= 10
    }
    const digits = to - 1 - at
    if (digits === 0 || bytes[at + 1] === zero || at - 2 < from) return to
    if (bytes[at] !== equals || bytes[at - 1] !== letterG || bytes[at - 2] !== colon) return to
    this.#generation = value
    return at - 2
  }

  /** Records of one batch come one behind the other: the last answer is kept. */
  #ownerOf({ bytes, batchAt: from, batchEnd: to }: ScannedTransaction): Owner {
    // What comes through no file is never taken back.
    if (from < 0) return Owner.standing
    const last = this.#lastBatch
    let same = last.length === to - from
    for (let i = 0; same && i < last.length; i++) same = last[i] === bytes[from + i]
    if (same) return this.#lastOwner
    this.#lastBatch = bytes.slice(from, to)
    const batch = Buffer.from(this.#lastBatch).toString()
    const { batchId, undone } = this.#options
    this.#lastOwner = batch === batchId ? Owner.subject : undone.has(batch) ? Owner.undone : Owner.standing
    return this.#lastOwner
  }
}

const zero = 0x30
const equals = 0x3d
const letterG = 0x67
const colon = 0x3a
const undoMark = Buffer.from(':k=undo')

function isDigit(byte: number): boolean {
  return byte >= zero && byte <= zero + 9
}

function endsWith(bytes: Uint8Array, from: number, to: number, mark: Uint8Array): boolean {
  const start = to - mark.length
  if (start < from) return false
  let i = 0
  while (i < mark.length && bytes[start + i] === mark[i]) i++
  return i === mark.length
}
