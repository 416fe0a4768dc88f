import { expect, test } from 'vitest'
import { DistinctCount } from '#services/ingest/distinct.ts'

test('each text counts once, in any order and among many', () => {
  const count = new DistinctCount()
  expect(count.size).toBe(0)
  for (let round = 0; round < 3; round++) for (let i = 0; i < 50_000; i++) count.add(`client ${(i * 7_919) % 50_000}`)
  expect(count.size).toBe(50_000)
  count.add('')
  count.add('ключ')
  count.add('ключ')
  expect(count.size).toBe(50_002)
})
