import { At } from './entry.ts'

/** Where an index reads the ids it points to. */
export interface IndexedEntries {
  wordsOf(number: number): Uint32Array
  offsetOf(number: number): number
}

export const chunkShift = 6
export const chunkEntries = 1 << chunkShift

/** Bits of a slot that hold the number of an entry and one; the others hold bits of its id. */
const numberBits = 24
const numberMask = (1 << numberBits) - 1
const firstSlots = 64

/** Which ids of entries an index holds, by the word that they begin at: their own, or those that they refer to. */
export type IndexedId = typeof At.idHi | typeof At.refHi

/**
 * Open-addressing index from ids to numbers of entries, over the entries `from` … `to` - 1. It only ever grows. Ids are
 * hashes already: their low bits choose the slot, eight of the high ones stand in it, so that an id which is not there, the
 * usual case, is told without a look at the entries. Entries without a reference are not in an index of references.
 */
export class IdIndex {
  readonly from: number
  to: number
  readonly #idAt: IndexedId
  #held = 0
  #table = new Int32Array(firstSlots)

  constructor(from: number, idAt: IndexedId = At.idHi) {
    this.from = from
    this.to = from
    this.#idAt = idAt
  }

  /** Takes in the entries up to `to`. */
  extend(entries: IndexedEntries, to: number): void {
    for (let number = this.to; number < to; number++) {
      const words = entries.wordsOf(number)
      const at = entries.offsetOf(number) + this.#idAt
      const hi = words[at]!
      const lo = words[at + 1]!
      if (this.#idAt === At.refHi && (hi | lo) === 0) continue
      if (++this.#held * 2 > this.#table.length) {
        // All over again, in a larger table.
        this.#table = new Int32Array(this.#table.length * 4)
        this.#held = 0
        number = this.from - 1
        continue
      }
      const table = this.#table
      const mask = table.length - 1
      let slot = lo & mask
      while (table[slot] !== 0) slot = (slot + 1) & mask
      table[slot] = (hi << numberBits) | (number + 1)
    }
    this.to = to
  }

  /** Number of the first entry with this id below `limit`, or -1. */
  find(entries: IndexedEntries, hi: number, lo: number, limit: number): number {
    const table = this.#table
    const mask = table.length - 1
    const mark = hi << numberBits
    for (let slot = lo & mask; table[slot] !== 0; slot = (slot + 1) & mask) {
      const held = table[slot]!
      if (((held ^ mark) & ~numberMask) !== 0) continue
      const number = (held & numberMask) - 1
      if (number < limit && this.#isAt(entries, number, hi, lo)) return number
    }
    return -1
  }

  /** Writes the numbers of all entries with this id to `out`, ascending, and answers how many they are. */
  findAll(entries: IndexedEntries, hi: number, lo: number, out: Int32Array): number {
    const table = this.#table
    const mask = table.length - 1
    const mark = hi << numberBits
    let found = 0
    for (let slot = lo & mask; table[slot] !== 0; slot = (slot + 1) & mask) {
      const held = table[slot]!
      if (((held ^ mark) & ~numberMask) !== 0) continue
      const number = (held & numberMask) - 1
      if (this.#isAt(entries, number, hi, lo)) out[found++] = number
    }
    return found
  }

  #isAt(entries: IndexedEntries, number: number, hi: number, lo: number): boolean {
    const words = entries.wordsOf(number)
    const at = entries.offsetOf(number) + this.#idAt
    return words[at + 1] === lo && words[at] === hi
  }
}
