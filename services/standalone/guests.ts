import { existsSync } from 'node:fs'
import { readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { isLocked, lockDirectory } from './chdb/directory-lock.ts'

/**
 * Commands that joined a platform which another command had started for itself: that one waits for them before it stops
 * what they use. Each holds a directory named after its process.
 */

const lookEveryMs = 200

/** To be called before the platform is looked for, so that it cannot end in between; call the answer at the end. */
export async function beGuest(dataDir: string): Promise<() => Promise<void>> {
  if (!existsSync(dataDir)) return async () => {}
  const path = join(guestsIn(dataDir), String(process.pid))
  await lockDirectory(path)
  return () => rm(path, { recursive: true, force: true })
}

/** Resolves once there is no guest, or `signal` is aborted. `tell`: called once where there are some. */
export async function guestsGone(dataDir: string, signal: AbortSignal, tell: (pids: string[]) => void): Promise<void> {
  for (let told = false; !signal.aborted; told = true) {
    const pids = await guestsOf(dataDir)
    if (pids.length === 0) return
    if (!told) tell(pids)
    await delay(lookEveryMs, undefined, { signal }).catch(() => {})
  }
}

/** Without those that were killed. */
async function guestsOf(dataDir: string): Promise<string[]> {
  const pids = await readdir(guestsIn(dataDir)).catch(() => [])
  const there = await Promise.all(pids.map((pid) => isLocked(join(guestsIn(dataDir), pid))))
  return pids.filter((_, index) => there[index])
}

function guestsIn(dataDir: string): string {
  return join(dataDir, 'guests')
}
