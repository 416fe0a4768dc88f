import { At, entryWords, hasRefAt, kindAt } from './entry.ts'
import type { PackedEntries } from './packed-entries.ts'
import { Kind } from './transaction.ts'

/** Refunds and voids of a full chunk, in order. */
export interface ChunkCorrections {
  /** Places of the entries, 0 … 63. */
  readonly places: Uint8Array
  /** Numbers of the originals that lie in this chunk or before it, and are thus the same for every ledger with this chunk. */
  readonly originals: Int32Array
}

/** Of an entry whose original is not there, or that names none. */
const noOriginal = -1
const notSought = -2

/** Numbers of the entries that are no sales, in order of arrival; valid until the next call of a function of this module. */
export let corrections = new Int32Array(256)
/** Number of the original of each, -1 where it is not there or none is named. Of `collectCorrections` only. */
export let originals = new Int32Array(256)

/** Lists the refunds and voids of a ledger in `corrections`, what they name in `originals`, and answers how many they are. */
export function collectCorrections(entries: PackedEntries): number {
  makeRoom(entries)
  const tail = entries.regions - 1
  let found = 0
  for (let index = 0; index < tail; index++) {
    const known = correctionsOf(entries, index)
    const first = index * entries.regionLength(index)
    for (let i = 0; i < known.places.length; i++) {
      corrections[found] = first + known.places[i]!
      const original = known.originals[i]!
      originals[found++] = original === notSought ? seek(entries, index, i, known) : original
    }
  }
  const words = entries.regionWords(tail)
  const start = entries.regionAt(tail)
  const length = entries.regionLength(tail)
  const first = entries.count - length
  for (let i = 0, at = start; i < length; i++, at += entryWords)
    if (kindAt(words, at) !== Kind.sale) {
      corrections[found] = first + i
      originals[found++] = originalAt(entries, words, at)
    }
  return found
}

/** Lists in `corrections` those that name this id, in order of arrival, and answers how many they are. */
export function collectReferring(entries: PackedEntries, hi: number, lo: number): number {
  makeRoom(entries)
  return entries.findReferring(hi, lo, corrections)
}

function makeRoom(entries: PackedEntries): void {
  if (corrections.length >= entries.count) return
  corrections = new Int32Array(entries.count * 2)
  originals = new Int32Array(entries.count * 2)
}

function correctionsOf(entries: PackedEntries, index: number): ChunkCorrections {
  const chunk = entries.chunkAt(index)
  chunk.corrections ??= correctionsAmong(chunk.words)
  return chunk.corrections
}

function correctionsAmong(words: Uint32Array): ChunkCorrections {
  const places: number[] = []
  for (let at = 0; at < words.length; at += entryWords)
    if (kindAt(words, at) !== Kind.sale) places.push(at / entryWords)
  return {
    places: Uint8Array.from(places),
    originals: new Int32Array(places.length).fill(notSought),
  }
}

/** Looks for an original, and remembers it where it cannot be another in a ledger that shares the chunk. */
function seek(entries: PackedEntries, index: number, i: number, known: ChunkCorrections): number {
  const words = entries.regionWords(index)
  const at = known.places[i]! * entryWords
  const original = originalAt(entries, words, at)
  const end = (index + 1) * entries.regionLength(index)
  if (!hasRefAt(words, at) || (original >= 0 && original < end)) known.originals[i] = original
  return original
}

function originalAt(entries: PackedEntries, words: Uint32Array, at: number): number {
  return hasRefAt(words, at) ? entries.find(words[at + At.refHi]!, words[at + At.refLo]!) : noOriginal
}
