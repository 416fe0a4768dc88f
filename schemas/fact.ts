import type avro from 'avsc'
import type { AvroWriter } from './avro-writer.ts'
import { eventType, parseSchema } from './codec.ts'
import { eventWriter } from './event-writer.ts'
import type { Fact } from './events.ts'
import type { ScannedTransaction } from './transaction-scan.ts'

/** What a step adds to a transaction to make a fact of it. */
type Added = Pick<
  Fact,
  | 'day'
  | 'offset'
  | 'count_effect'
  | 'gross_effect_minor'
  | 'net_effect_minor'
  | 'purchase_number'
  | 'days_since_previous'
  | 'segment_before'
  | 'arrived_day'
>

/** A fact to write: a transaction of kind SALE, REFUND or VOID, the two halves of its key, and what the step adds. */
export interface NewFact extends Added {
  readonly transaction: ScannedTransaction
  readonly keyHi: number
  readonly keyLo: number
}

/** More than the fields that are added take, without the segment. */
const addedBytes = 128

/**
 * Writes a fact as an `AvroWriter` does. Most of it are fields that the transaction has in the same encoding: their bytes
 * are copied, texts are never built.
 */
export function writeFact(fact: NewFact, out: Buffer, position: number): number {
  const { transaction: t, segment_before } = fact
  const most = position + t.bytes.length + addedBytes + (segment_before === null ? 0 : segment_before.length * 3)
  if (most > out.length) return out.length - most
  const { bytes } = t
  const { place, effect } = writers()
  let at = copy(bytes, t.idFrom, t.idEnd, out, position)
  at = out.writeUInt32BE(fact.keyHi, at)
  at = out.writeUInt32BE(fact.keyLo, at)
  at = copy(bytes, t.idEnd, t.clientEnd, out, at)
  // Facts have no UNKNOWN, the first of a transaction's kinds.
  out[at++] = (t.kind - 1) << 1
  at = copy(bytes, t.occurredFrom, t.amountFrom, out, at)
  at = place(fact, out, at)
  at = copy(bytes, t.amountFrom, t.amountEnd, out, at)
  at = copy(bytes, t.currencyEnd, t.sourceEnd, out, at)
  at = copy(bytes, t.paymentEnd, t.batchEnd, out, at)
  at = copy(bytes, t.sourceEnd, t.paymentEnd, out, at)
  at = copy(bytes, t.batchEnd, t.categoriesEnd, out, at)
  at = copy(bytes, t.discountFrom, t.bonusEnd, out, at)
  return effect(fact, out, at)
}

/** Id of the transaction of a fact that was written at `position`. */
export function idOfFact(bytes: Buffer, position: number): string {
  const { value } = idType.decode(bytes, position)
  return value as string
}

const idType = parseSchema('"string"')

/** Ranges are a few bytes: a loop is quicker than a call. */
function copy(from: Uint8Array, start: number, end: number, to: Uint8Array, position: number): number {
  let at = position
  for (let i = start; i < end; i++) to[at++] = from[i]!
  return at
}

let compiled: { place: AvroWriter; effect: AvroWriter } | undefined

/** Writers of the two runs of fields that a step adds: records have no marks of their own. */
function writers() {
  if (compiled === undefined) {
    const { type } = eventType('TransactionsAccepted').field('facts')
    const fact = (type as avro.types.ArrayType).itemsType.schema() as unknown as { fields: { name: string }[] }
    const partOf = (...names: (keyof Added)[]) => {
      const fields = fact.fields.filter(({ name }) => (names as string[]).includes(name))
      return parseSchema({ ...fact, fields } as unknown as avro.schema.AvroSchema)
    }
    const effects = ['count_effect', 'gross_effect_minor', 'net_effect_minor'] as const
    compiled = {
      place: eventWriter('TransactionsAccepted', partOf('day', 'offset')),
      effect: eventWriter(
        'TransactionsAccepted',
        partOf(...effects, 'purchase_number', 'days_since_previous', 'segment_before', 'arrived_day'),
      ),
    }
  }
  return compiled
}
