import { expect, test } from 'vitest'
import { At, entryWords, newEntry, packEntry } from '#streams/domain/entry.ts'
import { IdIndex } from '#streams/domain/id-index.ts'
import { Kind } from '#streams/domain/transaction.ts'

/** Entries with these ids, and what they refer to (0 for nothing), all in one piece. */
function entriesOf(ids: readonly number[], refs: readonly number[] = []) {
  const words = new Uint32Array(ids.length * entryWords)
  ids.forEach((id, i) => {
    const ref = refs[i] ?? 0
    const entry = { ...newEntry(), idHi: id, idLo: id, refHi: ref, refLo: ref, kind: Kind.sale }
    packEntry(words, i * entryWords, entry)
  })
  return { wordsOf: () => words, offsetOf: (number: number) => number * entryWords }
}

test('an id is found where it came first, below the limit, however often the table has grown', () => {
  const ids = Array.from({ length: 5_000 }, (_, i) => Math.imul(i + 1, 0x9e3779b1) >>> 0)
  const entries = entriesOf(ids)
  const index = new IdIndex(0)
  for (let to = 1; to <= ids.length; to += 7) index.extend(entries, to)
  index.extend(entries, ids.length)
  ids.forEach((id, number) => {
    expect(index.find(entries, id, id, ids.length)).toBe(number)
  })
  expect(index.find(entries, ids[40]!, ids[40]!, 40)).toBe(-1)
  expect(index.find(entries, 3, 3, ids.length)).toBe(-1)
})

test('ids that differ in the upper half only are told apart', () => {
  const entries = entriesOf([7, 7])
  const words = entries.wordsOf()
  words[At.idHi] = 8
  const index = new IdIndex(0)
  index.extend(entries, 2)
  expect(index.find(entries, 8, 7, 2)).toBe(0)
  expect(index.find(entries, 7, 7, 2)).toBe(1)
  expect(index.find(entries, 8 + 256, 7, 2)).toBe(-1)
})

test('an index of references answers all that name an id in order of arrival, and leaves out those that name none', () => {
  const refs = Array.from({ length: 2_000 }, (_, i) => (i % 5 === 0 ? 0 : 1 + (i % 37)))
  const entries = entriesOf(
    refs.map((_, i) => 10_000 + i),
    refs,
  )
  const index = new IdIndex(0, At.refHi)
  index.extend(entries, refs.length)
  const out = new Int32Array(refs.length)
  for (let named = 1; named < 40; named++) {
    const found = index.findAll(entries, named, named, out)
    const expected = refs.flatMap((ref, number) => (ref === named ? [number] : []))
    expect([...out.subarray(0, found)]).toEqual(expected)
  }
  expect(index.findAll(entries, 0, 0, out)).toBe(0)
})
