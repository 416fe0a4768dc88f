import type { MappedRow } from './row.ts'
import type { RowRecords } from './row-codec.ts'

/** No receipt of so many lines fits into an event; beyond it lines are only counted. */
export const maxRowsHeld = 65_536

/** The rows of a receipt, as far as they are held, and how many there are. */
export interface GatheredReceipt {
  readonly rows: readonly MappedRow[]
  readonly count: number
  /** False where a rejected row belongs to it. */
  readonly whole: boolean
}

interface Group {
  /** Where its rows stand. */
  readonly at: number[]
  count: number
}

/** Gathers the rows of a bucket to receipts: one for each key, or one of each kind where kinds share their numbers. */
export class Gatherer {
  readonly #records: RowRecords
  readonly #oneKind: boolean
  readonly #groups = new Map<string, Group>()
  readonly #spoilt = new Set<string>()

  constructor(records: RowRecords, oneKind: boolean) {
    this.#records = records
    this.#oneKind = oneKind
  }

  /** Takes the record at a place; false for a row that is only counted. */
  add(at: number): boolean {
    const key = this.#records.key(at)
    if (this.#records.isSpoilt(at)) {
      this.#spoilt.add(key)
      return true
    }
    const group = this.#groupOf(this.#oneKind ? key : this.#records.kind(at) + key)
    group.count++
    if (group.at.length >= maxRowsHeld) return false
    group.at.push(at)
    return true
  }

  /** In the order of their first rows; rows are made only now, and only of one receipt at a time. */
  *receipts(): Generator<GatheredReceipt> {
    for (const { at, count } of this.#groups.values()) {
      const rows = at.map((one) => this.#records.row(one))
      yield { rows, count, whole: !this.#spoilt.has(rows[0]!.key) }
    }
  }

  #groupOf(name: string): Group {
    let group = this.#groups.get(name)
    if (group === undefined) {
      group = { at: [], count: 0 }
      this.#groups.set(name, group)
    }
    return group
  }
}
