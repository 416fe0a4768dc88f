import { entryWords, kindAt } from './entry.ts'
import type { PackedEntries } from './packed-entries.ts'
import { Kind } from './transaction.ts'

/** Numbers of the entries that are no sales, in order of arrival; valid until the next `collectCorrections`. */
export let corrections = new Int32Array(256)

/**
 * Lists the refunds and voids of a ledger in `corrections` and answers how many there are. Full chunks remember theirs, so
 * that looking for a sale's refunds does not mean reading every entry.
 */
export function collectCorrections(entries: PackedEntries): number {
  if (corrections.length < entries.count) corrections = new Int32Array(entries.count * 2)
  const tail = entries.regions - 1
  let found = 0
  for (let index = 0; index < tail; index++) {
    const chunk = entries.chunkAt(index)
    chunk.corrections ??= correctionsAmong(chunk.words, 0, entries.regionLength(index))
    for (let i = 0; i < chunk.corrections.length; i++)
      corrections[found++] = index * entries.regionLength(index) + chunk.corrections[i]!
  }
  const words = entries.regionWords(tail)
  const start = entries.regionAt(tail)
  const length = entries.regionLength(tail)
  const first = entries.count - length
  for (let i = 0; i < length; i++)
    if (kindAt(words, start + i * entryWords) !== Kind.sale) corrections[found++] = first + i
  return found
}

function correctionsAmong(words: Uint32Array, start: number, length: number): Uint8Array {
  const places: number[] = []
  for (let i = 0; i < length; i++) if (kindAt(words, start + i * entryWords) !== Kind.sale) places.push(i)
  return Uint8Array.from(places)
}
