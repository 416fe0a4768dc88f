import type { Originals } from '../originals/originals.ts'
import type { UploadStore } from '../store/uploads.ts'

/**
 * Deletes the files of clients whose uploads have ended, by whatever end: personal data is kept in the topic alone. Errors:
 * those of `Originals.remove`.
 */
export async function removeEndedClientFiles(
  originals: Pick<Originals, 'remove'>,
  store: Pick<UploadStore, 'endedClientFiles'>,
): Promise<void> {
  for (const path of await store.endedClientFiles()) await originals.remove(path)
}
