import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { rename } from 'node:fs/promises'
import { join } from 'node:path'
import { isLocked } from './chdb/directory-lock.ts'

/** What a running platform tells whoever finds its data directory. */
export interface RunFile {
  /** Process id of the supervisor. */
  readonly pid: number
  readonly started_at: string
  /** Addresses of the programs, by name. */
  readonly urls: Readonly<Record<string, string>>
  /** Connection settings, as environment variables, with which another program joins this platform. */
  readonly environment: Readonly<Record<string, string>>
}

export function runFilePath(dataDir: string): string {
  return join(dataDir, 'run.json')
}

/** Writes the run file at once or not at all; only its owner can read it, as it holds a password. */
export async function writeRunFile(dataDir: string, facts: RunFile): Promise<void> {
  const path = runFilePath(dataDir)
  writeFileSync(`${path}.new`, `${JSON.stringify(facts, null, 2)}\n`, { mode: 0o600 })
  await rename(`${path}.new`, path)
}

export function removeRunFile(dataDir: string): void {
  rmSync(runFilePath(dataDir), { force: true })
}

/** The platform that runs on a data directory, or null; a file that a killed supervisor left behind counts as none. */
export async function findPlatform(dataDir: string): Promise<RunFile | null> {
  const path = runFilePath(dataDir)
  if (!existsSync(path) || !(await isLocked(dataDir))) return null
  try {
    return JSON.parse(readFileSync(path, 'utf8')) as RunFile
  } catch {
    return null
  }
}
