import type { Readable } from 'node:stream'
import { LoyaltyError } from '#streams/core/error.ts'

/** An uploaded file as it came: where it is kept, and its content hash, by which a copy is known to be whole. */
export interface Original {
  readonly storedPath: string
  readonly sha256: string
}

/** A file on this machine that may be read at any place, until it is released. */
export interface LocalFile {
  readonly path: string
  release(): Promise<void>
}

/** Where the files are kept that people and sources uploaded. A file that was stored is durable and whole. */
export interface Originals {
  /**
   * Stores a stream under a name of letters, digits, `-` and `.` that nothing else has; what an interrupted call leaves is no
   * file. Resolves with where it is kept, of at most 255 characters. Errors: `upload_store_unavailable` (retriable), those of
   * the stream.
   */
  store(name: string, content: Readable): Promise<string>
  /**
   * The file, on this machine. Errors: `original_missing`, `original_damaged` (it has other content than its hash says),
   * `upload_store_unavailable` (retriable).
   */
  open(original: Original): Promise<LocalFile>
  /** Harmless where it is gone. Errors: `upload_store_unavailable` (retriable). */
  remove(storedPath: string): Promise<void>
  /** Removes what a program that was killed has left on this machine; before anything else is called. */
  tidy(): Promise<void>
  close(): Promise<void>
}

/** Calls `work` with the file on this machine. Errors: those of `open` and `work`. */
export async function withOriginal<Result>(
  originals: Pick<Originals, 'open'>,
  original: Original,
  work: (path: string) => Promise<Result>,
): Promise<Result> {
  const { path, release } = await originals.open(original)
  try {
    return await work(path)
  } finally {
    await release()
  }
}

const inBucket = 's3://'

/**
 * New files go to the bucket where there is one. Files are found where they were put, whatever is configured now: those of a
 * directory stay there, those of a bucket need it.
 */
export function originalsIn(directory: Originals, bucket: Originals | null): Originals {
  const keeperOf = (storedPath: string): Originals => {
    if (!storedPath.startsWith(inBucket)) return directory
    if (bucket !== null) return bucket
    throw new LoyaltyError(
      'original_missing',
      `the file is kept at ${storedPath}, and LOYALTY_UPLOAD_STORE names no bucket; set it as it was when the file came`,
      { details: { path: storedPath } },
    )
  }
  return {
    store: (name, content) => (bucket ?? directory).store(name, content),
    open: async (original) => keeperOf(original.storedPath).open(original),
    remove: async (storedPath) => keeperOf(storedPath).remove(storedPath),
    async tidy() {
      await directory.tidy()
      await bucket?.tidy()
    },
    async close() {
      await directory.close()
      await bucket?.close()
    },
  }
}

export function originalMissing(storedPath: string, place: string): LoyaltyError {
  return new LoyaltyError(
    'original_missing',
    `the uploaded file is no longer at ${storedPath}${place}; put it back, or upload it again`,
    { details: { path: storedPath } },
  )
}
