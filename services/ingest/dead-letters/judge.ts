import { schemaIdOf } from '#schemas/codec.ts'
import type { DeadLetterReason } from '#schemas/dead-letter.ts'
import { decoderOf, type EventDecoder, reducedDecoder } from '#schemas/decoder.ts'
import type { EventEncoder } from '#schemas/encoder.ts'
import type { TransactionRecorded } from '#schemas/events.ts'
import type { Registry } from '#schemas/registry.ts'
import { hasCode } from '#streams/core/error.ts'
import { partitionOf } from '#streams/core/partitioner.ts'
import type { Log } from '#streams/log/log.ts'
import { type TransactionDecoder, takeIn } from '#streams/topologies/intake.ts'
import type { Generations } from '../undo/generations.ts'
import { keyText, type Letter } from './letter.ts'
import { mend } from './mend.ts'
import type { MendingRule } from './rule.ts'
import { underSchema, wholeValue } from './value.ts'

/** Why a letter is left as it is. A closed list. */
export const leftReasons = ['still_invalid', 'untouched', 'rule_unfit', 'discard_only', 'original_gone'] as const
export type LeftReason = (typeof leftReasons)[number]

export type Verdict =
  | {
      readonly kind: 'replay'
      /** Of the transactions. */
      readonly partition: number
      readonly key: Uint8Array
      readonly value: Uint8Array
      /** The refused schema is known by now: processors may still hold that it is not. */
      readonly schemaWasUnknown: boolean
    }
  | {
      readonly kind: 'left'
      readonly why: LeftReason
      /** What the stream would say, where it is `still_invalid`. */
      readonly reason: DeadLetterReason | null
      readonly detail: string
    }

export interface JudgeDeps {
  readonly log: Log
  readonly registry: Registry
  readonly encoder: EventEncoder<'TransactionRecorded'>
  readonly programme: { readonly currency: string; readonly partitions: number }
  /** Null: letters are replayed as they are. */
  readonly rule: MendingRule | null
  /** Receipts that were taken back after the letter came: under their old ids nothing counts any more. */
  readonly generations?: Generations | undefined
  /** Uploads that were taken back. */
  readonly undone?: ReadonlySet<string> | undefined
}

interface Mending {
  readonly key: Uint8Array | null
  readonly value: Uint8Array
}

/**
 * Says what replaying a letter would come to, as far as can be said without the ledger of its client: whether it counts,
 * is a duplicate or a conflict, only the stream knows. A new one for each pass, as `LetterReader`.
 */
export class Judge {
  readonly #deps: JudgeDeps
  readonly #decoder: EventDecoder<{ TransactionRecorded: TransactionRecorded }>
  /** As the stream has it. */
  readonly #door: TransactionDecoder

  constructor(deps: JudgeDeps) {
    this.#deps = deps
    this.#decoder = decoderOf(deps.registry, 'TransactionRecorded')
    this.#door = reducedDecoder(deps.registry, 'TransactionRecorded', ['attributes'])
  }

  /** Errors: `registry_unavailable`; those of the log. */
  async judge(letter: Letter): Promise<Verdict> {
    const { reason } = letter.about
    if (await this.#isOfUndone(letter.value))
      return left('discard_only', 'the upload that brought it was taken back: discard it')
    if (reason === 'conflicting_duplicate' && !(await this.#wasTakenBack(letter.value)))
      return left(
        'discard_only',
        'the transaction counts with other content, and the first in the log stands: discard it',
      )
    const value = await wholeValue(this.#deps.log, letter)
    if (value === 'gone')
      return left('original_gone', 'the value was cut, and the record it was cut from is not there any more')
    const { rule } = this.#deps
    if (rule === null && (reason === 'beyond_ledger' || reason === 'sums_too_large'))
      return left('still_invalid', 'as it is, it would be refused again: ledgers only grow', reason)
    const mended = rule === null || value === null ? { key: letter.key, value } : await this.#mend(letter, value, rule)
    return 'kind' in mended ? mended : this.#check(mended, letter)
  }

  async #mend(letter: Letter, value: Uint8Array, rule: MendingRule): Promise<Mending | Verdict> {
    const framed = rule.schema_id === undefined ? value : underSchema(value, rule.schema_id)
    const decoded = await this.#decoder.read(framed)
    if (decoded.kind === 'undecodable') return left('still_invalid', decoded.detail, 'undecodable')
    if (decoded.kind === 'unknown_schema')
      return left('still_invalid', `the registry has no schema ${decoded.schemaId}`, 'unknown_schema')
    const mended = mend(decoded.event, rule, this.#deps.programme)
    if (mended.kind === 'unfit') return left('rule_unfit', mended.detail)
    if (mended.kind === 'too_large') return left('still_invalid', mended.detail, 'invalid')
    const key = keyFor(letter, decoded.event.client_id, mended.event.client_id, rule)
    const rekeyed = key !== letter.key
    // What was only read by another schema stays as its writer wrote it.
    if (!mended.changed) return framed === value && !rekeyed ? untouched : { key, value: framed }
    try {
      return { key, value: this.#deps.encoder.encode(mended.event) }
    } catch (error) {
      if (hasCode(error, 'event_invalid')) return left('still_invalid', error.message, 'invalid')
      throw error
    }
  }

  async #isOfUndone(value: Uint8Array | null): Promise<boolean> {
    const { undone } = this.#deps
    if (undone === undefined || undone.size === 0) return false
    const decoded = await this.#decoder.read(value)
    return decoded.kind === 'ok' && decoded.event.batch_id !== null && undone.has(decoded.event.batch_id)
  }

  /** True where what the letter is in conflict with does not count any more. */
  async #wasTakenBack(value: Uint8Array | null): Promise<boolean> {
    const { generations } = this.#deps
    if (generations === undefined || generations.size === 0) return false
    const decoded = await this.#decoder.read(value)
    if (decoded.kind !== 'ok') return false
    const { client_id: client, transaction_id: id } = decoded.event
    return generations.renewed(client, id) !== id
  }

  /** Under the id that its receipt has now. */
  async #inForce(value: Uint8Array): Promise<Uint8Array> {
    const { generations, encoder } = this.#deps
    if (generations === undefined || generations.size === 0) return value
    const decoded = await this.#decoder.read(value)
    if (decoded.kind !== 'ok') return value
    const event = generations.inForce(decoded.event)
    return event === decoded.event ? value : encoder.encode(event)
  }

  /** By the door of the stream itself. */
  async #check({ key, value }: { key: Uint8Array | null; value: Uint8Array | null }, letter: Letter): Promise<Verdict> {
    const { programme } = this.#deps
    const partition = key === null ? letter.partition : partitionOf(key, programme.partitions)
    const record = { offset: 0, timestampMs: 0, key, value, headers: {} }
    for (;;) {
      const intake = takeIn(record, this.#door, programme, partition)
      if (intake.kind === 'transaction') {
        const schemaWasUnknown = letter.about.reason === 'unknown_schema' && value === letter.value
        return { kind: 'replay', partition, key: key!, value: await this.#inForce(value!), schemaWasUnknown }
      }
      const { outcome } = intake
      if (outcome.kind === 'dead') return left('still_invalid', outcome.detail, outcome.reason as DeadLetterReason)
      await this.#door.ensure(schemaIdOf(value!)!)
    }
  }
}

const untouched: Verdict = left('untouched', 'the rule changes nothing in it')

function left(why: LeftReason, detail: string, reason: DeadLetterReason | null = null): Verdict {
  return { kind: 'left', why, reason, detail }
}

/** The key follows the client where it was the client's before; a key that was another's is only set right when told to. */
function keyFor(letter: Letter, before: string, after: string, { rekey }: MendingRule): Uint8Array | null {
  const known = keyText(letter)
  if (known === after || (rekey !== true && known !== before)) return letter.key
  return Buffer.from(after)
}
