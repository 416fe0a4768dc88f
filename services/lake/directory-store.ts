import { randomUUID } from 'node:crypto'
import { link, mkdir, open, readdir, readFile, rename, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { asked } from '../platform/asked.ts'
import { syncDirectory } from '../platform/sync-directory.ts'
import { isNew, type LakeStore, lakeUnavailable } from './store.ts'

/** What a write that was cut off leaves behind; never listed. */
const unfinished = '.part'

/** A lake in a directory of this machine, which is made where it is missing. */
export function directoryStore(directory: string): LakeStore {
  const made = new Set<string>()
  const ask = <T>(work: () => Promise<T>) => asked((cause) => lakeUnavailable(directory, cause), work)
  return {
    where: directory,
    put: (path, content) =>
      ask(async () => {
        const target = join(directory, path)
        await make(dirname(target), made)
        await rename(await writeBeside(target, content), target)
        await syncDirectory(dirname(target))
      }),
    create: (path, content) =>
      ask(async () => {
        const target = join(directory, path)
        await make(dirname(target), made)
        const temporary = await writeBeside(target, content)
        try {
          return await isNew(() => link(temporary, target), isThere)
        } finally {
          await rm(temporary)
          await syncDirectory(dirname(target))
        }
      }),
    get: (path) => ask(() => orNull(() => readFile(join(directory, path)))),
    list: (prefix) => list(directory, prefix),
  }
}

async function* list(directory: string, prefix: string): AsyncGenerator<string> {
  const entries = await asked(
    (cause) => lakeUnavailable(directory, cause),
    () => orNull(() => readdir(join(directory, prefix), { withFileTypes: true })),
  )
  const names = (entries ?? []).map((entry) => entry.name + (entry.isDirectory() ? '/' : ''))
  for (const name of names.sort())
    if (name.endsWith('/')) yield* list(directory, prefix + name)
    else if (!name.endsWith(unfinished)) yield prefix + name
}

/** Writes a file durably under a name that nobody looks for; answers that name. */
async function writeBeside(target: string, content: Uint8Array): Promise<string> {
  const temporary = `${target}.${randomUUID()}${unfinished}`
  const file = await open(temporary, 'w')
  try {
    await file.writeFile(content)
    await file.sync()
  } finally {
    await file.close()
  }
  return temporary
}

function isThere(error: unknown): boolean {
  return (error as NodeJS.ErrnoException).code === 'EEXIST'
}

/** Makes a directory durably: without its name in the one above, a file in it may be gone after a power cut. */
async function make(directory: string, made: Set<string>): Promise<void> {
  if (made.has(directory)) return
  const first = await mkdir(directory, { recursive: true })
  for (let at = directory; first !== undefined && at.length >= first.length; at = dirname(at))
    await syncDirectory(dirname(at))
  made.add(directory)
}

async function orNull<T>(work: () => Promise<T>): Promise<T | null> {
  try {
    return await work()
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null
    throw error
  }
}
