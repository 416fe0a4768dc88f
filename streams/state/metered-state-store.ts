import type { Bytes, StateChange, StateStore } from './state-store.ts'

/** Told what is done to a store; called often, so it must be cheap. */
export interface StateMeter {
  /** One `get`; `found` tells whether there was a value. */
  read(found: boolean): void
  /** One `scan` with the number of its entries. */
  scanned(entries: number): void
  /** One successful commit: changes, bytes of their keys and values, milliseconds. */
  committed(changes: number, bytes: number, ms: number): void
}

/** The same store, with `meter` told of every read and commit. */
export function meteredStateStore(store: StateStore, meter: StateMeter): StateStore {
  return {
    open: () => store.open(),
    get: (key) => {
      const value = store.get(key)
      meter.read(value !== undefined)
      return value
    },
    scan: (prefix, after, limit) => {
      const found = store.scan(prefix, after, limit)
      meter.scanned(found.length)
      return found
    },
    meta: () => store.meta(),
    commit: async (changes, meta, check, inside) => {
      const startedAt = performance.now()
      const counted = new CountedChanges(changes)
      await store.commit(counted, meta, check, inside)
      meter.committed(counted.changes, counted.bytes, performance.now() - startedAt)
    },
    wipe: () => store.wipe(),
    stats: () => store.stats(),
    close: () => store.close(),
  }
}

/** Counts what passes, so that the changes need not be gone over twice. */
class CountedChanges implements Iterable<StateChange> {
  changes = 0
  bytes = 0
  private readonly source: Iterable<StateChange>

  constructor(source: Iterable<StateChange>) {
    this.source = source
  }

  *[Symbol.iterator](): Generator<StateChange> {
    for (const change of this.source) {
      this.changes++
      this.bytes += change.key.length + lengthOf(change.value)
      yield change
    }
  }
}

function lengthOf(bytes: Bytes | null): number {
  return bytes?.length ?? 0
}
