import { openLmdbStore } from '#streams/state/lmdb-state-store.ts'
import type { StateStore } from '#streams/state/state-store.ts'

/** The durable state of one task, in a directory of its own. */
export function openTaskStore(directory: string): StateStore {
  return openLmdbStore(directory)
}
