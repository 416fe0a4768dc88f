import { expect, test } from 'vitest'
import { copyOfKey, KeyTable } from '#streams/core/key-table.ts'

interface Item {
  readonly text: string
}
const add = (table: KeyTable<Item>, hash: number, text: string) => {
  const bytes = Buffer.from(`..${text}.`)
  const item = { text }
  table.add(hash, bytes, 2, bytes.length - 1, item)
  // What is found must not follow the bytes it was added with.
  bytes.fill(0)
  return item
}
const find = (table: KeyTable<Item>, hash: number, text: string) => {
  const bytes = Buffer.from(`..${text}.`)
  return table.find(hash, bytes, 2, bytes.length - 1)
}

test('items are found by their bytes, wherever these lie, and by nothing else', () => {
  const table = new KeyTable<Item>()
  const anna = add(table, 1, 'anna')
  expect(find(table, 1, 'anna')).toBe(anna)
  expect(find(table, 1, 'ann')).toBeUndefined()
  expect(find(table, 1, 'annb')).toBeUndefined()
  expect(find(table, 2, 'anna')).toBeUndefined()
})

test('keys with one hash are told apart, however many there are', () => {
  const table = new KeyTable<Item>()
  for (let i = 0; i < 600; i++) add(table, -7, `c${i}`)
  for (let i = 0; i < 600; i++) expect(find(table, -7, `c${i}`)?.text).toBe(`c${i}`)
  expect(find(table, -7, 'c600')).toBeUndefined()
})

test('it grows, and keeps the order in which items came', () => {
  const table = new KeyTable<Item>()
  // Hashes with the same low bits, as those of the keys of one partition have.
  for (let i = 0; i < 20_000; i++) add(table, i << 8, `c${i}`)
  for (let i = 0; i < 20_000; i++) expect(find(table, i << 8, `c${i}`)).toBe(table.items[i])
  expect(table.items.map(({ text }) => text)).toEqual(Array.from({ length: 20_000 }, (_, i) => `c${i}`))
})

test('a copied key does not follow the bytes it came from', () => {
  const bytes = Buffer.from('xannax')
  const key = copyOfKey(bytes, 1, 5)
  bytes.fill(0)
  expect(key.toString()).toBe('anna')
})
