import { createHash } from 'node:crypto'
import { z } from 'zod'
import { hasCode, LoyaltyError } from '#streams/core/error.ts'
import {
  begunPath,
  entriesPrefix,
  entryPath,
  lakePath,
  manifestPathOf,
  type OffsetRange,
  progressPath,
  type Stream,
  schemaPath,
  uploadPath,
} from './layout.ts'
import { broken, createJson, getJson, type LakeStore, putJson } from './store.ts'

/**
 * What the lake says of itself: JSON files, each written at once, none ever changed but `progress.json`. Reading one that
 * is damaged, or has another shape, is `lake_broken`.
 */

const offset = z.int().min(0)
const count = z.int().min(0)

/** Whose lake it is; written once. */
const lakeFacts = z.object({
  version: z.literal(1),
  topic_prefix: z.string(),
  partitions: z.int().min(1),
  created_at: z.string(),
})
export type LakeFacts = Readonly<z.output<typeof lakeFacts>>

const fileFacts = z.object({
  path: z.string(),
  /** Of the arrival of its records, UTC. */
  day: z.string(),
  rows: count,
  bytes: count,
  sha256: z.string(),
})
export type FileFacts = Readonly<z.output<typeof fileFacts>>

/** A range of offsets of a stream that is in the lake. The ranges of a stream follow one another without a gap. */
const manifestEntry = z.object({
  topic: z.string(),
  partition: z.int().min(0),
  from_offset: offset,
  next_offset: offset,
  records: count,
  /** Offsets before `from_offset` that the log had dropped before they were archived; null for none. */
  lost: z.object({ from_offset: offset, next_offset: offset }).nullable(),
  /** Records of which key, value and detail are left out, as they are of clients' master data. */
  withheld: count,
  /** Schemas that the values name: known ones are below manifest/schemas/. */
  schema_ids: z.array(z.int()).readonly(),
  unknown_schema_ids: z.array(z.int()).readonly(),
  /** One for each day. */
  files: z.array(fileFacts).readonly(),
  written_at: z.string(),
})
export type ManifestEntry = Readonly<z.output<typeof manifestEntry>>

/**
 * Written before anything of a range is, so that it is written again as the same files after a crash, and by another
 * program that believes the partition to be its own.
 */
const progress = z
  .object({
    from: offset,
    next: offset,
    /** The last record of the range: whoever goes on checks that the log still has it. */
    last: z.object({ offset, sha256: z.string() }),
  })
  .refine(({ from, next }) => next > from, 'ends before it begins')
export type Progress = OffsetRange & Readonly<z.output<typeof progress>>

/** The rejected rows of an upload. */
const uploadEntry = z.object({
  upload_id: z.string(),
  file_name: z.string(),
  uploaded_at: z.string(),
  rows: count,
  /** Columns that the profile of the upload does not read: their cells are not kept. */
  withheld_columns: z.array(z.string()).readonly(),
  /** Code of why nothing is known of its rows; null where it is. */
  missing: z.string().nullable(),
  files: z.array(fileFacts).readonly(),
  written_at: z.string(),
})
export type UploadEntry = Readonly<z.output<typeof uploadEntry>>

const schemaFacts = z.object({
  id: z.int(),
  /** Text of the schema. */
  schema: z.string(),
  /** Where it was registered. */
  subjects: z.array(z.object({ subject: z.string(), version: z.int() })).readonly(),
})
export type SchemaFacts = Readonly<z.output<typeof schemaFacts>>

export const readFacts = (store: LakeStore) => getJson(store, lakePath, lakeFacts)

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

export const readProgress = (store: LakeStore, stream: Stream) => getJson(store, progressPath(stream), progress)

/** The range that was begun at an offset, or null. */
export async function readBegun(store: LakeStore, stream: Stream, from: number): Promise<Progress | null> {
  const begun = await getJson(store, begunPath(stream, from), progress)
  if (begun === null || begun.from === from) return begun
  throw broken(store, `${begunPath(stream, from)} is of another range`)
}

/** Begins a range; answers that which was begun at its first offset before, where there is one. */
export async function begin(store: LakeStore, stream: Stream, range: Progress): Promise<Progress> {
  const mine = await createJson(store, begunPath(stream, range.from), range)
  const begun = mine ? range : ((await readBegun(store, stream, range.from)) ?? range)
  await putJson(store, progressPath(stream), begun)
  return begun
}

export const readEntry = (store: LakeStore, stream: Stream, range: OffsetRange) =>
  getJson(store, entryPath(stream, range), manifestEntry)
export const writeEntry = (store: LakeStore, stream: Stream, entry: ManifestEntry) =>
  putJson(store, entryPath(stream, { from: entry.from_offset, next: entry.next_offset }), entry)

/** Entries of a stream in the order of their offsets. Errors: `lake_broken`, those of the store. */
export async function* readEntries(store: LakeStore, stream: Stream): AsyncGenerator<ManifestEntry> {
  for await (const path of store.list(entriesPrefix(stream))) {
    const entry = await readEntryAt(store, stream, path)
    if (entry !== null) yield entry
  }
}

/** An entry that is not that of its name is none. Errors: `lake_broken`, those of the store. */
export async function readEntryAt(store: LakeStore, stream: Stream, path: string): Promise<ManifestEntry | null> {
  const entry = await getJson(store, path, manifestEntry)
  if (entry === null) return null
  const { topic, partition, from_offset: from, next_offset: next } = entry
  if (entryPath({ ...stream, topic, partition }, { from, next }) !== path)
    throw broken(store, `${path} is the entry of another range`)
  if (entry.files.reduce((sum, { rows }) => sum + rows, 0) !== entry.records)
    throw broken(store, `${path}: its files have other counts`)
  return entry
}

/** True where a file of the manifest names a file of rows; one that is damaged names none. Errors: those of the store. */
export async function isNamed(store: LakeStore, path: string): Promise<boolean> {
  const manifest = manifestPathOf(path)
  if (manifest === null) return false
  try {
    return (await getJson(store, manifest, naming))?.files.some((file) => file.path === path) ?? false
  } catch (error) {
    if (hasCode(error, 'lake_broken')) return false
    throw error
  }
}

const naming = z.object({ files: z.array(z.object({ path: z.string() })) })

export const readUpload = (store: LakeStore, batchId: string) => readUploadAt(store, uploadPath(batchId))
export const readUploadAt = (store: LakeStore, path: string) => getJson(store, path, uploadEntry)
export const writeUpload = (store: LakeStore, entry: UploadEntry) => putJson(store, uploadPath(entry.upload_id), entry)

export async function readSchema(store: LakeStore, id: number): Promise<SchemaFacts | null> {
  const facts = await getJson(store, schemaPath(id), schemaFacts)
  if (facts === null || facts.id === id) return facts
  throw broken(store, `${schemaPath(id)} is schema ${facts.id}`)
}
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
