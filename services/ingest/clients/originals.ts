import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { UploadStore } from '../store/uploads.ts'

/** Deletes the files of clients whose uploads have ended, by whatever end: personal data is kept in the topic alone. */
export async function removeEndedClientFiles(
  dataDir: string,
  store: Pick<UploadStore, 'endedClientFiles'>,
): Promise<void> {
  for (const path of await store.endedClientFiles()) await rm(join(dataDir, path), { force: true })
}
