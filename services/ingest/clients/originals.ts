import type { Originals } from '../originals/originals.ts'
import type { UploadStore } from '../store/uploads.ts'

/** Where the file of an upload is. */
interface StoredFile {
  readonly batchId: string
  readonly storedPath: string
}

/** Deletes a file of clients whose upload has ended, once and for all. Errors: those of `Originals.remove`, of the database. */
export async function removeClientFile(
  originals: Pick<Originals, 'remove'>,
  store: Pick<UploadStore, 'originalRemoved'>,
  { batchId, storedPath }: StoredFile,
): Promise<void> {
  await originals.remove(storedPath)
  await store.originalRemoved(batchId)
}

/**
 * Deletes the files of clients whose uploads have ended, by whatever end, and that are still there: personal data is kept in
 * the topic alone. Errors: as `removeClientFile`.
 */
export async function removeEndedClientFiles(
  originals: Pick<Originals, 'remove'>,
  store: Pick<UploadStore, 'endedClientFiles' | 'originalRemoved'>,
): Promise<void> {
  for (const file of await store.endedClientFiles()) await removeClientFile(originals, store, file)
}
