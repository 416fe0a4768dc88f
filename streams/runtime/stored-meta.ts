import { murmur2 } from '../core/partitioner.ts'
import type { Bytes, LogRecord } from '../log/log.ts'

/** Metadata that a task's store keeps in the same transaction as its state. */
export interface StoredMeta {
  readonly programme: string
  readonly foldVersion: number
  /** Next offset of the input that the ledgers do not hold yet. */
  readonly transactions: number
  /** Try of the step that wrote it, '' while restoring. */
  readonly attempt: string
  /** Rows and blocks below these offsets are in the state; lower bounds, reading them again changes nothing. */
  readonly rowsFrom: number
  readonly blocksFrom: number
  /** The last folded record, to notice a log that is not the one the state came from. */
  readonly last: FoldedRecord | null
}

export interface FoldedRecord {
  readonly offset: number
  /** See `recordHash`. */
  readonly hash: number
}

export function encodeMeta(meta: StoredMeta): Bytes {
  return Buffer.from(JSON.stringify(meta))
}

/** Null for missing or unreadable metadata: such state cannot be trusted. */
export function decodeMeta(bytes: Bytes | undefined): StoredMeta | null {
  if (bytes === undefined) return null
  try {
    return JSON.parse(Buffer.from(bytes).toString()) as StoredMeta
  } catch {
    return null
  }
}

/** 32-bit hash of a record's key, value and arrival time. */
export function recordHash(record: LogRecord): number {
  const key = record.key === null ? 1 : murmur2(record.key)
  const value = record.value === null ? 1 : murmur2(record.value)
  return (Math.imul(key, 31) ^ value ^ (record.timestampMs % 0x7fffffff)) | 0
}
