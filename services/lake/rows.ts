import { schemaIdOf } from '#schemas/codec.ts'
import { type DeadLetter, deadLetterHeaders, decodeDeadLetterHeaders } from '#schemas/dead-letter.ts'
import { decoderOf, reducedDecoder } from '#schemas/decoder.ts'
import type { Registry } from '#schemas/registry.ts'
import type { Topics } from '#schemas/topics.ts'
import { hasCode } from '#streams/core/error.ts'
import type { LogRecord } from '#streams/log/log.ts'
import {
  type ControlRow,
  controlColumns,
  type DeadLetterRow,
  deadLetterColumns,
  type RecordRow,
  type TransactionFacts,
  type TransactionRow,
  transactionColumns,
} from './columns.ts'
import { headersText } from './headers.ts'
import type { LogEventType, Stream } from './layout.ts'
import { writeParquet } from './parquet.ts'

/** Rows of one event type, as they are collected and written. */
export interface RowWriter {
  /** Adds a record. `withheld` where its content is left out. Errors: `registry_unavailable` (retriable). */
  add(record: LogRecord, day: string): Promise<{ readonly withheld: boolean }>
  /** The days that have records, with the number of their rows and their file; each is let go once it was given. */
  files(): Generator<{ readonly day: string; readonly rows: number; readonly content: Uint8Array }>
}

const undecoded = ['lines', 'attributes', 'categories'] as const

/** Makes the writers of rows. Decoders are kept: they know the schemas that they have seen. */
export function rowWriters(registry: Registry, topics: Topics): (stream: Stream) => RowWriter {
  const transactions = reducedDecoder(registry, 'TransactionRecorded', undecoded)
  const control = decoderOf(registry, 'ProgrammeConfigured', 'DayStarted', 'CutPointsPublished', 'ModelActivated')

  async function factsOf(value: Uint8Array | null): Promise<TransactionFacts> {
    const first = transactions.decode(value)
    const decoded = first.kind === 'fetch' ? await transactions.read(value) : first
    if (decoded.kind !== 'ok') return nothing
    const { transaction_id, client_id, kind, occurred_at, amount_minor, currency } = decoded.event
    const { source, store_id, batch_id } = decoded.event
    return { transaction_id, client_id, kind, occurred_at, amount_minor, currency, source, store_id, batch_id }
  }
  async function transactionRow(stream: Stream, record: LogRecord): Promise<TransactionRow> {
    return { ...recordRow(stream, record), ...(await factsOf(record.value)) }
  }
  async function controlRow(stream: Stream, record: LogRecord): Promise<ControlRow> {
    const decoded = await control.read(record.value)
    const known = decoded.kind === 'ok' ? { event: decoded.name, event_json: JSON.stringify(decoded.event) } : null
    return { ...recordRow(stream, record), ...(known ?? { event: null, event_json: null }) }
  }
  async function letterRow(stream: Stream, record: LogRecord): Promise<DeadLetterRow> {
    const about = letterOf(record)
    // Master data of clients has no place in a lake, nor has what could not be read of it.
    const withheld = about?.topic === topics.clients
    const kept = withheld ? { ...record, key: null, value: null } : record
    return {
      ...recordRow(stream, kept, withheld ? [deadLetterHeaders.detail] : []),
      reason: about?.reason ?? null,
      detail: withheld ? null : (about?.detail ?? null),
      original_topic: about?.topic ?? null,
      original_partition: about?.partition ?? null,
      original_offset: about?.offset ?? null,
      original_timestamp: about?.timestampMs ?? null,
      truncated_from: about?.truncatedFrom ?? null,
      ...(await factsOf(kept.value)),
    }
  }

  const made: Record<LogEventType, (stream: Stream) => RowWriter> = {
    transaction: (stream) => new DayRows(transactionColumns, (record) => transactionRow(stream, record)),
    control: (stream) => new DayRows(controlColumns, (record) => controlRow(stream, record)),
    dead_letter: (stream) =>
      new DayRows(
        deadLetterColumns,
        (record) => letterRow(stream, record),
        (row) => row.original_topic === topics.clients,
      ),
  }
  return (stream) => made[stream.eventType](stream)
}

class DayRows<Name extends string> implements RowWriter {
  readonly #days = new Map<string, Parameters<typeof writeParquet<Name>>[1][number][]>()
  readonly #columns: Parameters<typeof writeParquet<Name>>[0]
  readonly #rowOf: (record: LogRecord) => Promise<Parameters<typeof writeParquet<Name>>[1][number]>
  readonly #isWithheld: (row: Parameters<typeof writeParquet<Name>>[1][number]) => boolean

  constructor(
    columns: Parameters<typeof writeParquet<Name>>[0],
    rowOf: (record: LogRecord) => Promise<Parameters<typeof writeParquet<Name>>[1][number]>,
    isWithheld: (row: Parameters<typeof writeParquet<Name>>[1][number]) => boolean = () => false,
  ) {
    this.#columns = columns
    this.#rowOf = rowOf
    this.#isWithheld = isWithheld
  }

  async add(record: LogRecord, day: string) {
    const row = await this.#rowOf(record)
    const rows = this.#days.get(day)
    if (rows === undefined) this.#days.set(day, [row])
    else rows.push(row)
    return { withheld: this.#isWithheld(row) }
  }

  *files() {
    for (const [day, rows] of [...this.#days].sort(([a], [b]) => (a < b ? -1 : 1))) {
      this.#days.delete(day)
      yield { day, rows: rows.length, content: writeParquet(this.#columns, rows) }
    }
  }
}

const nothing: TransactionFacts = {
  ...{ transaction_id: null, client_id: null, kind: null, occurred_at: null, amount_minor: null },
  ...{ currency: null, source: null, store_id: null, batch_id: null },
}

function recordRow({ topic, partition }: Stream, record: LogRecord, leftOut: readonly string[] = []): RecordRow {
  const { offset, timestampMs, key, value, headers } = record
  return {
    ...{ topic, partition, offset, timestamp: timestampMs, key, headers: headersText(headers, leftOut), value },
    schema_id: value === null ? null : schemaIdOf(value),
  }
}

function letterOf({ headers }: LogRecord): DeadLetter | null {
  try {
    return decodeDeadLetterHeaders(headers)
  } catch (error) {
    if (hasCode(error, 'dead_letter_unreadable')) return null
    throw error
  }
}
