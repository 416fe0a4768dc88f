import type avro from 'avsc'
import { hasCode, messageOf } from '#streams/core/error.ts'
import { AvroFault, type AvroReader, compileReader } from './avro-reader.ts'
import { asBuffer, eventType, frameLength, reducedType, schemaIdOf } from './codec.ts'
import type { EventName, Events } from './events.ts'
import { eventNamespace } from './published.ts'
import type { Registry } from './registry.ts'

/** What became of one value. A closed list: whoever reads decides what each means for it. */
export type Decoded<Shapes> =
  | { [Name in keyof Shapes]: { readonly kind: 'ok'; readonly name: Name; readonly event: Shapes[Name] } }[keyof Shapes]
  /** No frame, damaged bytes, or a record that this reader does not expect. Permanent. */
  | { readonly kind: 'undecodable'; readonly detail: string; readonly schemaId: number | null }
  /** The registry says that there is no such schema. Permanent for this value. */
  | { readonly kind: 'unknown_schema'; readonly schemaId: number }
  /** The schema has not been asked for yet: await `ensure(schemaId)` and decode again. */
  | { readonly kind: 'fetch'; readonly schemaId: number }

type Writer =
  | { readonly kind: 'readable'; readonly name: string; readonly newest: boolean; readonly read: AvroReader }
  | { readonly kind: 'unreadable'; readonly detail: string }
  | { readonly kind: 'missing'; readonly untilMs: number }

/** An id that is missing now may be given out later, so the answer is kept only so long that a flood asks seldom. */
export const missingForMs = 2_000

/** Text fields whose values come again and again: the last string is given back while the bytes are the same. */
const repeatingFields: ReadonlySet<string> = new Set([
  'currency',
  'source',
  'store_id',
  'terminal_id',
  'payment_method',
  'batch_id',
  'segment',
  'segment_before',
  'model_id',
  'model_version',
  'before',
  'after',
])

/**
 * Decodes framed values into events of the named types, whatever version they were written with. Synchronous once the
 * writer's schema is known; resolvers are kept per writer id. Strings and arrays are copies, so nothing refers to the
 * value's memory afterwards.
 */
export class EventDecoder<Shapes> {
  readonly #registry: Registry
  readonly #readers: ReadonlyMap<string, avro.types.RecordType>
  readonly #writers = new Map<number, Writer>()
  readonly #fetches = new Map<number, Promise<void>>()

  /** `readers`: reader type by full record name. */
  constructor(registry: Registry, readers: readonly avro.types.RecordType[]) {
    this.#registry = registry
    this.#readers = new Map(readers.map((type) => [type.name!, type]))
  }

  decode(value: Uint8Array | null): Decoded<Shapes> {
    if (value === null) return undecodable('no value', null)
    const schemaId = schemaIdOf(value)
    if (schemaId === null) return undecodable('no Confluent frame (magic byte 0, four-byte schema id)', null)
    const writer = this.#writers.get(schemaId)
    if (writer === undefined) return { kind: 'fetch', schemaId }
    if (writer.kind === 'unreadable') return undecodable(writer.detail, schemaId)
    if (writer.kind === 'missing') {
      if (performance.now() < writer.untilMs) return { kind: 'unknown_schema', schemaId }
      this.#writers.delete(schemaId)
      return { kind: 'fetch', schemaId }
    }
    try {
      const event = writer.read(asBuffer(value), frameLength)
      return { kind: 'ok', name: writer.name, event } as unknown as Decoded<Shapes>
    } catch (cause) {
      if (!(cause instanceof AvroFault)) throw cause
      return undecodable(cause.message, schemaId)
    }
  }

  /** True where the value was written with the newest schema of its event, and that is known already. */
  isNewest(value: Uint8Array): boolean {
    const schemaId = schemaIdOf(value)
    if (schemaId === null) return false
    const writer = this.#writers.get(schemaId)
    return writer?.kind === 'readable' && writer.newest
  }

  /**
   * Makes the schema of an id known, or known to be missing. Concurrent calls share one request.
   *
   * Errors: `registry_unavailable` (retriable: nothing was learnt, the value must wait).
   */
  ensure(schemaId: number): Promise<void> {
    if (this.#writers.has(schemaId)) return Promise.resolve()
    let fetch = this.#fetches.get(schemaId)
    if (fetch === undefined) {
      fetch = this.#fetch(schemaId).finally(() => this.#fetches.delete(schemaId))
      this.#fetches.set(schemaId, fetch)
    }
    return fetch
  }

  /** `decode`, fetching the schema first where it must. For readers that are in no hurry. */
  async read(value: Uint8Array | null): Promise<Exclude<Decoded<Shapes>, { kind: 'fetch' }>> {
    for (;;) {
      const decoded = this.decode(value)
      if (decoded.kind !== 'fetch') return decoded as Exclude<Decoded<Shapes>, { kind: 'fetch' }>
      await this.ensure(decoded.schemaId)
    }
  }

  async #fetch(schemaId: number): Promise<void> {
    this.#writers.set(schemaId, await this.#writerOf(schemaId))
  }

  async #writerOf(schemaId: number): Promise<Writer> {
    try {
      const type = await this.#registry.schemaById(schemaId)
      return type === null ? { kind: 'missing', untilMs: performance.now() + missingForMs } : this.#resolve(type)
    } catch (error) {
      // A schema that is there but is no Avro stays so; waiting would hold up the partition for ever.
      if (!hasCode(error, 'registry_schema_unusable')) throw error
      return { kind: 'unreadable', detail: error.message }
    }
  }

  #resolve(writer: avro.Type): Writer {
    const reader = this.#readers.get(writer.name ?? '')
    if (reader === undefined) return { kind: 'unreadable', detail: `unexpected type ${writer.name ?? writer.typeName}` }
    try {
      const name = reader.name!.slice(eventNamespace.length + 1)
      const newest = writer.equals(eventType(name as EventName))
      return { kind: 'readable', name, newest, read: compileReader(writer, reader, repeatingFields) }
    } catch (cause) {
      return { kind: 'unreadable', detail: `written with a schema this reader cannot read: ${messageOf(cause)}` }
    }
  }
}

/** Decoder of whole events. */
export function decoderOf<N extends EventName>(registry: Registry, ...names: N[]): EventDecoder<Pick<Events, N>> {
  return new EventDecoder(registry, names.map(eventType))
}

/** Decoder of one event without the fields in `omit`, which are skipped unbuilt. */
export function reducedDecoder<N extends EventName, Omitted extends keyof Events[N] & string>(
  registry: Registry,
  name: N,
  omit: readonly Omitted[],
): EventDecoder<Record<N, Omit<Events[N], Omitted>>> {
  return new EventDecoder(registry, [reducedType(name, omit)])
}

function undecodable(
  detail: string,
  schemaId: number | null,
): { kind: 'undecodable'; detail: string; schemaId: number | null } {
  return { kind: 'undecodable', detail, schemaId }
}
