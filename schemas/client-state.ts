import { LoyaltyError } from '#streams/core/error.ts'
import type { AvroWriter } from './avro-writer.ts'
import { eventType, frameLength, reducedType, writeFrame } from './codec.ts'
import { eventWriter } from './event-writer.ts'
import type { ClientStateChanged, ClientStateTail, ClientStateValues } from './events.ts'

/**
 * A row of ClientStateChanged is its values followed by four fields that say when it was written. Two rows are equal in
 * their values exactly when the bytes of `values()` are: that is how a step finds what changed, without decoding.
 */
const firstTailField = 'model_id'
const event = 'ClientStateChanged'
const largestRow = 64 * 1024
/** Values begin at a whole word of the encoder's memory; the frame lies before them. */
const valuesAt = 8
const frameAt = valuesAt - frameLength

/** Encodes rows in two parts, so that a row that did not change costs no allocation. */
export class ClientStateEncoder {
  readonly schemaId: number
  /** The bytes of the values given last, in whole words, with zeros up to a multiple of sixteen bytes. */
  readonly words: Uint32Array
  readonly #values: AvroWriter
  readonly #tail: AvroWriter
  readonly #buffer = Buffer.allocUnsafeSlow(largestRow + 16)
  #valuesEnd = 0

  constructor(schemaId: number) {
    this.schemaId = schemaId
    const { values, tail } = partWriters()
    this.#values = values
    this.#tail = tail
    this.words = new Uint32Array(this.#buffer.buffer, valuesAt)
    writeFrame(this.#buffer, frameAt, schemaId)
  }

  /**
   * Encodes the values of a row and answers how many bytes they are; see `words`. Good until the next call of this encoder.
   *
   * Errors: `event_invalid`.
   */
  values(row: ClientStateValues): number {
    const end = this.#encode(this.#values, row, valuesAt)
    const length = end - valuesAt
    this.#buffer.fill(0, end, valuesAt + ((length + 15) & ~15))
    this.#valuesEnd = end
    return length
  }

  /** The whole row, framed: the values given last, with this tail. Bytes of its own. Errors: `event_invalid`. */
  finish(tail: ClientStateTail): Buffer {
    const end = this.#encode(this.#tail, tail, this.#valuesEnd)
    return Buffer.from(this.#buffer.subarray(frameAt, end))
  }

  encode(row: ClientStateChanged): Buffer {
    this.values(row)
    return this.finish(row)
  }

  #encode(write: AvroWriter, value: object, position: number): number {
    const end = write(value, this.#buffer, position)
    if (end < 0 || end > largestRow)
      throw new LoyaltyError('event_invalid', `a ClientStateChanged is larger than ${largestRow} bytes`)
    return end
  }
}

let parts: { values: AvroWriter; tail: AvroWriter } | undefined

/** Writers for the schema cut in two before `model_id`: records have no marks of their own, so the halves make the whole. */
function partWriters() {
  if (parts === undefined) {
    const names = eventType(event).fields.map(({ name }) => name)
    const cut = names.indexOf(firstTailField)
    const without = (omit: readonly string[]) => eventWriter(event, reducedType(event, omit))
    parts = { values: without(names.slice(cut)), tail: without(names.slice(0, cut)) }
  }
  return parts
}
