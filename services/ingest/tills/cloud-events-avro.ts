import { dataOf, type EventKind } from './cloud-event-data.ts'
import { itemOfEvent } from './cloud-events.ts'
import { RefusedItem } from './rejection.ts'

/**
 * CloudEvents 1.0 in Avro: one record of a map of attributes (each null, boolean, int, string or bytes) and the data. Read
 * by hand: what a sender announces (lengths, counts) is never believed before it is there.
 */

const maxAttributes = 1_000

/** Branches of the unions, in the order of the specification's schema. */
const attributeBranches = ['null', 'boolean', 'int', 'string', 'bytes'] as const
const dataBranches = ['bytes', 'null', 'boolean', 'map', 'array', 'double', 'string'] as const

/**
 * The item in the event, or why there is none. Data is JSON as text or bytes, or, where `datacontenttype` is
 * `application/avro`, an event of the platform itself. Errors: those of `ofAvro`.
 */
export async function itemOfAvro(bytes: Buffer, kind: EventKind): Promise<unknown> {
  let event: AvroEvent
  try {
    event = readEvent(bytes)
  } catch (error) {
    if (error instanceof Malformed) return refused(null, `the body is no CloudEvent in Avro: ${error.message}`)
    throw error
  }
  const { datacontenttype: type = 'application/json', ...attributes } = event.attributes
  const data = await dataOf(event.data, String(type), kind)
  return data instanceof RefusedItem ? data : itemOfEvent({ ...attributes, data }, kind.eventType)
}

interface AvroEvent {
  readonly attributes: Readonly<Record<string, unknown>>
  readonly data: Buffer | string | null
}

class Malformed extends Error {}

function readEvent(bytes: Buffer): AvroEvent {
  const reader = new Reader(bytes)
  const attributes: Record<string, unknown> = Object.create(null)
  let read = 0
  for (let count = reader.blockCount(); count !== 0; count = reader.blockCount())
    for (let i = 0; i < count; i++) {
      if (++read > maxAttributes) throw new Malformed(`more than ${maxAttributes} attributes`)
      const name = reader.text()
      attributes[name] = reader.attribute()
    }
  const data = reader.data()
  reader.end()
  return { attributes, data }
}

class Reader {
  readonly #bytes: Buffer
  #at = 0

  constructor(bytes: Buffer) {
    this.#bytes = bytes
  }

  attribute(): unknown {
    switch (this.#branch(attributeBranches)) {
      case 'null':
        return undefined
      case 'boolean':
        return this.#take(1)[0] !== 0
      case 'int':
        return this.#long()
      case 'string':
        return this.text()
      case 'bytes':
        return this.#take(this.#long())
    }
  }

  data(): AvroEvent['data'] {
    const branch = this.#branch(dataBranches)
    if (branch === 'bytes') return this.#take(this.#long())
    if (branch === 'string') return this.text()
    if (branch === 'null') return null
    throw new Malformed(`data as ${branch} is not read; send JSON as text or bytes`)
  }

  text(): string {
    return this.#take(this.#long()).toString()
  }

  /** Items of the next block of a map; 0 ends it. */
  blockCount(): number {
    const count = this.#long()
    if (count >= 0) return count
    this.#long()
    return -count
  }

  end(): void {
    if (this.#at !== this.#bytes.length) throw new Malformed(`${this.#bytes.length - this.#at} bytes too many`)
  }

  #branch<const Names extends readonly string[]>(names: Names): Names[number] {
    const index = this.#long()
    const name = names[index]
    if (name === undefined) throw new Malformed(`a union has no branch ${index}`)
    return name
  }

  #take(length: number): Buffer {
    if (length < 0 || length > this.#bytes.length - this.#at) throw new Malformed('it ends early')
    this.#at += length
    return this.#bytes.subarray(this.#at - length, this.#at)
  }

  /** Whole numbers beyond 32 bits stand for nothing here. */
  #long(): number {
    let value = 0
    for (let shift = 0; shift < 35; shift += 7) {
      const byte = this.#bytes[this.#at++]
      if (byte === undefined) throw new Malformed('it ends early')
      value += (byte & 0x7f) * 2 ** shift
      if (byte < 0x80) return value % 2 === 0 ? value / 2 : -(value + 1) / 2
    }
    throw new Malformed('a number is too large')
  }
}

function refused(field: string | null, message: string): RefusedItem {
  return new RefusedItem({ code: 'bad_event', field, message })
}
