import { readFileSync } from 'node:fs'
import { mkdir, open, readFile, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { LoyaltyError } from '#streams/core/error.ts'

export interface DirectoryLock {
  /** Gives the directory back; harmless when repeated. */
  release(): Promise<void>
}

interface Owner {
  readonly pid: number
  /** Start time of the process in clock ticks, so that a re-used pid is not taken for the owner; '' where unknown. */
  readonly started: string
}

/**
 * Makes this process the only user of `directory`, by a file that names the owner. A file left by a process that is gone
 * is taken over, and the end of one that is ending is waited for. Waits up to `waitMs` (default 0), or until `signal`, for
 * a living owner to let go.
 *
 * Errors: `data_directory_in_use` (details: directory, pid).
 */
export async function lockDirectory(
  directory: string,
  options: { waitMs?: number; signal?: AbortSignal } = {},
): Promise<DirectoryLock> {
  await mkdir(directory, { recursive: true })
  const file = join(directory, 'owner.json')
  const deadline = performance.now() + (options.waitMs ?? 0)
  for (;;) {
    if (await created(file)) return { release: () => rm(file, { force: true }) }
    const owner = await ownerOf(file)
    if (owner !== null && !isRunning(owner)) await moveAway(file)
    else if ((performance.now() < deadline || isEnding(owner)) && !options.signal?.aborted)
      await new Promise((resolve) => setTimeout(resolve, 50))
    else
      throw new LoyaltyError(
        'data_directory_in_use',
        `${directory} is in use by process ${owner?.pid}; stop it or choose another data directory`,
        { details: { directory, pid: owner?.pid } },
      )
  }
}

/** True while the process that locked `directory` runs. */
export async function isLocked(directory: string): Promise<boolean> {
  const owner = await ownerOf(join(directory, 'owner.json'))
  return owner !== null && isRunning(owner)
}

async function created(file: string): Promise<boolean> {
  try {
    const handle = await open(file, 'wx')
    await handle.writeFile(JSON.stringify({ pid: process.pid, started: startOf(process.pid) } satisfies Owner))
    await handle.close()
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false
    throw error
  }
}

/** Null when the file is gone. A file that is not written yet, or damaged, counts as owned by nobody that runs. */
async function ownerOf(file: string): Promise<Owner | null> {
  try {
    return JSON.parse(await readFile(file, 'utf8')) as Owner
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ENOENT' ? null : { pid: 0, started: '' }
  }
}

/** A rename, so that of two processes that find the same stale file only one removes it. */
async function moveAway(file: string): Promise<void> {
  const aside = `${file}.${process.pid}`
  await rename(file, aside).catch(() => {})
  await rm(aside, { force: true })
}

function isRunning(owner: Owner): boolean {
  if (owner.pid <= 0) return false
  try {
    process.kill(owner.pid, 0)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EPERM') return false
  }
  const started = startOf(owner.pid)
  return started === '' || owner.started === '' || started === owner.started
}

/** True for a process that was killed and has given its memory back, but not yet everything: a moment on a busy machine. */
function isEnding(owner: Owner | null): boolean {
  try {
    return owner !== null && owner.pid > 0 && readFileSync(`/proc/${owner.pid}/cmdline`, 'utf8') === ''
  } catch {
    return false
  }
}

/** Field 22 of /proc/<pid>/stat; '' on systems without it, and 'ended' for a zombie, which holds nothing any more. */
function startOf(pid: number): string {
  try {
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').at(-1)!.split(' ')
    return fields[0] === 'Z' ? 'ended' : (fields[19] ?? '')
  } catch {
    return ''
  }
}
