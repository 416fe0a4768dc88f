/**
 * Read access to the packed entries of a ledger, in order of arrival. They lie in regions: full chunks of 64 entries, then
 * the tail. An entry has a number; `wordsOf(number)` and `offsetOf(number)` say where its words are.
 */
export interface Entries {
  readonly count: number
  /** Words per entry. */
  readonly stride: number
  readonly regions: number
  regionWords(region: number): Uint32Array
  /** First word of a region's first entry. */
  regionAt(region: number): number
  /** Entries in a region. */
  regionLength(region: number): number
  wordsOf(number: number): Uint32Array
  offsetOf(number: number): number
  /** Number of the entry with this id, or -1. */
  find(hi: number, lo: number): number
}
