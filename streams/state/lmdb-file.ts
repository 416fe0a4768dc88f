import { open } from 'node:fs/promises'

const magic = 0xbeefc0de
const dataVersion = 2
/** In a meta page: magic, data version and page size. */
const magicAt = 24
const versionAt = 28
const pageSizeAt = 48

/**
 * Why LMDB could not open a data file, or null where it can or there is none. Asked beforehand because the driver takes
 * the process down with it when LMDB refuses a file (tried with lmdb 3.5.6).
 */
export async function faultOf(path: string): Promise<string | null> {
  const file = await open(path, 'r').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return null
    throw error
  })
  if (file === null) return null
  try {
    const page = Buffer.alloc(64)
    for (const position of [0, 1]) {
      const at = position * (position === 0 ? 0 : page.readUInt32LE(pageSizeAt))
      const { bytesRead } = await file.read(page, 0, page.length, at)
      if (position === 0 && bytesRead === 0) return null
      if (bytesRead < page.length) return 'its file was cut off'
      if (page.readUInt32LE(magicAt) !== magic) return 'its file is no database'
      if ((page.readUInt32LE(versionAt) & 0xffff) !== dataVersion) return 'its file has another version'
    }
    return null
  } finally {
    await file.close()
  }
}
