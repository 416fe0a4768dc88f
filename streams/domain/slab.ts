/** Words of a slab: small enough that a few long-lived ledgers do not hold much memory. */
const slabWords = 16_384

let slab = new Uint32Array(0)
let used = 0

/** A piece of memory: `words` from `at` on. */
export interface Piece {
  words: Uint32Array
  at: number
}

/**
 * Cuts `length` words from a slab shared by many small ledgers: an array of its own for each would cost more than what it
 * holds. A piece is never given back; the collector takes a slab when the last ledger on it is gone.
 */
export function allocate(length: number, out: Piece): void {
  if (length * 8 > slabWords) {
    out.words = new Uint32Array(length)
    out.at = 0
    return
  }
  if (used + length > slab.length) {
    slab = new Uint32Array(slabWords)
    used = 0
  }
  out.words = slab
  out.at = used
  used += length
}
