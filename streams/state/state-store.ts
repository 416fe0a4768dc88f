/**
 * The state-store port: an ordered map of byte keys to byte values, committed in batches together with a small metadata
 * record, for one task. One process at a time may open a store.
 */

export type Bytes = Uint8Array

/** One change; `value` null deletes. */
export interface StateChange {
  readonly key: Bytes
  readonly value: Bytes | null
}

export interface StateStore {
  /** Errors: `state_locked` (another process has it open), `state_unreadable` (throw it away and rebuild). */
  open(): Promise<void>
  /** The value, or undefined. The bytes are valid until the next call: copy what is kept. */
  get(key: Bytes): Bytes | undefined
  /** Entries with key > `after` (or from the start) in byte order, at most `limit`, keys starting with `prefix`. */
  scan(prefix: Bytes, after: Bytes | null, limit: number): { key: Bytes; value: Bytes }[]
  /** The metadata written by the last commit, or undefined for a new store. */
  meta(): Bytes | undefined
  /**
   * Applies the changes and the metadata atomically. `check` sees the stored metadata inside the transaction; where it
   * answers false nothing is changed and the error is `state_moved`. `inside` runs after the changes, before the end of
   * the transaction (a crash hook); without it the store may write aside, while the caller goes on.
   */
  commit(
    changes: Iterable<StateChange>,
    meta: Bytes,
    check?: (stored: Bytes | undefined) => boolean,
    inside?: () => void,
  ): Promise<void>
  /** Deletes everything, metadata too. */
  wipe(): Promise<void>
  /** Number of entries and bytes on disk. */
  stats(): { entries: number; bytes: number }
  close(): Promise<void>
}
