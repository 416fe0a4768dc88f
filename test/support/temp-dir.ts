import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

export interface TempDir {
  readonly path: string
  /** Deletes the directory with everything in it; harmless when repeated. */
  remove(): Promise<void>
}

/** A fresh directory under the system's temporary directory, for this caller alone. */
export async function tempDir(prefix = 'loyalty-'): Promise<TempDir> {
  const path = await mkdtemp(join(tmpdir(), prefix))
  return { path, remove: () => rm(path, { recursive: true, force: true, maxRetries: 3 }) }
}
