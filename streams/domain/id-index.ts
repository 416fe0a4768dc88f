import { At, entryWords, isIdAt } from './entry.ts'

/** Where the index reads the ids it points to. */
export interface EntryChunks {
  /** Words of a full chunk of 64 entries. */
  chunk(index: number): Uint32Array
}

export const chunkShift = 6
export const chunkEntries = 1 << chunkShift
const within = chunkEntries - 1

/** Bits of a slot that hold the number of an entry and one; the others hold bits of its id. */
const numberBits = 24
const numberMask = (1 << numberBits) - 1

/**
 * Open-addressing index from transaction id to entry number, over the entries `from` … `to` - 1 of full chunks. It only
 * ever grows. Ids are hashes already: their low bits choose the slot, eight of the high ones stand in it, so that an id
 * which is not there, the usual case, is told without a look at the entries.
 */
export class IdIndex {
  readonly from: number
  to: number
  #table: Int32Array

  constructor(from: number) {
    this.from = from
    this.to = from
    this.#table = new Int32Array(chunkEntries * 4)
  }

  /** Takes in the entries up to `to`, a multiple of 64. */
  extend(entries: EntryChunks, to: number): void {
    if ((to - this.from) * 2 > this.#table.length) {
      this.#table = new Int32Array(2 ** Math.ceil(Math.log2((to - this.from) * 3)))
      this.to = this.from
    }
    const table = this.#table
    const mask = table.length - 1
    for (let number = this.to; number < to; number++) {
      const words = entries.chunk(number >>> chunkShift)
      const at = (number & within) * entryWords
      let slot = words[at + At.idLo]! & mask
      while (table[slot] !== 0) slot = (slot + 1) & mask
      table[slot] = (words[at]! << numberBits) | (number + 1)
    }
    this.to = to
  }

  /** Number of the entry with this id below `limit`, or -1. */
  find(entries: EntryChunks, hi: number, lo: number, limit: number): number {
    const table = this.#table
    const mask = table.length - 1
    const mark = hi << numberBits
    for (let slot = lo & mask; table[slot] !== 0; slot = (slot + 1) & mask) {
      const held = table[slot]!
      if (((held ^ mark) & ~numberMask) !== 0) continue
      const number = (held & numberMask) - 1
      if (number >= limit) continue
      if (isIdAt(entries.chunk(number >>> chunkShift), (number & within) * entryWords, hi, lo)) return number
    }
    return -1
  }
}
