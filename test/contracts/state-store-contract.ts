import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { StateChange, StateStore } from '#streams/state/state-store.ts'

/** One place where state is kept; every `store` made for it is the same state. */
export interface StateHarness {
  store(): StateStore
  remove(): Promise<void>
}

const bytes = (text: string) => Buffer.from(text, 'latin1')
const put = (key: string, value: string): StateChange => ({ key: bytes(key), value: bytes(value) })
const remove = (key: string): StateChange => ({ key: bytes(key), value: null })

/** What every adapter of the state-store port must do. */
export function stateStoreContract(name: string, makeHarness: () => Promise<StateHarness>): void {
  describe(`state store contract: ${name}`, () => {
    let harness: StateHarness
    let store: StateStore

    const read = (key: string) => store.get(bytes(key)) && Buffer.from(store.get(bytes(key))!).toString('latin1')
    const meta = () => store.meta() && Buffer.from(store.meta()!).toString('latin1')
    const keys = (prefix: string, after: string | null, limit = 100) =>
      store
        .scan(bytes(prefix), after === null ? null : bytes(after), limit)
        .map(({ key }) => Buffer.from(key).toString('latin1'))

    beforeEach(async () => {
      harness = await makeHarness()
      store = harness.store()
      await store.open()
    })
    afterEach(async () => {
      await store.close()
      await harness.remove()
    })

    test('a new store holds nothing', () => {
      expect(read('a')).toBeUndefined()
      expect(meta()).toBeUndefined()
      expect(keys('', null)).toEqual([])
      expect(store.stats().entries).toBe(0)
    })

    test('a commit puts, replaces and deletes, with its metadata', async () => {
      await store.commit([put('a', '1'), put('b', '2'), put('c', '3')], bytes('first'))
      await store.commit([put('a', 'one'), remove('b'), remove('never there')], bytes('second'))
      expect(['a', 'b', 'c'].map(read)).toEqual(['one', undefined, '3'])
      expect(meta()).toBe('second')
      expect(store.stats().entries).toBe(2)
    })

    test('later changes of one key in one commit win', async () => {
      await store.commit([put('a', '1'), put('a', '2'), put('b', '1'), remove('b')], bytes('m'))
      expect([read('a'), read('b')]).toEqual(['2', undefined])
    })

    test('keys are any bytes up to 300, values any bytes, also none and very many', async () => {
      const longest = String.fromCharCode(...Array.from({ length: 300 }, (_, index) => (index * 37) % 256))
      const values = ['', '\0', '\xff\0\xff', 'x'.repeat(300_000), longest]
      const pairs = ['\0', '\0\0', '\xff', 'plain', longest].map((key, index) => [key, values[index]!] as const)
      await store.commit(
        pairs.map(([key, value]) => put(key, value)),
        bytes('m'),
      )
      for (const [key, value] of pairs) expect(read(key) === value).toBe(true)
      expect(store.get(bytes(longest))).toHaveLength(300)
      expect(Buffer.from(store.get(bytes('\0'))!)).toHaveLength(0)
      expect(Buffer.from(store.get(bytes('plain'))!)).toHaveLength(300_000)
      expect(read(longest.slice(0, 299))).toBeUndefined()
    })

    test('a scan goes in byte order through one prefix, after a key, up to a limit', async () => {
      const stored = ['a', 'b', 'b\0', 'b\0\xff', 'ba', 'b\xff', 'b\xff\xff', 'c']
      await store.commit(
        [...stored].reverse().map((key) => put(key, `value of ${key}`)),
        bytes('m'),
      )
      const withB = stored.slice(1, 7)
      expect(keys('', null)).toEqual(stored)
      expect(keys('b', null)).toEqual(withB)
      expect(keys('b', 'b')).toEqual(withB.slice(1))
      expect(keys('b', 'b\0\xff')).toEqual(withB.slice(3))
      expect(keys('b', 'b\0\x01')).toEqual(withB.slice(2))
      expect(keys('b', 'a')).toEqual(withB)
      expect(keys('b', 'c')).toEqual([])
      expect(keys('b', null, 2)).toEqual(withB.slice(0, 2))
      expect(keys('b', 'b\0', 1)).toEqual(['b\0\xff'])
      expect(keys('b', null, 0)).toEqual([])
      expect(keys('nothing', null)).toEqual([])
    })

    test('the entries of a scan stay as they are while it is read and others are', async () => {
      const many = Array.from({ length: 500 }, (_, index) => put(`key-${String(index).padStart(3, '0')}`, `v${index}`))
      await store.commit(many, bytes('m'))
      const found = store.scan(bytes('key-'), null, 1_000)
      store.get(bytes('key-250'))
      store.scan(bytes('key-'), bytes('key-100'), 100)
      expect(found.map(({ value }) => Buffer.from(value).toString())).toEqual(many.map((_, index) => `v${index}`))
    })

    test('the metadata is no entry', async () => {
      await store.commit([], bytes('only meta'))
      expect(keys('', null)).toEqual([])
      expect(store.stats().entries).toBe(0)
      expect(read('meta')).toBeUndefined()
      await store.commit([put('meta', 'entry')], bytes('still meta'))
      expect([read('meta'), meta()]).toEqual(['entry', 'still meta'])
    })

    test('a commit whose check fails changes nothing', async () => {
      await store.commit([put('a', '1')], bytes('first'))
      const seen: (string | undefined)[] = []
      const moved = store.commit([put('a', '2'), put('b', '2')], bytes('second'), (stored) => {
        seen.push(stored && Buffer.from(stored).toString())
        return false
      })
      await expect(moved).rejects.toMatchObject({ code: 'state_moved' })
      expect(seen).toEqual(['first'])
      expect([read('a'), read('b'), meta()]).toEqual(['1', undefined, 'first'])
      await store.commit([put('a', '3')], bytes('third'), (stored) => Buffer.from(stored!).toString() === 'first')
      expect([read('a'), meta()]).toEqual(['3', 'third'])
    })

    test('the first check sees no metadata', async () => {
      await store.commit([], bytes('m'), (stored) => stored === undefined)
      expect(meta()).toBe('m')
    })

    test('a commit that is broken off inside leaves the old state', async () => {
      await store.commit([put('a', '1')], bytes('first'))
      const broken = store.commit([put('a', '2'), remove('a'), put('b', '2')], bytes('second'), undefined, () => {
        throw new Error('broken off')
      })
      await expect(broken).rejects.toThrow('broken off')
      expect([read('a'), read('b'), meta()]).toEqual(['1', undefined, 'first'])
      await store.commit([put('b', '3')], bytes('third'))
      expect([read('a'), read('b'), meta()]).toEqual(['1', '3', 'third'])
    })

    test('changes that fail while they are listed leave the old state', async () => {
      await store.commit([put('a', '1')], bytes('first'))
      function* failing(): Generator<StateChange> {
        yield put('a', '2')
        throw new Error('no more')
      }
      await expect(store.commit(failing(), bytes('second'))).rejects.toThrow('no more')
      expect([read('a'), meta()]).toEqual(['1', 'first'])
    })

    test('bytes may be used again by the caller after a commit', async () => {
      const [key, value, metadata] = [bytes('key'), bytes('value'), bytes('meta')]
      await store.commit([{ key, value }], metadata)
      for (const each of [key, value, metadata]) each.fill(0)
      expect([read('key'), meta()]).toEqual(['value', 'meta'])
    })

    test('wiping removes everything, metadata too, and the store goes on', async () => {
      await store.commit([put('a', '1')], bytes('first'))
      await store.wipe()
      expect([read('a'), meta(), store.stats().entries]).toEqual([undefined, undefined, 0])
      await store.commit([put('b', '2')], bytes('second'), (stored) => stored === undefined)
      expect([read('b'), meta()]).toEqual(['2', 'second'])
    })

    test('state is there again after closing and opening', async () => {
      await store.commit([put('a', '1'), put('b', '2')], bytes('first'))
      await store.close()
      await store.close()
      store = harness.store()
      await store.open()
      expect([read('a'), read('b'), meta()]).toEqual(['1', '2', 'first'])
    })

    test('a store that is open cannot be opened once more, until it is closed', async () => {
      const second = harness.store()
      await expect(second.open()).rejects.toMatchObject({ code: 'state_locked', retriable: true })
      await store.commit([put('a', '1')], bytes('first'))
      await store.close()
      await second.open()
      store = second
      expect(read('a')).toBe('1')
    })
  })
}
