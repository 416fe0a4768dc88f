import { afterEach, beforeEach, expect, test } from 'vitest'
import { newEffects } from '#streams/domain/effects.ts'
import { entryOf, newEntry } from '#streams/domain/entry.ts'
import { openLmdbStore } from '#streams/state/lmdb-state-store.ts'
import type { StateStore } from '#streams/state/state-store.ts'
import { ClientStore } from '#streams/topologies/client-store.ts'
import { type TempDir, tempDir } from '../../support/temp-dir.ts'
import { base } from '../domain/scenario.ts'

let dir: TempDir
let store: StateStore

beforeEach(async () => {
  dir = await tempDir()
  store = openLmdbStore(dir.path)
  await store.open()
})

afterEach(async () => {
  await store.close()
  await dir.remove()
})

function clients(): ClientStore {
  const opened = new ClientStore(store, 1_000_000)
  opened.setCap(10)
  return opened
}

const sold = (i: number) =>
  entryOf({ ...base, transactionId: `t${i}`, occurredAtMs: base.occurredAtMs + i * 1_000 }, newEntry())

test('a ledger read back from disk knows every repetition of what was folded away', async () => {
  const first = clients()
  for (const id of ['c', 'd']) {
    const client = first.take(Buffer.from(id))
    for (let i = 0; i < 500; i++) client.ledger.apply(sold(i), newEffects())
    await store.commit(first.changesOf(client), Buffer.from('meta'))
  }
  const { ledger } = clients().take(Buffer.from('c'))
  const outcomes = Array.from({ length: 500 }, (_, i) => {
    // Other reads come in between, and use the same memory of the driver.
    store.get(Buffer.from('\x01d'))
    return ledger.apply(sold(i), newEffects())
  })
  expect(new Set(outcomes)).toEqual(new Set(['duplicate']))
})
