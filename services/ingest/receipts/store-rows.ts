import type { StoreRows } from '#schemas/events.ts'
import type { Reason } from '../verdicts.ts'

/** More stores than that are counted together: a column that is taken for the store may hold anything. */
export const mostStores = 20_000

/** As the stream has it: a longer text is no store. */
const maxStoreBytes = 256

interface Counts {
  accepted: number
  rejected: Partial<Record<Reason, number>>
}

/** Counts the rows of a file by store, accepted ones and rejected ones by reason. */
export class StoreCounts {
  readonly #stores = new Map<string, Counts>()
  readonly #others: Counts = { accepted: 0, rejected: {} }

  /** Adds what another count came to. */
  add(stores: readonly StoreRows[]): void {
    for (const { store_id, others, accepted_rows, rejected_rows } of stores) {
      const counts = others ? this.#others : this.#of(store_id ?? '')
      counts.accepted += accepted_rows
      for (const [reason, rows] of Object.entries(rejected_rows) as [Reason, number][])
        counts.rejected[reason] = (counts.rejected[reason] ?? 0) + rows
    }
  }

  /** `store`: '' where the rows name none. */
  accept(store: string, rows: number): void {
    this.#of(store).accepted += rows
  }

  reject(store: string, reason: Reason, rows: number): void {
    const { rejected } = this.#of(store)
    rejected[reason] = (rejected[reason] ?? 0) + rows
  }

  /** In the order of their ids, rows without a store first. */
  list(): StoreRows[] {
    const stores = [...this.#stores].sort(([a], [b]) => (a < b ? -1 : 1))
    const all = stores.map(([store, counts]) => rowsOf(store === '' ? null : store, false, counts))
    const { accepted, rejected } = this.#others
    const none = accepted === 0 && Object.keys(rejected).length === 0
    return none ? all : [...all, rowsOf(null, true, this.#others)]
  }

  #of(store: string): Counts {
    const name = isTooLong(store) ? '' : store
    let counts = this.#stores.get(name)
    if (counts === undefined) {
      if (name !== '' && this.#stores.size >= mostStores) return this.#others
      counts = { accepted: 0, rejected: {} }
      this.#stores.set(copyOf(name), counts)
    }
    return counts
  }
}

/** Texts of rows are cut from the text of a piece of the file, which they would keep in memory. */
function copyOf(text: string): string {
  return JSON.parse(JSON.stringify(text)) as string
}

function isTooLong(store: string): boolean {
  return store.length > maxStoreBytes / 3 && Buffer.byteLength(store) > maxStoreBytes
}

function rowsOf(store_id: string | null, others: boolean, { accepted, rejected }: Counts): StoreRows {
  return { store_id, others, accepted_rows: accepted, rejected_rows: rejected as Record<string, number> }
}
