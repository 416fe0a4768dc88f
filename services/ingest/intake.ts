import { createHash, randomUUID } from 'node:crypto'
import { createWriteStream } from 'node:fs'
import { mkdir, open, rename, rm } from 'node:fs/promises'
import { basename, dirname, extname, join } from 'node:path'
import { type Readable, Transform } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import type { PoolClient } from 'pg'
import { LoyaltyError } from '#streams/core/error.ts'
import { currentTrace } from '../platform/trace.ts'
import { syncDirectory } from './files/buckets.ts'
import { findColumns, headerOf } from './files/columns.ts'
import { fileEmpty } from './files/empty.ts'
import { readRows } from './files/rows.ts'
import { type FileProfile, listProfiles, loadProfile } from './profile.ts'
import type { NewUpload, TaskTrace, UploadStore } from './store/uploads.ts'

/** How a file comes in: it is stored durably, looked at, and its batch and task are written; the worker does the rest. */

export interface IntakeDeps {
  readonly store: UploadStore
  readonly dataDir: string
  /** Directory of the file profiles; default: those that ship. */
  readonly profilesDir?: string | undefined
}

/** A file on disk that is not yet an upload. */
export interface StoredFile {
  readonly batchId: string
  readonly fileName: string
  readonly storedPath: string
  readonly sizeBytes: number
  readonly sha256: string
}

const longestName = 255

/** Writes a stream to the upload directory, durably. What an interrupted call leaves is a `.part` file. */
export async function storeFile(deps: IntakeDeps, fileName: string, content: Readable): Promise<StoredFile> {
  const batchId = randomUUID()
  const name = safeName(fileName)
  const storedPath = join('uploads', `${batchId}${extensionOf(name)}`)
  const path = join(deps.dataDir, storedPath)
  await mkdir(dirname(path), { recursive: true })
  const hash = createHash('sha256')
  let sizeBytes = 0
  const measure = new Transform({
    transform(chunk: Buffer, _encoding, done) {
      hash.update(chunk)
      sizeBytes += chunk.length
      done(null, chunk)
    },
  })
  try {
    await pipeline(content, measure, createWriteStream(`${path}.part`))
    await makeDurable(`${path}.part`)
    await rename(`${path}.part`, path)
    await syncDirectory(dirname(path))
  } catch (error) {
    await rm(`${path}.part`, { force: true })
    throw error
  }
  return { batchId, fileName: name, storedPath, sizeBytes, sha256: hash.digest('hex') }
}

/**
 * Makes a stored file an upload with a task. Without a profile's name the one is taken whose columns the file has.
 * `also`: what is to be written in the transaction that writes the upload.
 *
 * Errors (the stored file is deleted): `file_empty`, `profile_unknown`, `profile_invalid`, `profile_needed` (none or
 * several fit), `columns_missing`, and those of `readRows`.
 */
export async function acceptFile(
  deps: IntakeDeps,
  file: StoredFile,
  profileName?: string,
  also?: (taskId: string) => (client: PoolClient) => Promise<void>,
): Promise<NewUpload> {
  const path = join(deps.dataDir, file.storedPath)
  try {
    const profile = await profileFor(deps, path, profileName)
    await mustHoldRows(path, profile)
    const upload = { ...file, taskId: randomUUID(), profile, trace: traceOfRequest() }
    await deps.store.create(upload, also?.(upload.taskId))
    return upload
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
  await rm(join(deps.dataDir, file.storedPath), { force: true })
}

async function profileFor(deps: IntakeDeps, path: string, name: string | undefined): Promise<FileProfile> {
  if (name !== undefined) {
    const profile = loadProfile(name, deps.profilesDir)
    findColumns(profile, headerOf(profile.format, await firstRow(path, profile)))
    return profile
  }
  const names = listProfiles(deps.profilesDir)
  const fitting: FileProfile[] = []
  const misfits: LoyaltyError[] = []
  for (const each of names) {
    const profile = loadProfile(each, deps.profilesDir)
    // Columns by their place would fit every file.
    if (!profile.format.header || profile.format.kind === 'fixed') continue
    const misfit = await misfitOf(path, profile)
    if (misfit === null) fitting.push(profile)
    else misfits.push(misfit)
  }
  const [only] = fitting
  if (only !== undefined && fitting.length === 1) return only
  const unreadable = misfits.find(({ code }) => code !== 'columns_missing')
  if (only === undefined && unreadable !== undefined) throw unreadable
  throw new LoyaltyError(
    'profile_needed',
    `${fitting.length === 0 ? 'no' : 'more than one'} file profile fits the header; name one of: ${names.join(', ')}`,
    { details: { known: names, fitting: fitting.map((profile) => profile.name) } },
  )
}

/** Why a file is not of a profile: its columns, or that it cannot be read as that says; null where it is. */
async function misfitOf(path: string, profile: FileProfile): Promise<LoyaltyError | null> {
  try {
    findColumns(profile, headerOf(profile.format, await firstRow(path, profile)))
    return null
  } catch (error) {
    if (error instanceof LoyaltyError) return error
    throw error
  }
}

async function firstRow(path: string, profile: FileProfile): Promise<string[]> {
  const [row] = await firstRows(path, profile, 1)
  if (row !== undefined) return row
  throw fileEmpty('nothing')
}

async function mustHoldRows(path: string, profile: FileProfile): Promise<void> {
  const needed = profile.format.header ? 2 : 1
  const rows = await firstRows(path, profile, needed)
  if (rows.length < needed) throw fileEmpty(rows.length === 0 ? 'nothing' : 'header')
}

/** `count` rows from the beginning, fewer where the file has no more. */
async function firstRows(path: string, { format }: FileProfile, count: number): Promise<string[][]> {
  const rows: string[][] = []
  for await (const batch of readRows(path, format)) {
    rows.push(...batch.slice(0, count - rows.length))
    if (rows.length >= count) break
  }
  return rows
}

async function makeDurable(path: string): Promise<void> {
  const file = await open(path, 'r+')
  try {
    await file.sync()
  } finally {
    await file.close()
  }
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
