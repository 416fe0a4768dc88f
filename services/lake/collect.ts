import { schemaIdOf } from '#schemas/codec.ts'
import { LoyaltyError } from '#streams/core/error.ts'
import type { LogReader, LogRecord } from '#streams/log/log.ts'
import { dayOf, type OffsetRange, type Stream } from './layout.ts'
import { sha256Of } from './manifest.ts'
import type { RowWriter } from './rows.ts'

/** Where a range may end before its last offset. */
export interface RangeLimits {
  /** Of keys and values, about. */
  readonly bytes: number
  readonly records: number
}

const stallMs = 60_000

/** Records of a range, as the rows that are written of them. */
export class Collected {
  next: number
  records = 0
  /** Of keys and values. */
  rawBytes = 0
  withheld = 0
  last: LogRecord | null = null
  readonly schemaIds = new Set<number>()
  readonly rows: RowWriter

  constructor(from: number, rows: RowWriter) {
    this.next = from
    this.rows = rows
  }

  /** Copies the record. */
  async add(record: LogRecord): Promise<void> {
    const copy = copyOf(record)
    const { withheld } = await this.rows.add(copy, dayOf(copy.timestampMs))
    const schemaId = withheld || copy.value === null ? null : schemaIdOf(copy.value)
    if (schemaId !== null) this.schemaIds.add(schemaId)
    if (withheld) this.withheld++
    this.records++
    this.rawBytes += (copy.key?.length ?? 0) + (copy.value?.length ?? 0)
    this.last = copy
    this.next = copy.offset + 1
  }
}

/**
 * Reads a range of a stream with a reader that has nothing else to read meanwhile; with limits no more than they allow.
 * Errors: `log_range_stalled`, those of the log and of `RowWriter.add`.
 */
export async function collectRange(
  reader: LogReader,
  { topic, partition }: Stream,
  range: OffsetRange,
  rows: RowWriter,
  limits: RangeLimits = { bytes: Number.POSITIVE_INFINITY, records: Number.POSITIVE_INFINITY },
): Promise<Collected> {
  const collected = new Collected(range.from, rows)
  const isFull = () => collected.rawBytes >= limits.bytes || collected.records >= limits.records
  reader.seek(topic, partition, range.from)
  try {
    let progressAt = performance.now()
    while (collected.next < range.next && !isFull()) {
      const [batch] = await reader.poll(1_000)
      if (batch !== undefined && batch.nextOffset > collected.next) {
        progressAt = performance.now()
        for (const record of batch.records) if (record.offset < range.next && !isFull()) await collected.add(record)
        // Marks behind the last record are passed.
        if (!isFull()) collected.next = Math.min(batch.nextOffset, range.next)
      } else if (performance.now() - progressAt > stallMs)
        throw new LoyaltyError('log_range_stalled', `no progress reading ${topic}[${partition}]`, { retriable: true })
    }
    return collected
  } finally {
    reader.unassign(topic, partition)
  }
}

/** By which a record is known again: a lake that is continued with another log would be the lake of neither. */
export function identityOf({ offset, timestampMs, key, value }: LogRecord): string {
  return sha256Of(`${offset} ${timestampMs} ${key?.length ?? -1} `, key ?? '', value ?? '')
}

function copyOf({ offset, timestampMs, key, value, headers }: LogRecord): LogRecord {
  const copies: Record<string, Uint8Array> = {}
  for (const name in headers) copies[name] = Uint8Array.from(headers[name]!)
  return { offset, timestampMs, key: key && Buffer.from(key), value: value && Buffer.from(value), headers: copies }
}
