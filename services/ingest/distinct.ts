import { type Hash64, Hasher } from '#streams/domain/hash.ts'

/**
 * Counts different texts by their 64-bit hashes: sixteen bytes for each, however long it is. Among a million texts two
 * have one hash once in thirty million times.
 */
export class DistinctCount {
  readonly #hasher = new Hasher()
  readonly #hash: Hash64 = { hi: 0, lo: 0 }
  /** Halves of the hashes, one after the other; both 0 where there is none. */
  #slots = new Uint32Array(2 * 1024)
  #size = 0

  get size(): number {
    return this.#size
  }

  /** False for a text that was counted before. */
  add(text: string): boolean {
    this.#hasher.reset().text(text).finish(this.#hash)
    if (!put(this.#slots, this.#hash.hi, this.#hash.lo || 1)) return false
    this.#size++
    if (this.#size * 4 > this.#slots.length) this.#grow()
    return true
  }

  /** Whether a text was counted. */
  has(text: string): boolean {
    this.#hasher.reset().text(text).finish(this.#hash)
    return this.#slots[slotOf(this.#slots, this.#hash.hi, this.#hash.lo || 1) + 1] !== 0
  }

  #grow(): void {
    const old = this.#slots
    this.#slots = new Uint32Array(2 * old.length)
    for (let at = 0; at < old.length; at += 2) if (old[at + 1] !== 0) put(this.#slots, old[at]!, old[at + 1]!)
  }
}

/** False where it is there already; `lo` is not 0. */
function put(slots: Uint32Array, hi: number, lo: number): boolean {
  const at = slotOf(slots, hi, lo)
  if (slots[at + 1] !== 0) return false
  slots[at] = hi
  slots[at + 1] = lo
  return true
}

/** Where a hash is, or would be. */
function slotOf(slots: Uint32Array, hi: number, lo: number): number {
  const mask = slots.length - 1
  let at = (hi << 1) & mask
  while (slots[at + 1] !== 0 && (slots[at] !== hi || slots[at + 1] !== lo)) at = (at + 2) & mask
  return at
}
