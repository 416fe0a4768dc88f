import { readFile, rm, writeFile } from 'node:fs/promises'
import { uptime } from 'node:os'
import { join } from 'node:path'

/**
 * Remembers under which start of the operating system a directory was last written without flushing. Unflushed writes
 * survive the end of a process, not the end of the system: then the directory is not to be trusted.
 */
const fileName = 'unflushed'

/** True when the system went down since the directory was last opened, and it had not been closed and flushed before. */
export async function lostPower(directory: string): Promise<boolean> {
  const mark = await readFile(join(directory, fileName), 'utf8').catch(() => null)
  return mark !== null && mark !== (await systemStart())
}

export async function markUnflushed(directory: string): Promise<void> {
  await writeFile(join(directory, fileName), await systemStart(), { flush: true })
}

export async function markFlushed(directory: string): Promise<void> {
  await rm(join(directory, fileName), { force: true })
}

/** A text that differs after every start of the system; outside Linux its time, to ten minutes because clocks are set. */
async function systemStart(): Promise<string> {
  const bootId = await readFile('/proc/sys/kernel/random/boot_id', 'utf8').catch(() => null)
  return bootId?.trim() ?? `started ${Math.round((Date.now() / 1000 - uptime()) / 600)}`
}
