import { createHash, randomUUID } from 'node:crypto'
import { basename, extname } from 'node:path'
import { pipeline, type Readable, Transform } from 'node:stream'
import type { PoolClient } from 'pg'
import { currentTrace } from '../platform/trace.ts'
import { fileEmpty } from './files/empty.ts'
import { type Originals, withOriginal } from './originals/originals.ts'
import type { AnyProfile } from './profile.ts'
import type { ProfileBook } from './profile-book.ts'
import type { ProposalContext } from './proposal/proposal.ts'
import { settledProfile } from './proposal/propose.ts'
import { firstRows, type Reading, type ReadingWish, readingOf } from './reading.ts'
import type { NewUpload, TaskTrace, UploadStore } from './store/uploads.ts'

/** How a file comes in: it is stored durably, looked at, and its batch and task are written; the worker does the rest. */

export interface IntakeDeps {
  readonly store: UploadStore
  readonly dataDir: string
  readonly originals: Originals
  readonly profiles: ProfileBook
  /** What is known of the programme, for files that nobody named a profile for. */
  readonly context: () => Promise<ProposalContext>
}

/** A file that is stored and not yet an upload. */
export interface StoredFile {
  readonly batchId: string
  readonly fileName: string
  readonly storedPath: string
  readonly sizeBytes: number
  readonly sha256: string
}

const longestName = 255

/** Stores a stream where originals are kept, durably. Errors: those of `Originals.store`. */
export async function storeFile(deps: IntakeDeps, fileName: string, content: Readable): Promise<StoredFile> {
  const batchId = randomUUID()
  const name = safeName(fileName)
  const hash = createHash('sha256')
  let sizeBytes = 0
  const measure = new Transform({
    transform(chunk: Buffer, _encoding, done) {
      hash.update(chunk)
      sizeBytes += chunk.length
      done(null, chunk)
    },
  })
  // An error of the one reaches the other; the store hears of it as the end of its stream.
  pipeline(content, measure, () => {})
  const storedPath = await deps.originals.store(`${batchId}${extensionOf(name)}`, measure)
  return { batchId, fileName: name, storedPath, sizeBytes, sha256: hash.digest('hex') }
}

/** An upload that was accepted, and how its profile was come by. */
export interface AcceptedUpload extends NewUpload {
  readonly basis: Reading['basis']
}

/**
 * Makes a stored file an upload with a task. `also`: what is to be written in the transaction that writes the upload.
 *
 * Errors (the stored file is deleted): `file_empty`, `profile_needed` (none was given, and how the file is to be read is
 * not certain), and those of `readingOf` and `readRows`.
 */
export async function acceptFile(
  deps: IntakeDeps,
  file: StoredFile,
  wish: ReadingWish = {},
  also?: (taskId: string) => (client: PoolClient) => Promise<void>,
): Promise<AcceptedUpload> {
  try {
    const { reading, profile } = await withOriginal(deps.originals, file, async (path) => {
      const reading = await readingOf(deps, path, wish)
      const profile = reading.profile ?? settledProfile(reading.proposal, await deps.profiles.all())
      await mustHoldRows(path, profile)
      return { reading, profile }
    })
    const upload = { ...file, taskId: randomUUID(), profile, trace: traceOfRequest() }
    await deps.store.create(upload, also?.(upload.taskId))
    return { ...upload, basis: reading.basis }
  } catch (error) {
    await discardFile(deps, file)
    throw error
  }
}

/** Of the request that is being answered; null where none is. */
export function traceOfRequest(): TaskTrace | null {
  const trace = currentTrace()
  if (trace === undefined) return null
  const { traceId, correlationId } = trace
  return { traceId, correlationId: correlationId === traceId ? null : correlationId }
}

export async function discardFile(deps: IntakeDeps, file: StoredFile): Promise<void> {
  await deps.originals.remove(file.storedPath)
}

async function mustHoldRows(path: string, profile: AnyProfile): Promise<void> {
  const needed = profile.format.header ? 2 : 1
  const rows = await firstRows(path, profile.format, needed)
  if (rows.length < needed) throw fileEmpty(rows.length === 0 ? 'nothing' : 'header')
}

/** The last part of a path as browsers and scripts send it, without control characters. */
function safeName(fileName: string): string {
  const name = basename(fileName.replaceAll('\\', '/')).replace(/\p{Cc}/gu, '')
  return (name === '' ? 'upload' : name).slice(-longestName)
}

/** `.csv`, `.csv.gz`; only letters and digits, because it becomes part of a path. */
function extensionOf(name: string): string {
  const last = extname(name)
  const both = `${extname(name.slice(0, name.length - last.length))}${last}`
  return /^(\.[A-Za-z0-9]{1,8}){0,2}$/.test(both) ? both.toLowerCase() : ''
}
