import { mkdir, readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, describe, expect, it } from 'vitest'
import { directoryOriginals } from '#services/ingest/originals/directory.ts'
import { originalsIn } from '#services/ingest/originals/originals.ts'
import { bytes, originalsContract, stored } from '../../../contracts/originals-contract.ts'
import { type TempDir, tempDir } from '../../../support/temp-dir.ts'

const dirs: TempDir[] = []
afterEach(async () => {
  for (const dir of dirs.splice(0)) await dir.remove()
})
async function newDir(): Promise<string> {
  const dir = await tempDir('loyalty-originals-')
  dirs.push(dir)
  return dir.path
}

describe('originals in a directory', () => {
  originalsContract(async () => {
    const path = await newDir()
    return {
      originals: directoryOriginals(path),
      held: async () => (await readdir(join(path, 'uploads'))).length,
    }
  })

  it('are rid of what a killed program left', async () => {
    const path = await newDir()
    await mkdir(join(path, 'uploads'))
    await writeFile(join(path, 'uploads', 'a.csv.part'), 'half')
    await writeFile(join(path, 'uploads', 'b.csv'), 'whole')
    await directoryOriginals(path).tidy()
    expect(await readdir(join(path, 'uploads'))).toEqual(['b.csv'])
  })

  it('of a bucket are not to be had where none is configured, and the message names the setting', async () => {
    const originals = originalsIn(directoryOriginals(await newDir()), null)
    const there = { storedPath: 's3://uploads/a.csv', sha256: '' }
    await expect(originals.open(there)).rejects.toMatchObject({
      code: 'original_missing',
      message: expect.stringContaining('LOYALTY_UPLOAD_STORE'),
    })
  })

  it('stay where they are when new ones go to a bucket', async () => {
    const [before, now] = [directoryOriginals(await newDir()), directoryOriginals(await newDir())]
    const old = await stored(before, bytes(5))
    const both = originalsIn(before, now)
    const { storedPath } = await stored(both, bytes(6))
    expect((await both.open(old)).path).toContain('uploads')
    // The second one is no bucket: its place shows to whom it went.
    await expect(now.open({ storedPath, sha256: '' })).resolves.toBeDefined()
    await expect(before.open({ storedPath, sha256: '' })).rejects.toMatchObject({ code: 'original_missing' })
  })
})
