import { type RejectedRow, rejectedColumns } from './columns.ts'
import { dayOf, rejectedPath, uploadsPrefix } from './layout.ts'
import { type FileFacts, sha256Of, writeUpload } from './manifest.ts'
import { writeParquet } from './parquet.ts'
import type { LakeStore } from './store.ts'

/** An upload of transactions that has ended. */
export interface EndedUpload {
  readonly batchId: string
  readonly fileName: string
  readonly uploadedAtMs: number
}

/** A rejected row of one: why, and the cells that its profile reads, by column. */
export interface RejectedCells {
  readonly row: number
  readonly reason: string
  readonly field: string | null
  readonly value: string | null
  readonly cells: Readonly<Record<string, string>>
}

/** The rejected rows of an upload, as far as they are known. */
export type RejectedOf =
  | {
      readonly kind: 'known'
      /** Columns that the profile does not read: what is in them may be anything, also names and addresses. */
      readonly withheldColumns: readonly string[]
      readonly rows: AsyncIterable<RejectedCells>
    }
  /** With the code of why nothing is known. */
  | { readonly kind: 'missing'; readonly code: string }

/** What ingestion knows of uploads. Errors of both: those of its stores. */
export interface RejectedSource {
  /** Uploads of transactions that have ended. */
  ended(): Promise<readonly EndedUpload[]>
  /** Null where it cannot be told now. */
  rejected(batchId: string): Promise<RejectedOf | null>
}

const rowsOfFile = 50_000

/** Archives the rejected rows of uploads, an upload at once when it has ended: the same rows give the same files. */
export class RejectedArchive {
  readonly #store: LakeStore
  readonly #source: RejectedSource
  readonly #everyMs: number
  readonly #onArchived: (rows: number) => void
  #archived: Set<string> | null = null
  #lookedMs = Number.NEGATIVE_INFINITY

  constructor(store: LakeStore, source: RejectedSource, everyMs: number, onArchived: (rows: number) => void) {
    this.#store = store
    this.#source = source
    this.#everyMs = everyMs
    this.#onArchived = onArchived
  }

  /** Archives what has ended since, where it is time to look, and with `now` in any case. Errors: those of the stores. */
  async look(now: boolean, goesOn: () => boolean): Promise<void> {
    if (!now && performance.now() - this.#lookedMs < this.#everyMs) return
    this.#archived ??= await this.#known()
    for (const upload of await this.#source.ended()) {
      if (!goesOn()) return
      if (this.#archived.has(upload.batchId)) continue
      const rejected = await this.#source.rejected(upload.batchId)
      if (rejected === null) continue
      if (!(await this.#archive(upload, rejected, goesOn))) return
      this.#archived.add(upload.batchId)
    }
    this.#lookedMs = performance.now()
  }

  async #known(): Promise<Set<string>> {
    const known = new Set<string>()
    for await (const path of this.#store.list(uploadsPrefix)) known.add(path.slice(uploadsPrefix.length, -5))
    return known
  }

  /** False where it was left before its end, so that it is begun anew. */
  async #archive(upload: EndedUpload, rejected: RejectedOf, goesOn: () => boolean): Promise<boolean> {
    const files: FileFacts[] = []
    let rows: RejectedRow[] = []
    const write = async () => {
      const day = dayOf(upload.uploadedAtMs)
      const path = rejectedPath(upload.batchId, files.length, day)
      const content = writeParquet(rejectedColumns, rows)
      await this.#store.put(path, content)
      files.push({ path, day, rows: rows.length, bytes: content.length, sha256: sha256Of(content) })
      rows = []
    }
    if (rejected.kind === 'known')
      for await (const row of rejected.rows) {
        rows.push(rowOf(upload, row))
        if (!goesOn()) return false
        if (rows.length === rowsOfFile) await write()
      }
    if (rows.length > 0) await write()
    const total = files.reduce((sum, file) => sum + file.rows, 0)
    await writeUpload(this.#store, {
      upload_id: upload.batchId,
      file_name: upload.fileName,
      uploaded_at: new Date(upload.uploadedAtMs).toISOString(),
      rows: total,
      withheld_columns: rejected.kind === 'known' ? rejected.withheldColumns : [],
      missing: rejected.kind === 'missing' ? rejected.code : null,
      files,
      written_at: new Date().toISOString(),
    })
    this.#onArchived(total)
    return true
  }
}

function rowOf(upload: EndedUpload, { row, reason, field, value, cells }: RejectedCells): RejectedRow {
  return {
    ...{ upload_id: upload.batchId, file_name: upload.fileName, uploaded_at: upload.uploadedAtMs },
    ...{ row, reason, field, value, cells: JSON.stringify(cells) },
  }
}
