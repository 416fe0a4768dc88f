import { once } from 'node:events'
import { open, readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Worker } from 'node:worker_threads'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { type LmdbStoreOptions, openLmdbStore } from '#streams/state/lmdb-state-store.ts'
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

  test('goes from thread to thread of one process as between processes: open in one at a time, with all it held', async () => {
    const openedBy = async (name: string) => {
      const thread = new Worker(new URL('../../support/state-thread.ts', import.meta.url), {
        workerData: { directory: dir.path, name },
      })
      const [told] = await once(thread, 'message')
      return { thread, told }
    }
    const close = async (thread: Worker) => {
      thread.postMessage('close')
      await once(thread, 'message')
    }
    const first = await openedBy('first')
    expect(first.told).toEqual({ found: [], discarded: [] })
    await expect(openedBy('too early')).rejects.toMatchObject({ message: expect.stringContaining('is open already') })
    await expect(openStore()).rejects.toMatchObject({ code: 'state_locked', retriable: true })
    await close(first.thread)
    const second = await openedBy('second')
    expect(second.told).toEqual({ found: ['first'], discarded: [] })
    await close(second.thread)
    const here = await openStore()
    expect(here.scan(Buffer.alloc(0), null, 9).map(({ key }) => Buffer.from(key).toString())).toEqual([
      'first',
      'second',
    ])
    await here.close()
    expect(discarded).toEqual([])
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
      await writeFile(path, damage(await beginningOf(path)))
      const store = await openStore()
      expect(store.meta()).toBeUndefined()
      expect(discarded).toHaveLength(1)
      await store.commit([], Buffer.from('goes on'))
      await store.close()
    })

  test('starts empty, and says so, when its metadata is damaged', async () => {
    await (await stored()).close()
    const path = join(dir.path, 'data.mdb')
    const file = await beginningOf(path)
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

  test('makes one transaction of LMDB of a commit, whatever its size', async () => {
    const store = await openStore()
    for (const count of [0, 2, 20_000]) {
      const before = await lastTransaction(join(dir.path, 'data.mdb'))
      const changes = Array.from({ length: count }, (_, index) => ({
        key: Buffer.from(`key-${index}`),
        value: Buffer.alloc(200, count),
      }))
      await store.commit(changes, Buffer.from('meta'))
      expect(await lastTransaction(join(dir.path, 'data.mdb')), `${count} changes`).toBe(before + 1)
    }
    await store.close()
  })

  test('tells how much of the disk it uses, not how large its sparse file is', async () => {
    const store = await stored()
    const before = store.stats().bytes
    const values = Array.from({ length: 1_000 }, (_, index) => ({
      key: Buffer.from(`key-${index}`),
      value: Buffer.alloc(1_000, index),
    }))
    await store.commit(values, Buffer.from('more'))
    const { bytes } = store.stats()
    expect(bytes - before).toBeGreaterThan(1_000_000)
    expect(bytes).toBeLessThan(2_500_000)
    expect((await stat(join(dir.path, 'data.mdb'))).blocks * 512).toBe(bytes)
    await store.close()
  })
})

describe('LMDB state store on a disk that fills up', () => {
  const mebibyte = 1 << 20
  let dir: TempDir
  let free: number | null
  const openStore = async (options: LmdbStoreOptions = {}) => {
    const store = openLmdbStore(dir.path, { freeBytes: () => free, ...options })
    await store.open()
    return store
  }
  const put = (bytes: number) => [{ key: Buffer.from('a'), value: Buffer.alloc(bytes, 'x') }]

  beforeEach(async () => {
    dir = await tempDir()
    free = 100 * mebibyte
  })
  afterEach(() => dir.remove())

  for (const [path, inside] of [
    ['beside the event loop', undefined],
    ['inside the turn', () => {}],
  ] as const)
    test(`refuses a commit ${path} for which there may be no room, and takes it once there is`, async () => {
      const store = await openStore()
      await store.commit(put(10), Buffer.from('first'))
      free = 66 * mebibyte
      await expect(store.commit(put(3 * mebibyte), Buffer.from('second'), undefined, inside)).rejects.toMatchObject({
        code: 'disk_full',
        retriable: true,
        message: expect.stringMatching(new RegExp(`${dir.path} has 66\\.0 MiB free.*Make room`)),
        details: { directory: dir.path, freeBytes: free, reserveBytes: 64 * mebibyte },
      })
      expect([store.get(Buffer.from('a'))!.length, String(store.meta())]).toEqual([10, 'first'])
      await store.commit(put(mebibyte), Buffer.from('small enough'), undefined, inside)
      free = 100 * mebibyte
      await store.commit(put(3 * mebibyte), Buffer.from('second'), undefined, inside)
      expect([store.get(Buffer.from('a'))!.length, String(store.meta())]).toEqual([3 * mebibyte, 'second'])
      await store.close()
    })

  test('is not opened below its reserve, and can be once there is room', async () => {
    await (await openStore()).close()
    free = 63 * mebibyte
    await expect(openStore()).rejects.toMatchObject({ code: 'disk_full', retriable: true })
    await (await openStore({ reserveBytes: 16 * mebibyte })).close()
    free = 64 * mebibyte
    await (await openStore()).close()
  })

  test('goes on where the file system does not say what is free', async () => {
    free = null
    const store = await openStore()
    await store.commit(put(mebibyte), Buffer.from('meta'))
    await store.close()
  })

  test('asks the real file system by itself', async () => {
    const huge = { reserveBytes: Number.MAX_SAFE_INTEGER }
    const store = openLmdbStore(dir.path, huge)
    await expect(store.open()).rejects.toMatchObject({ code: 'disk_full', details: { freeBytes: expect.any(Number) } })
  })
})

/** Number of the last committed transaction: the larger one of the two meta pages. */
async function lastTransaction(path: string): Promise<number> {
  const file = await beginningOf(path)
  return Math.max(...[0, 4_096].map((page) => Number(file.readBigUInt64LE(page + 152))))
}

/** What a small store holds: the first bytes of its file, which is sparse and as large as its map. */
async function beginningOf(path: string): Promise<Buffer> {
  const file = await open(path)
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(1024 * 1024), 0, 1024 * 1024, 0)
    return buffer.subarray(0, bytesRead)
  } finally {
    await file.close()
  }
}
