import { join } from 'node:path'
import { hasCode, LoyaltyError } from '#streams/core/error.ts'
import { readManifest } from './files/buckets.ts'
import { headerOf } from './files/columns.ts'
import { csvLine, safeCell, verdictColumns } from './files/rejected-csv.ts'
import { type RowBatch, readRows } from './files/rows.ts'
import { keptElsewhere } from './kept-elsewhere.ts'
import { directoryOriginals } from './originals/directory.ts'
import type { LocalFile, Originals } from './originals/originals.ts'
import type { UploadView } from './store/uploads.ts'
import { readVerdicts, type VerdictManifest, type VerdictRecord, verdictsPath } from './verdict-files.ts'
import { isFlag, type Language, sentences, shownValue, type Verdict } from './verdicts.ts'

/** A row of an upload with what was found about it: one reason for which it was rejected, or the flags it was kept with. */
export interface JudgedRow {
  readonly row: number
  readonly verdicts: readonly Verdict[]
  /** As they stand in the original. */
  readonly cells: readonly string[]
}

export interface JudgedFile {
  readonly batchId: string
  readonly manifest: VerdictManifest
  /** Names of the original's columns; `column_1` … where it has none. */
  readonly header: readonly string[]
  /** In the order of the file; the file is held until they were read, or given up (`return`). */
  readonly rows: AsyncIterable<JudgedRow>
}

/**
 * The rejected rows of an upload, and with `flagged` those that were kept and flagged, put together from the original and
 * the verdicts. Errors: `verdicts_not_ready` (try again), `kept_elsewhere`, `verdicts_missing`, `original_damaged`, `upload_store_unavailable`.
 */
export async function openJudged(
  dataDir: string,
  upload: UploadView,
  flagged: boolean,
  originals: Pick<Originals, 'open'> = directoryOriginals(dataDir),
): Promise<JudgedFile> {
  const directory = verdictsPath(dataDir, upload.batchId)
  const manifest = await readManifest<VerdictManifest>(join(directory, 'manifest.json'))
  if (manifest === null) throw withoutVerdicts(upload, directory)
  const file = await openOriginal(originals, upload, manifest)
  try {
    const batches = readRows(file.path, manifest.format, { notation: manifest.notation })
    const first = await batches.next()
    const firstRow = first.done ? [] : (first.value[0] ?? [])
    const header = headerOf(manifest.format, firstRow) ?? firstRow.map((_, index) => `column_${index + 1}`)
    const read = { file, batches, first, judged: new Judged(directory, manifest, flagged) }
    return {
      batchId: upload.batchId,
      manifest,
      header: header.map((name) => name.trim()),
      rows: judgedRows(read, manifest),
    }
  } catch (error) {
    await file.release()
    throw error
  }
}

interface ReadFile {
  readonly file: LocalFile
  readonly batches: AsyncGenerator<RowBatch>
  /** What was read of it already. */
  readonly first: IteratorResult<RowBatch>
  readonly judged: Judged
}

async function* judgedRows(
  { file, batches, first, judged }: ReadFile,
  { format }: VerdictManifest,
): AsyncGenerator<JudgedRow> {
  let number = format.header ? -1 : 0
  try {
    for (let batch = first; !batch.done; batch = await batches.next())
      for (const [at, cells] of batch.value.entries()) {
        number++
        const row = batch.value.numbers?.[at] ?? number
        const verdicts = number === 0 ? null : await judged.at(row, cells)
        if (verdicts !== null) yield { row, verdicts, cells }
        if (judged.ended) return
      }
  } finally {
    await batches.return(undefined)
    await file.release()
  }
}

async function openOriginal(
  originals: Pick<Originals, 'open'>,
  upload: UploadView,
  manifest: VerdictManifest,
): Promise<LocalFile> {
  try {
    return await originals.open({ storedPath: manifest.storedPath, sha256: upload.sha256 })
  } catch (error) {
    if (hasCode(error, 'original_missing')) throw withoutOriginal(upload, manifest)
    throw error
  }
}

function withoutVerdicts({ batchId, status, report }: UploadView, directory: string): LoyaltyError {
  const details = { batch_id: batchId, status }
  if (status === 'PENDING' || status === 'PROCESSING')
    return new LoyaltyError('verdicts_not_ready', `upload ${batchId} is still being read; try again when it is`, {
      retriable: true,
      details,
    })
  // Of a file of transactions that was taken in to its end there were some.
  if (status === 'COMPLETED' && report !== null) return keptElsewhere('verdicts on rows', batchId, directory)
  return new LoyaltyError(
    'verdicts_missing',
    `no verdicts are kept of upload ${batchId}: it is a file of clients, it failed before its rows were judged, or an older version took it in; ` +
      'upload the file again',
    { details },
  )
}

function withoutOriginal({ batchId }: UploadView, { storedPath }: VerdictManifest): LoyaltyError {
  return new LoyaltyError(
    'verdicts_missing',
    `the file of upload ${batchId} is no longer at ${storedPath}, or cannot be had from there; put it back, or upload it again`,
    { details: { batch_id: batchId, path: storedPath } },
  )
}

/** Walks through the verdicts of a file as its rows go by. */
class Judged {
  ended = false
  readonly #parts: AsyncGenerator<readonly VerdictRecord[]>
  readonly #manifest: VerdictManifest
  readonly #flagged: boolean
  #records: readonly VerdictRecord[] = []
  #next = 0

  constructor(directory: string, manifest: VerdictManifest, flagged: boolean) {
    this.#parts = readVerdicts(directory, manifest.rows)
    this.#manifest = manifest
    this.#flagged = flagged
  }

  /** What is to be told of a row, null where nothing is. Rows come in order; `ended` says that there is no other. */
  async at(row: number, cells: readonly string[]): Promise<Verdict[] | null> {
    if (this.#next >= this.#records.length) await this.#more()
    if (this.#records[this.#next]?.row !== row) return null
    const verdicts: Verdict[] = []
    for (; this.#records[this.#next]?.row === row; this.#next++) {
      const record = this.#records[this.#next]!
      const code = this.#manifest.codes[record.code]!
      if (!isFlag(code) || this.#flagged) verdicts.push(this.#verdictOf(record, code, cells))
    }
    return verdicts.length === 0 ? null : verdicts
  }

  async #more(): Promise<void> {
    this.#next = 0
    do {
      const part = await this.#parts.next()
      this.ended = part.done === true
      this.#records = part.done ? [] : part.value
    } while (this.#records.length === 0 && !this.ended)
  }

  #verdictOf({ row, field, value }: VerdictRecord, code: Verdict['code'], cells: readonly string[]): Verdict {
    const named = this.#manifest.fields[field]
    const cell = cells[named?.column ?? -1]
    return {
      row,
      code,
      field: named?.name ?? null,
      value: value ?? (cell === undefined ? null : shownValue(cell.trim())),
    }
  }
}

const chunkChars = 64 * 1024

/**
 * Rejected rows as CSV for a spreadsheet, in pieces: a byte order mark, a header, the columns of the verdict and the
 * original's. In Russian cells are divided by semicolons, which is what a Russian spreadsheet expects.
 */
export async function* rejectedCsv(
  { batchId, manifest, header, rows }: JudgedFile,
  language: Language,
): AsyncGenerator<string> {
  const delimiter = language === 'ru' || manifest.delimiter === ';' ? ';' : ','
  let text = `\ufeff${csvLine([...verdictColumns, ...header.map(safeCell)], delimiter)}`
  for await (const { row, verdicts, cells } of rows) {
    const told = [
      verdicts.map(({ code }) => code),
      verdicts.map(({ field }) => field ?? ''),
      verdicts.map(({ value }) => safeCell(value ?? '')),
      verdicts.map(({ code }) => sentences[code][language]),
    ]
    const about = [String(row), ...told.map((each) => each.join('; ')), batchId]
    text += csvLine([...about, ...cells.map(safeCell)], delimiter)
    if (text.length < chunkChars) continue
    yield text
    text = ''
  }
  yield text
}

/** Rejected rows as one JSON object on one line, in pieces. */
export async function* rejectedJson(batchId: string, { header, rows }: JudgedFile): AsyncGenerator<string> {
  let text = `{"batch_id":${JSON.stringify(batchId)},"columns":${JSON.stringify(header)},"rows":[`
  let between = ''
  for await (const { row, verdicts, cells } of rows) {
    const told = verdicts.map(({ code, field, value }) => ({ code, field, value, sentence: sentences[code] }))
    text += `${between}${JSON.stringify({ row, verdicts: told, cells })}`
    between = ','
    if (text.length < chunkChars) continue
    yield text
    text = ''
  }
  yield `${text}]}\n`
}
