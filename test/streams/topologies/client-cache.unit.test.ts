import { expect, test } from 'vitest'
import { ClientCache } from '#streams/topologies/client-cache.ts'

const client = (name: string, estimatedBytes = 10) => ({ name, estimatedBytes })

test('holds what was put last, and forgets what was not put again, within its bound', () => {
  const cache = new ClientCache<ReturnType<typeof client>>(100)
  for (let i = 0; i < 1_000; i++) {
    cache.put('often', client(`often ${i}`))
    cache.put(`c${i}`, client(`c${i}`))
    expect(cache.size).toBeLessThanOrEqual(12)
    expect(cache.get('often')?.name).toBe(`often ${i}`)
    expect(cache.get(`c${i}`)?.name).toBe(`c${i}`)
  }
  expect(cache.get('c1')).toBeUndefined()
})

test('counts a client that is put again once', () => {
  const cache = new ClientCache<ReturnType<typeof client>>(100)
  cache.put('first', client('first'))
  for (let i = 0; i < 50; i++) cache.put('same', client('same'))
  expect(cache.get('first')).toBeDefined()
})

test('clearing forgets everything', () => {
  const cache = new ClientCache<ReturnType<typeof client>>(100)
  cache.put('a', client('a'))
  cache.clear()
  expect([cache.size, cache.get('a')]).toEqual([0, undefined])
})
