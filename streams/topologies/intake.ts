import { frameLength } from '#schemas/codec.ts'
import { largestTransactionValue } from '#schemas/dead-letter.ts'
import type { EventDecoder } from '#schemas/decoder.ts'
import type { ReceiptLine } from '#schemas/events.ts'
import { isForwardable, isForwarded, largestForwardedHeaders } from '#schemas/forward.ts'
import { partitionOf } from '../core/partitioner.ts'
import { Kind, type Line, type Transaction, validate } from '../domain/transaction.ts'
import type { LogRecord } from '../log/log.ts'
import type { FoldOutcome } from '../runtime/topology.ts'
import type { StreamedTransaction } from './wire.ts'

export type TransactionDecoder = EventDecoder<{ TransactionRecorded: StreamedTransaction }>

/** What a door does with a record that it does not take in. */
export type Refused = Extract<FoldOutcome, { kind: 'dead' | 'forward' | 'unprepared' }>

/** What became of a record at the door of a task. */
export type Intake =
  | { readonly kind: 'transaction'; readonly event: StreamedTransaction; readonly transaction: Transaction }
  | { readonly kind: 'refused'; readonly outcome: Refused; readonly batchId: string | null }

const unprepared: Intake = { kind: 'refused', outcome: { kind: 'unprepared' }, batchId: null }

const kinds: Readonly<Record<string, Kind>> = { SALE: Kind.sale, REFUND: Kind.refund, VOID: Kind.void }
const noLines: readonly Line[] = []

/** Decodes and checks a record of `transactions`: everything that can be said without a ledger. */
export function takeIn(
  record: LogRecord,
  decoder: TransactionDecoder,
  programme: { readonly currency: string; readonly partitions: number },
  partition: number,
): Intake {
  const { value } = record
  if (value !== null && value.length > largestTransactionValue)
    return refused('too_large', `${value.length} bytes, at most ${largestTransactionValue}`, null)
  const decoded = decoder.decode(value)
  if (decoded.kind === 'fetch') return unprepared
  if (decoded.kind === 'undecodable') return refused('undecodable', decoded.detail, null)
  if (decoded.kind === 'unknown_schema')
    return refused('unknown_schema', `the registry has no schema ${decoded.schemaId}; register it and replay`, null)
  const { event } = decoded
  const transaction = transactionOf(event)
  const refusal = validate(transaction, programme)
  if (refusal !== null) return refused(refusal.reason, refusal.detail, event.batch_id)
  if (record.key === null || !isKeyOf(record.key, event.client_id))
    return refused('invalid', 'the key of the record is not its client_id', event.batch_id)
  const proper = partitionOf(record.key, programme.partitions)
  if (proper !== partition) return misplaced(record, event, proper)
  return { kind: 'transaction', event, transaction }
}

/** A till with another partitioner is no broken source: its transactions are passed on to where they belong, once. */
function misplaced(record: LogRecord, { client_id, batch_id }: StreamedTransaction, proper: number): Intake {
  const where = `client ${client_id} belongs to partition ${proper}`
  if (isForwarded(record.headers))
    return refused('wrong_partition', `${where}, and the record was forwarded before`, batch_id)
  if (!isForwardable(record))
    return refused(
      'wrong_partition',
      `${where}; with more than ${largestForwardedHeaders} bytes of headers it is not forwarded`,
      batch_id,
    )
  return { kind: 'refused', outcome: { kind: 'forward', partition: proper }, batchId: batch_id }
}

function refused(reason: string, detail: string, batchId: string | null): Intake {
  return { kind: 'refused', outcome: { kind: 'dead', reason, detail }, batchId }
}

/** The domain's transaction in an event; a kind without a word here is `unknown`. */
export function transactionOf(event: StreamedTransaction): Transaction {
  return {
    transactionId: event.transaction_id,
    clientId: event.client_id,
    kind: kinds[event.kind] ?? Kind.unknown,
    occurredAtMs: event.occurred_at,
    amountMinor: event.amount_minor,
    currency: event.currency,
    originalTransactionId: event.original_transaction_id,
    storeId: event.store_id,
    discountMinor: event.discount_minor,
    bonusEarnedMinor: event.bonus_earned_minor,
    bonusSpentMinor: event.bonus_spent_minor,
    lines: event.lines.length === 0 ? noLines : event.lines.map(lineOf),
  }
}

function lineOf({ sku, description, category, quantity, amount_minor }: ReceiptLine): Line {
  return { sku, description, category, quantity, amountMinor: amount_minor }
}

/** True when the bytes are the text in UTF-8; no allocation for ASCII. */
function isKeyOf(key: Uint8Array, text: string): boolean {
  if (key.length === text.length) {
    let i = 0
    while (i < key.length && key[i]! < 0x80 && key[i] === text.charCodeAt(i)) i++
    if (i === key.length) return true
  }
  return Buffer.from(text).equals(key)
}

/** Schema id in the frame of a value that is long enough for one, for the dead letter. */
export function writerOf(value: Uint8Array | null): number | null {
  if (value === null || value.length < frameLength || value[0] !== 0) return null
  return new DataView(value.buffer, value.byteOffset).getUint32(1)
}
