import { createHash, randomUUID } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { Readable } from 'node:stream'
import { expect, it } from 'vitest'
import type { Original, Originals } from '#services/ingest/originals/originals.ts'

/** A place for originals, and what lies there whether it is a file or the remnant of one. */
export interface OriginalsWorld {
  readonly originals: Originals
  /** What is kept, and what is not and lies there all the same. */
  held(): Promise<number>
}

export function stream(bytes: Uint8Array): Readable {
  const pieces: Buffer[] = []
  for (let at = 0; at < bytes.length; at += 65_536) pieces.push(Buffer.from(bytes.subarray(at, at + 65_536)))
  return Readable.from(pieces, { objectMode: false })
}

/** Stores bytes under a new name with that ending. */
export async function stored(originals: Originals, bytes: Uint8Array, ending = '.csv'): Promise<Original> {
  const storedPath = await originals.store(`${randomUUID()}${ending}`, stream(bytes))
  return { storedPath, sha256: createHash('sha256').update(bytes).digest('hex') }
}

export async function contentOf(originals: Originals, original: Original): Promise<Buffer> {
  const { path, release } = await originals.open(original)
  try {
    return await readFile(path)
  } finally {
    await release()
  }
}

/** Bytes that no other call gives. */
export function bytes(length: number): Buffer {
  const content = Buffer.alloc(length, 'text of a file; ')
  content.write(randomUUID().slice(0, length))
  return content
}

/** What every place for originals must do. `open` gives an empty one. */
export function originalsContract(open: () => Promise<OriginalsWorld>): void {
  it('gives a file back as it came, by a path that ends as its name did, to several readers at once', async () => {
    const { originals } = await open()
    for (const content of [bytes(100_000), bytes(0), bytes(1)]) {
      const original = await stored(originals, content, '.csv.gz')
      const files = await Promise.all([originals.open(original), originals.open(original)])
      await files[0].release()
      for (const { path } of files) expect(path).toMatch(/\.csv\.gz$/)
      expect(Buffer.compare(await readFile(files[1].path), content)).toBe(0)
      await files[1].release()
      expect(original.storedPath.length).toBeLessThanOrEqual(255)
    }
  })

  it('keeps nothing of a stream that breaks, and says why it broke', async () => {
    const { originals, held } = await open()
    const broken = Readable.from(
      (async function* () {
        yield bytes(200_000)
        throw new Error('the sender is gone')
      })(),
      { objectMode: false },
    )
    await expect(originals.store(`${randomUUID()}.csv`, broken)).rejects.toThrow('the sender is gone')
    expect(await held()).toBe(0)
  })

  it('has a file no more once it was removed, and removes it again without complaint', async () => {
    const { originals, held } = await open()
    const [kept, gone] = [await stored(originals, bytes(10)), await stored(originals, bytes(20))]
    await originals.remove(gone.storedPath)
    await originals.remove(gone.storedPath)
    await expect(originals.open(gone)).rejects.toMatchObject({ code: 'original_missing', retriable: false })
    expect(await contentOf(originals, kept)).toHaveLength(10)
    expect(await held()).toBe(1)
  })

  it('still has its files after it was closed and begun anew', async () => {
    const { originals } = await open()
    const original = await stored(originals, bytes(1_000))
    await originals.close()
    await originals.tidy()
    expect(await contentOf(originals, original)).toHaveLength(1_000)
  })
}
