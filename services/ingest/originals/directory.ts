import { createWriteStream } from 'node:fs'
import { access, mkdir, open, readdir, rename, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { syncDirectory } from '../../platform/sync-directory.ts'
import { type Originals, originalMissing } from './originals.ts'

/** Below `uploads/` of the data directory; places are relative to that, so that it may be moved. */
export function directoryOriginals(dataDir: string): Originals {
  return {
    async store(name, content) {
      const storedPath = join('uploads', name)
      const path = join(dataDir, storedPath)
      const part = `${path}.part`
      await mkdir(dirname(path), { recursive: true })
      try {
        await pipeline(content, createWriteStream(part))
        await makeDurable(part)
        await rename(part, path)
        await syncDirectory(dirname(path))
      } catch (error) {
        await rm(part, { force: true })
        throw error
      }
      return storedPath
    },

    async open({ storedPath }) {
      const path = join(dataDir, storedPath)
      try {
        await access(path)
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === 'ENOENT')
          throw originalMissing(storedPath, ' of the data directory')
        throw error
      }
      return { path, release: async () => {} }
    },

    async remove(storedPath) {
      await rm(join(dataDir, storedPath), { force: true })
    },

    async tidy() {
      const directory = join(dataDir, 'uploads')
      for (const name of await readdir(directory).catch(() => []))
        if (name.endsWith('.part')) await rm(join(directory, name), { force: true })
    },

    close: async () => {},
  }
}

async function makeDurable(path: string): Promise<void> {
  const file = await open(path, 'r+')
  try {
    await file.sync()
  } finally {
    await file.close()
  }
}
