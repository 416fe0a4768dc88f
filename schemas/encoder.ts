import type { AvroWriter } from './avro-writer.ts'
import { frameLength, writeFrame } from './codec.ts'
import { eventWriter } from './event-writer.ts'
import type { EventName, Events } from './events.ts'

type FieldsWithDefault = {
  TransactionRecorded:
    | 'store_id'
    | 'terminal_id'
    | 'receipt_number'
    | 'original_transaction_id'
    | 'payment_method'
    | 'batch_id'
    | 'items_count'
    | 'categories'
    | 'lines'
    | 'discount_minor'
    | 'bonus_earned_minor'
    | 'bonus_spent_minor'
    | 'attributes'
  ClientProfileChanged: Exclude<keyof Events['ClientProfileChanged'], 'client_id'>
}

/** An event as it may be given to an encoder: what a door fills in may be left out where the schema has a default. */
export type Encodable<N extends EventName> = N extends keyof FieldsWithDefault
  ? Omit<Events[N], FieldsWithDefault[N]> & Partial<Pick<Events[N], FieldsWithDefault[N] & keyof Events[N]>>
  : Events[N]

const slabLength = 256 * 1024

type Write = (buffer: Buffer, position: number) => number

/**
 * Writes values one behind the other into slabs and hands out slices: one allocation per quarter megabyte. A slab lives
 * as long as one of its slices does, so whoever keeps a value for long copies it.
 */
class Slab {
  #buffer = Buffer.allocUnsafeSlow(slabLength)
  #position = 0

  /** Runs `write(buffer, position)`, which returns the end, or minus the bytes missing. `expected`: likely length. */
  take(write: Write, expected: number): Buffer {
    if (this.#position + expected > this.#buffer.length) this.#renew(expected)
    let end = write(this.#buffer, this.#position)
    if (end < 0) {
      this.#renew(this.#buffer.length - this.#position - end)
      end = write(this.#buffer, 0)
    }
    const taken = this.#buffer.subarray(this.#position, end)
    this.#position = end
    return taken
  }

  #renew(needed: number): void {
    this.#buffer = Buffer.allocUnsafeSlow(Math.max(slabLength, needed))
    this.#position = 0
  }
}

const slab = new Slab()

/** Encodes one type of event under the id it was registered with. */
export class EventEncoder<N extends EventName> {
  readonly name: N
  readonly schemaId: number
  readonly #writeAvro: AvroWriter
  #expected = 0

  constructor(name: N, schemaId: number) {
    this.name = name
    this.schemaId = schemaId
    this.#writeAvro = eventWriter(name)
  }

  /**
   * Framed bytes, the caller's to keep (copy what is kept for minutes: neighbours share memory).
   *
   * Errors: `event_invalid`: a field is missing, of the wrong type, or a long outside ±2^53.
   */
  encode(event: Encodable<N>): Buffer {
    const bytes = slab.take((buffer, position) => this.#write(event, buffer, position), this.#expected)
    this.#expected = bytes.length
    return bytes
  }

  #write(event: Encodable<N>, buffer: Buffer, position: number): number {
    const end = this.#writeAvro(event, buffer, position + frameLength)
    if (end >= 0) writeFrame(buffer, position, this.schemaId)
    return end
  }
}

/** Encoders for the ids of `registerAll`. */
export function encodersOf<N extends EventName>(
  ids: Readonly<Record<N, number>>,
): { readonly [Name in N]: EventEncoder<Name> } {
  const names = Object.keys(ids) as N[]
  return Object.fromEntries(names.map((name) => [name, new EventEncoder(name, ids[name])])) as unknown as {
    readonly [Name in N]: EventEncoder<Name>
  }
}
