import { expect, test } from 'vitest'
import { MemoryStateStore } from '#streams/state/memory-state-store.ts'
import { meteredStateStore, type StateMeter } from '#streams/state/metered-state-store.ts'
import { stateStoreContract } from '../../contracts/state-store-contract.ts'

const silent: StateMeter = { read() {}, scanned() {}, committed() {} }

stateStoreContract('metered', async () => {
  const store = meteredStateStore(new MemoryStateStore(), silent)
  return { store: () => store, remove: async () => {} }
})

test('reads, scans and successful commits are counted, with changes and bytes', async () => {
  const told: unknown[] = []
  const store = meteredStateStore(new MemoryStateStore(), {
    read: (found) => told.push(['read', found]),
    scanned: (entries) => told.push(['scanned', entries]),
    committed: (changes, bytes, ms) => told.push(['committed', changes, bytes, ms >= 0]),
  })
  await store.open()
  const [a, b] = [Buffer.from('a'), Buffer.from('bb')]
  await store.commit(
    [
      { key: a, value: Buffer.alloc(10) },
      { key: b, value: null },
    ],
    Buffer.from('m'),
  )
  await expect(store.commit([], Buffer.from('m'), () => false)).rejects.toMatchObject({ code: 'state_moved' })
  store.get(a)
  store.get(b)
  store.scan(Buffer.alloc(0), null, 10)
  expect(told).toEqual([
    ['committed', 2, 13, true],
    ['read', true],
    ['read', false],
    ['scanned', 1],
  ])
})
