import { createHash } from 'node:crypto'
import { LoyaltyError } from '#streams/core/error.ts'
import {
  begunPath,
  entriesPrefix,
  entryPath,
  lakePath,
  type OffsetRange,
  progressPath,
  type Stream,
  schemaPath,
  uploadPath,
} from './layout.ts'
import { createJson, getJson, type LakeStore, putJson } from './store.ts'

/** What the lake says of itself: JSON files, each written at once, none ever changed but `progress.json`. */

/** Whose lake it is; written once. */
export interface LakeFacts {
  readonly version: 1
  readonly topic_prefix: string
  readonly partitions: number
  readonly created_at: string
}

export interface FileFacts {
  readonly path: string
  /** Of the arrival of its records, UTC. */
  readonly day: string
  readonly rows: number
  readonly bytes: number
  readonly sha256: string
}

/** A range of offsets of a stream that is in the lake. The ranges of a stream follow one another without a gap. */
export interface ManifestEntry {
  readonly topic: string
  readonly partition: number
  readonly from_offset: number
  readonly next_offset: number
  readonly records: number
  /** Offsets before `from_offset` that the log had dropped before they were archived; null for none. */
  readonly lost: { readonly from_offset: number; readonly next_offset: number } | null
  /** Records of which key, value and detail are left out, as they are of clients' master data. */
  readonly withheld: number
  /** Schemas that the values name: known ones are below manifest/schemas/. */
  readonly schema_ids: readonly number[]
  readonly unknown_schema_ids: readonly number[]
  /** One for each day. */
  readonly files: readonly FileFacts[]
  readonly written_at: string
}

/**
 * Written before anything of a range is, so that it is written again as the same files after a crash, and by another
 * program that believes the partition to be its own.
 */
export interface Progress extends OffsetRange {
  /** The last record of the range: whoever goes on checks that the log still has it. */
  readonly last: { readonly offset: number; readonly sha256: string }
}

/** The rejected rows of an upload. */
export interface UploadEntry {
  readonly upload_id: string
  readonly file_name: string
  readonly uploaded_at: string
  readonly rows: number
  /** Columns that the profile of the upload does not read: their cells are not kept. */
  readonly withheld_columns: readonly string[]
  /** Code of why nothing is known of its rows; null where it is. */
  readonly missing: string | null
  readonly files: readonly FileFacts[]
  readonly written_at: string
}

export interface SchemaFacts {
  readonly id: number
  /** Text of the schema. */
  readonly schema: string
  /** Where it was registered. */
  readonly subjects: readonly { readonly subject: string; readonly version: number }[]
}

export const readFacts = (store: LakeStore) => getJson<LakeFacts>(store, lakePath)

/**
 * Begins a lake, or finds that it is that of this programme.
 *
 * Errors: `lake_mismatch` (another prefix or number of partitions), those of the store.
 */
export async function claimLake(store: LakeStore, facts: Pick<LakeFacts, 'topic_prefix' | 'partitions'>) {
  const known = await readFacts(store)
  if (known === null)
    return putJson(store, lakePath, {
      version: 1,
      ...facts,
      created_at: new Date().toISOString(),
    } satisfies LakeFacts)
  if (known.topic_prefix === facts.topic_prefix && known.partitions === facts.partitions) return
  throw new LoyaltyError(
    'lake_mismatch',
    `the lake ${store.where} is that of ${known.topic_prefix} with ${known.partitions} partitions, not of ` +
      `${facts.topic_prefix} with ${facts.partitions}; give LOYALTY_LAKE another place`,
    { details: { lake: known, given: facts } },
  )
}

export const readProgress = (store: LakeStore, stream: Stream) => getJson<Progress>(store, progressPath(stream))

/** The range that was begun at an offset, or null. */
export const readBegun = (store: LakeStore, stream: Stream, from: number) =>
  getJson<Progress>(store, begunPath(stream, from))

/** Begins a range; answers that which was begun at its first offset before, where there is one. */
export async function begin(store: LakeStore, stream: Stream, range: Progress): Promise<Progress> {
  const mine = await createJson(store, begunPath(stream, range.from), range)
  const begun = mine ? range : ((await readBegun(store, stream, range.from)) ?? range)
  await putJson(store, progressPath(stream), begun)
  return begun
}

export const readEntry = (store: LakeStore, stream: Stream, range: OffsetRange) =>
  getJson<ManifestEntry>(store, entryPath(stream, range))
export const writeEntry = (store: LakeStore, stream: Stream, entry: ManifestEntry) =>
  putJson(store, entryPath(stream, { from: entry.from_offset, next: entry.next_offset }), entry)

/** Entries of a stream in the order of their offsets. Errors: `lake_broken`, those of the store. */
export async function* readEntries(
  store: LakeStore,
  stream: Pick<Stream, 'topic' | 'partition'>,
): AsyncGenerator<ManifestEntry> {
  for await (const path of store.list(entriesPrefix(stream))) {
    const entry = await getJson<ManifestEntry>(store, path)
    if (entry !== null) yield entry
  }
}

export const readUpload = (store: LakeStore, batchId: string) => getJson<UploadEntry>(store, uploadPath(batchId))
export const writeUpload = (store: LakeStore, entry: UploadEntry) => putJson(store, uploadPath(entry.upload_id), entry)

export const readSchema = (store: LakeStore, id: number) => getJson<SchemaFacts>(store, schemaPath(id))
export const writeSchema = (store: LakeStore, facts: SchemaFacts) => putJson(store, schemaPath(facts.id), facts)

export function sha256Of(...parts: readonly (Uint8Array | string)[]): string {
  const hash = createHash('sha256')
  for (const part of parts) hash.update(part)
  return hash.digest('hex')
}

/** A file of the lake, as its manifest says that it is. Errors: `lake_broken`, those of the store. */
export async function readFileOf(store: LakeStore, file: FileFacts): Promise<Uint8Array> {
  const content = await store.get(file.path)
  if (content === null) throw broken(store, `${file.path} is missing`)
  if (content.length !== file.bytes || sha256Of(content) !== file.sha256)
    throw broken(store, `${file.path} is not what was written: its hash differs`)
  return content
}

export function broken(store: LakeStore, what: string): LoyaltyError {
  return new LoyaltyError('lake_broken', `the lake ${store.where} is damaged: ${what}`, {
    details: { lake: store.where },
  })
}
