/** Words per cold id: id high, id low, content. */
export const coldIdWords = 3
const stride = coldIdWords
/** Ids per chunk: a fold rewrites the last chunk until it is this full. */
const fullChunk = 4_096

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

  /** A set with these ids too, `coldIdWords` words each, and the index of its first chunk that is new or changed. */
  added(ids: Uint32Array): { cold: ColdIds; changedFrom: number } {
    const last = this.#chunks.length - 1
    const merge = last >= 0 && this.lengths[last]! < fullChunk
    const changedFrom = merge ? last : last + 1
    const before = merge ? this.chunk(last) : new Uint32Array(0)
    const all = new Uint32Array(before.length + ids.length)
    all.set(before)
    all.set(ids, before.length)
    const words = sorted(all)
    const lengths = Uint32Array.of(...this.lengths.subarray(0, changedFrom), words.length / stride)
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

/** Beyond the 32 bits of an id's upper half, a number holds so many of a place. */
const places = 2 ** 21

/** The ids in ascending order. A number of upper half and place is sorted by the engine; a comparator takes ten times as long. */
function sorted(ids: Uint32Array): Uint32Array {
  const count = ids.length / stride
  if (count > places) throw new RangeError(`${count} folded entries are more than a chunk can hold`)
  const keys = new Float64Array(count)
  for (let i = 0; i < count; i++) keys[i] = ids[i * stride]! * places + i
  keys.sort()
  const out = new Uint32Array(ids.length)
  for (let i = 0; i < count; i++) {
    const from = (keys[i]! % places) * stride
    const hi = ids[from]!
    const lo = ids[from + 1]!
    // Where upper halves are the same, once in a million, the lower ones decide.
    let to = i * stride
    for (; to > 0 && out[to - stride] === hi && out[to - stride + 1]! > lo; to -= stride)
      out.copyWithin(to, to - stride, to)
    out[to] = hi
    out[to + 1] = lo
    out[to + 2] = ids[from + 2]!
  }
  return out
}

export const noColdIds = new ColdIds(new Uint32Array(0), [], () => {
  throw new RangeError('a ledger without a past has no cold chunks')
})
