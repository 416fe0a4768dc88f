import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { openLmdbStore } from '#streams/state/lmdb-state-store.ts'
import { stateStoreContract } from '../../contracts/state-store-contract.ts'
import { type TempDir, tempDir } from '../../support/temp-dir.ts'

stateStoreContract('LMDB', async () => {
  const dir = await tempDir()
  return { store: () => openLmdbStore(join(dir.path, 'task')), remove: () => dir.remove() }
})

describe('LMDB state store', () => {
  let dir: TempDir
  const discarded: string[] = []
  const openStore = async () => {
    const store = openLmdbStore(dir.path, { onDiscarded: (reason) => discarded.push(reason) })
    await store.open()
    return store
  }
  const stored = async () => {
    const store = await openStore()
    await store.commit([{ key: Buffer.from('a'), value: Buffer.from('1') }], Buffer.from('meta'))
    return store
  }

  beforeEach(async () => {
    dir = await tempDir()
    discarded.length = 0
  })
  afterEach(() => dir.remove())

  test('starts empty, and says so, when the system went down while it was open', async () => {
    await (await stored()).close()
    await writeFile(join(dir.path, 'unflushed'), 'another start of the system')
    const store = await openStore()
    expect(store.meta()).toBeUndefined()
    expect(store.get(Buffer.from('a'))).toBeUndefined()
    expect(discarded).toEqual([expect.stringContaining('system went down')])
    await store.close()
  })

  test('is trusted after a start of the system when it had been closed before', async () => {
    const store = await stored()
    const mark = await readFile(join(dir.path, 'unflushed'), 'utf8')
    expect(mark).not.toBe('')
    await store.close()
    await expect(readFile(join(dir.path, 'unflushed'))).rejects.toMatchObject({ code: 'ENOENT' })
    const again = await openStore()
    expect(Buffer.from(again.meta()!).toString()).toBe('meta')
    expect(discarded).toEqual([])
    await again.close()
  })

  const damages = {
    'other bytes': () => Buffer.alloc(64 * 1024, 'not a database '),
    'its first bytes alone': (file: Buffer) => file.subarray(0, 100),
    'a second page of zeros': (file: Buffer) => Buffer.concat([file.subarray(0, 4096), Buffer.alloc(32 * 1024)]),
  }
  for (const [name, damage] of Object.entries(damages))
    test(`starts empty, and says so, when its file holds ${name}`, async () => {
      await (await stored()).close()
      const path = join(dir.path, 'data.mdb')
      await writeFile(path, damage(await readFile(path)))
      const store = await openStore()
      expect(store.meta()).toBeUndefined()
      expect(discarded).toHaveLength(1)
      await store.commit([], Buffer.from('goes on'))
      await store.close()
    })

  test('starts empty, and says so, when its metadata is damaged', async () => {
    await (await stored()).close()
    const path = join(dir.path, 'data.mdb')
    const file = await readFile(path)
    // The checksum stands before the text; the version before the checksum.
    for (let at = file.indexOf('meta', 4096 * 2); at >= 0; at = file.indexOf('meta', at + 1)) {
      if (file[at - 5] === 1) file.write('mete', at)
    }
    await writeFile(path, file)
    const store = await openStore()
    expect(store.meta()).toBeUndefined()
    expect(discarded).toEqual([expect.stringContaining('damaged')])
    await store.close()
  })

  test('refuses its use before it was opened and after it was closed', async () => {
    const store = openLmdbStore(dir.path)
    expect(() => store.get(Buffer.from('a'))).toThrow('not open')
    await store.open()
    await store.close()
    await expect(store.commit([], Buffer.from('m'))).rejects.toMatchObject({ code: 'state_closed' })
  })
})
