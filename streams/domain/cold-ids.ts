/** Words per cold id: id high, id low, content. */
const stride = 3
/** Ids per chunk: a fold rewrites the last chunk until it is this full. */
const fullChunk = 4_096

/** One id of a folded entry. */
export interface ColdId {
  readonly hi: number
  readonly lo: number
  readonly content: number
}

/**
 * The ids of folded entries, in sorted chunks that are loaded only when an old event asks. Immutable; `added` answers a new
 * set that shares the chunks it did not change.
 */
export class ColdIds {
  /** Ids per chunk. */
  readonly lengths: Uint32Array
  readonly #chunks: (Uint32Array | null)[]
  readonly #load: (index: number) => Uint8Array

  constructor(lengths: Uint32Array, chunks: (Uint32Array | null)[], load: (index: number) => Uint8Array) {
    this.lengths = lengths
    this.#chunks = chunks
    this.#load = load
  }

  stored(lengths: Uint32Array, load: (index: number) => Uint8Array): ColdIds {
    return new ColdIds(
      lengths,
      Array.from(lengths, () => null),
      load,
    )
  }

  /** Content of the entry with this id, or -1 where no folded entry has it. */
  find(hi: number, lo: number): number {
    for (let index = this.#chunks.length - 1; index >= 0; index--) {
      const words = this.chunk(index)
      let low = 0
      let high = words.length / stride
      while (low < high) {
        const middle = (low + high) >>> 1
        const at = middle * stride
        if (words[at]! < hi || (words[at] === hi && words[at + 1]! < lo)) low = middle + 1
        else high = middle
      }
      const at = low * stride
      if (at < words.length && words[at] === hi && words[at + 1] === lo) return words[at + 2]!
    }
    return -1
  }

  /** A set with these ids too, and the index of its first chunk that is new or changed. */
  added(ids: readonly ColdId[]): { cold: ColdIds; changedFrom: number } {
    const last = this.#chunks.length - 1
    const merge = last >= 0 && this.lengths[last]! < fullChunk
    const changedFrom = merge ? last : last + 1
    const all = [...ids]
    if (merge) {
      const words = this.chunk(last)
      for (let at = 0; at < words.length; at += stride)
        all.push({ hi: words[at]!, lo: words[at + 1]!, content: words[at + 2]! })
    }
    all.sort((a, b) => a.hi - b.hi || a.lo - b.lo)
    const words = new Uint32Array(all.length * stride)
    all.forEach(({ hi, lo, content }, i) => {
      words[i * stride] = hi
      words[i * stride + 1] = lo
      words[i * stride + 2] = content
    })
    const lengths = Uint32Array.of(...this.lengths.subarray(0, changedFrom), all.length)
    const chunks = [...this.#chunks.slice(0, changedFrom), words]
    return { cold: new ColdIds(lengths, chunks, this.#load), changedFrom }
  }

  /** Words of a chunk, loaded where need be. */
  chunk(index: number): Uint32Array {
    const known = this.#chunks[index]
    if (known) return known
    const bytes = this.#load(index)
    // `slice` of a Buffer would be a view of memory that the store uses again.
    const words = new Uint32Array(new Uint8Array(bytes).buffer)
    this.#chunks[index] = words
    return words
  }
}

export const noColdIds = new ColdIds(new Uint32Array(0), [], () => {
  throw new RangeError('a ledger without a past has no cold chunks')
})
