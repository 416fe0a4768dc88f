import { LoyaltyError } from '../core/error.ts'
import type { Bytes, StateChange, StateStore } from './state-store.ts'

/** A state store in memory, for tests and for measuring. Survives `close` and `open`, as a directory would. */
export class MemoryStateStore implements StateStore {
  readonly #values = new Map<string, { key: Uint8Array; value: Uint8Array }>()
  #meta: Uint8Array | undefined
  #bytes = 0
  #isOpen = false

  async open(): Promise<void> {
    if (this.#isOpen) throw new LoyaltyError('state_locked', 'the store is open already', { retriable: true })
    this.#isOpen = true
  }

  get(key: Bytes): Bytes | undefined {
    return this.#values.get(textOf(key))?.value
  }

  scan(prefix: Bytes, after: Bytes | null, limit: number): { key: Bytes; value: Bytes }[] {
    const start = textOf(prefix)
    const from = after === null ? '' : textOf(after)
    const found = [...this.#values].filter(([text]) => text.startsWith(start) && text > from)
    return found
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .slice(0, limit)
      .map(([, entry]) => entry)
  }

  meta(): Bytes | undefined {
    return this.#meta
  }

  async commit(
    changes: Iterable<StateChange>,
    meta: Bytes,
    check?: (stored: Bytes | undefined) => boolean,
    inside?: () => void,
  ): Promise<void> {
    const copies = [...changes].map(({ key, value }) => ({
      key: Uint8Array.from(key),
      value: value && Uint8Array.from(value),
    }))
    if (check !== undefined && !check(this.#meta))
      throw new LoyaltyError('state_moved', 'the store was written by another owner')
    inside?.()
    for (const { key, value } of copies) this.#put(key, value)
    this.#meta = Uint8Array.from(meta)
  }

  async wipe(): Promise<void> {
    this.#values.clear()
    this.#meta = undefined
    this.#bytes = 0
  }

  stats(): { entries: number; bytes: number } {
    return { entries: this.#values.size, bytes: this.#bytes }
  }

  async close(): Promise<void> {
    this.#isOpen = false
  }

  #put(key: Uint8Array, value: Uint8Array | null): void {
    const text = textOf(key)
    const before = this.#values.get(text)
    if (before !== undefined) this.#bytes -= before.key.length + before.value.length
    if (value === null) {
      this.#values.delete(text)
      return
    }
    this.#values.set(text, { key, value })
    this.#bytes += key.length + value.length
  }
}

/** Sorts and compares as the bytes do. */
function textOf(key: Uint8Array): string {
  return Buffer.from(key.buffer, key.byteOffset, key.byteLength).toString('latin1')
}
