import { existsSync } from 'node:fs'
import { join, resolve } from 'node:path'
import type { Pool } from 'pg'
import { hasCode } from '#streams/core/error.ts'
import { type ClientsProfile, isOfClients } from '../ingest/clients/profile.ts'
import type { Originals } from '../ingest/originals/originals.ts'
import type { AnyProfile, FileProfile } from '../ingest/profile.ts'
import { type JudgedFile, openJudged } from '../ingest/rejected-rows.ts'
import { UploadStore, type UploadView } from '../ingest/store/uploads.ts'
import { directoryStore } from '../lake/directory-store.ts'
import { lakeLocation } from '../lake/location.ts'
import type { RejectedCells, RejectedSource } from '../lake/rejected.ts'
import { s3Store } from '../lake/s3-store.ts'
import type { LakeStore } from '../lake/store.ts'
import type { Config } from '../platform/config.ts'
import { bucketPlace } from './bucket.ts'

/**
 * The lake at a place: `s3://bucket/prefix`, with the keys of the configuration, or a directory. Null for `off`. Connects on
 * first use. Errors: `lake_location_invalid`, `config_missing`.
 */
export function openLake(config: Config, place: string = config.lake): LakeStore | null {
  const location = lakeLocation(place)
  if (location === null) return null
  if (location.kind === 'directory') return directoryStore(resolve(location.path))
  return s3Store(bucketPlace(config, 'lake', location))
}

/** Rejected rows of uploads from the stores of ingestion: its database, the verdicts in its directory, and the originals. */
export function rejectedSource(pool: Pool, dataDir: string, originals: Pick<Originals, 'open'>): RejectedSource {
  const store = new UploadStore(pool)
  return {
    ended: () => store.ended(),
    async rejected(batchId) {
      const [upload, profile] = await Promise.all([store.upload(batchId), store.profileOf(batchId)])
      if (upload === null || profile === null || isOfMasterData(profile)) return null
      // Where ingestion has another data directory, that says nothing of this upload.
      if (!existsSync(join(dataDir, 'verdicts'))) return null
      const judged = await judgedOrCode(dataDir, upload, originals)
      if (typeof judged === 'string') return { kind: 'missing', code: judged }
      const read = columnsRead(profile, judged.header)
      const withheldColumns = judged.header.filter((_, index) => !read.has(index))
      return { kind: 'known', withheldColumns, rows: rowsOf(judged, read) }
    },
  }
}

function isOfMasterData(profile: AnyProfile): profile is ClientsProfile {
  return isOfClients<FileProfile>(profile)
}

async function judgedOrCode(
  dataDir: string,
  upload: UploadView,
  originals: Pick<Originals, 'open'>,
): Promise<JudgedFile | string> {
  try {
    return await openJudged(dataDir, upload, false, originals)
  } catch (error) {
    if (hasCode(error, 'verdicts_missing', 'kept_elsewhere')) return error.code
    throw error
  }
}

/** Indices of the columns that a profile reads. */
function columnsRead(profile: FileProfile, header: readonly string[]): ReadonlySet<number> {
  const { attributes, ...columns } = profile.columns
  const named = [...Object.values(columns), ...Object.values(attributes)].filter((column) => column !== undefined)
  return new Set(named.map((column) => (typeof column === 'number' ? column : header.indexOf(column))))
}

async function* rowsOf({ header, rows }: JudgedFile, read: ReadonlySet<number>): AsyncGenerator<RejectedCells> {
  for await (const { row, verdicts, cells } of rows) {
    const kept = cells.flatMap((cell, index) => (read.has(index) ? [[header[index] ?? String(index), cell]] : []))
    const { code: reason, field, value } = verdicts[0]!
    yield { row, reason, field, value, cells: Object.fromEntries(kept) }
  }
}
