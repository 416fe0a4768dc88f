import { join } from 'node:path'
import { emptyDirectory, readManifest, writeManifest } from '../files/buckets.ts'
import { groupReceipts } from './group.ts'
import type { ReceiptsManifest, ReceiptsOptions } from './receipt-pass.ts'
import type { RowPassOptions } from './row-pass.ts'
import { spilledRows, spillRows } from './spill.ts'
import { mayStandTogether, readTogether } from './together.ts'

export interface PrepareOptions
  extends Omit<ReceiptsOptions, 'key' | 'directory'>,
    Pick<RowPassOptions, 'uploadedAtMs' | 'signal'> {
  /** Where all that is kept in between is put: events in `eventsIn` of it. */
  readonly directory: string
  /** What the rows depend on, and what the events depend on. Work of the same keys is gone on with. */
  readonly rowsKey: string
  readonly eventsKey: string
  /** Has the file for as long as the work takes. */
  readonly original: <T>(work: (path: string) => Promise<T>) => Promise<T>
  readonly progress?: Progress | undefined
  /** Called once every row was read. */
  readonly afterRows?: (() => void) | undefined
}

/** Hears what is being done, and the share of it that is done, 0 to 1. */
export interface Progress {
  begin(phase: 'reading' | 'grouping'): void
  share(share: number): void
}

/** Below the directory of a preparation, where its events are. */
export function eventsIn(directory: string): string {
  return join(directory, 'events')
}

/**
 * From a file to events that can be published in its order: rows are mapped and grouped to receipts, receipts judged. What
 * was done before is not done again. Errors: those of `readTogether`.
 */
export async function prepareReceipts(options: PrepareOptions): Promise<ReceiptsManifest> {
  const { directory, original, rowsKey, eventsKey, progress, ...others } = options
  const rowsDirectory = join(directory, 'rows')
  const receipts = { ...others, directory: eventsIn(directory), key: eventsKey }
  const onProgress = (share: number) => progress?.share(share)
  const manifestPath = join(receipts.directory, 'manifest.json')
  const done = await readManifest<ReceiptsManifest>(manifestPath)
  if (done?.key === eventsKey) return done
  progress?.begin('reading')
  let rows = await spilledRows(rowsDirectory, rowsKey)
  if (rows === null) {
    const read = await original(async (path) => {
      const together = (await mayStandTogether(path, options.profile))
        ? await readTogether({ ...receipts, path, onProgress })
        : null
      if (together !== null) return { events: together }
      // What one pass left is not needed any more.
      await emptyDirectory(receipts.directory)
      return { rows: await spillRows({ ...others, path, directory: rowsDirectory, key: rowsKey, onProgress }) }
    })
    if (read.events !== undefined) {
      await writeManifest(manifestPath, read.events)
      return read.events
    }
    rows = read.rows
    options.afterRows?.()
  }
  progress?.begin('grouping')
  const events = await groupReceipts({ ...receipts, rowsDirectory, rows, onProgress })
  await writeManifest(manifestPath, events)
  return events
}
