import { type DeadLetter, decodeDeadLetterHeaders, decodeReplayHeaders, type Replay } from '#schemas/dead-letter.ts'
import { type Decoded, type EventDecoder, reducedDecoder } from '#schemas/decoder.ts'
import type { TransactionRecorded } from '#schemas/events.ts'
import type { Registry } from '#schemas/registry.ts'
import { hasCode } from '#streams/core/error.ts'
import type { LogRecord } from '#streams/log/log.ts'

/** What tells letters from one another, beside their headers; null where the value cannot be decoded. */
export interface LetterSummary {
  readonly transactionId: string
  readonly clientId: string
  /** `pos:<system>` or `upload:<id>`, cut after 256 characters. */
  readonly source: string
}

/** A record of the dead letters. Its bytes belong to the fetch buffer. */
export interface Letter {
  readonly partition: number
  readonly offset: number
  readonly about: DeadLetter
  /** Null for a record that was not replayed before it came here. */
  readonly replay: Replay | null
  readonly key: Uint8Array | null
  readonly value: Uint8Array | null
  /** Length of the value. */
  readonly bytes: number
  readonly summary: LetterSummary | null
}

/** The identity of a letter, which never changes: `partition:offset` in the dead letters. */
export function idOf({ partition, offset }: Pick<Letter, 'partition' | 'offset'>): string {
  return `${partition}:${offset}`
}

export const idPattern = /^\d{1,9}:\d{1,16}$/

/** Null where the text is no id. */
export function parseId(id: string): { readonly partition: number; readonly offset: number } | null {
  if (!idPattern.test(id)) return null
  const [partition, offset] = id.split(':').map(Number) as [number, number]
  return Number.isSafeInteger(offset) ? { partition, offset } : null
}

export function keyText({ key }: Pick<Letter, 'key'>): string | null {
  return key === null ? null : Buffer.from(key.buffer, key.byteOffset, key.byteLength).toString()
}

/** How often the stream has met the transaction: 1 for a letter that was never replayed. */
export function attemptOf({ replay }: Pick<Letter, 'replay'>): number {
  return replay?.attempt ?? 1
}

const longestSource = 256
/** Schemas that one pass asks for. */
const mostSchemas = 1_000

type Told = 'transaction_id' | 'client_id' | 'source'
type Summarised = { TransactionRecorded: Pick<TransactionRecorded, Told> }

const untold = [
  ...(['kind', 'occurred_at', 'amount_minor', 'currency', 'store_id', 'terminal_id', 'receipt_number'] as const),
  ...(['original_transaction_id', 'payment_method', 'batch_id', 'items_count', 'categories', 'lines'] as const),
  ...(['discount_minor', 'bonus_earned_minor', 'bonus_spent_minor', 'attributes'] as const),
] satisfies (keyof TransactionRecorded)[]

/** Reads records of the dead letters. A new one for each pass: a schema may have been registered since the last. */
export class LetterReader {
  readonly #decoder: EventDecoder<Summarised>
  #asked = 0

  constructor(registry: Registry) {
    this.#decoder = reducedDecoder(registry, 'TransactionRecorded', untold)
  }

  /** Null for a record that the platform did not write. Errors: `registry_unavailable`. */
  async read(record: LogRecord, partition: number): Promise<Letter | null> {
    const about = aboutOf(record)
    if (about === null) return null
    const { offset, key, value, headers } = record
    // At once where the schema is known: of a million letters none should wait for a promise.
    const first = this.#decoder.decode(value)
    const decoded = first.kind === 'fetch' ? await this.#fetched(value, first) : first
    const bytes = value?.length ?? 0
    return {
      ...{ partition, offset, about, key, value, bytes },
      replay: decodeReplayHeaders(headers),
      summary: summaryOf(decoded),
    }
  }

  /** Garbage may name another schema in each value: the registry is not asked about all of them. */
  async #fetched(value: Uint8Array | null, first: Decoded<Summarised>): Promise<Decoded<Summarised>> {
    if (this.#asked >= mostSchemas) return first
    this.#asked++
    return this.#decoder.read(value)
  }
}

function summaryOf(decoded: Decoded<Summarised>): LetterSummary | null {
  if (decoded.kind !== 'ok') return null
  const { transaction_id: transactionId, client_id: clientId, source } = decoded.event
  return { transactionId, clientId, source: source.slice(0, longestSource) }
}

function aboutOf({ headers }: LogRecord): DeadLetter | null {
  try {
    return decodeDeadLetterHeaders(headers)
  } catch (error) {
    if (hasCode(error, 'dead_letter_unreadable')) return null
    throw error
  }
}
