import { createReadStream } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Buckets, bucketPath, writeManifest } from './files/buckets.ts'
import type { Notation } from './files/xlsx/cells.ts'
import type { FileProfile } from './profile.ts'
import { type Field, field } from './receipts/fields.ts'
import { type VerdictCode, verdictCodes } from './verdicts.ts'

/**
 * Verdicts on the rows of an upload, on disk: a few bytes each, since the original is kept and has the cells. Reading the
 * file gives them in the order of the rows; grouping, and what is found out later, in any order, so those are dealt out to
 * parts of successive rows that are sorted when they are read.
 */

/** Where a batch has its verdicts, below the data directory. */
export function verdictsPath(dataDir: string, batchId: string): string {
  return join(dataDir, 'verdicts', batchId)
}

/** Which part of the work found a verdict; a directory each, written by that part alone. */
export type VerdictSource = 'rows' | 'receipts' | 'late'

/** Written once a file is prepared: what is needed to put rows and verdicts together again. */
export interface VerdictManifest {
  readonly fileName: string
  /** The original, relative to the data directory, and how it is read. */
  readonly storedPath: string
  readonly format: FileProfile['format']
  /** Null where cells are not divided by one. */
  readonly delimiter: string | null
  /** What values of a workbook are written by; missing in manifests of versions that read none. */
  readonly notation?: Notation
  /** The highest number of a row: rows of the file, without the header, or the last row of a sheet. */
  readonly rows: number
  /** By their numbers in the files, which later versions may give otherwise. */
  readonly codes: readonly VerdictCode[]
  readonly fields: readonly Field[]
}

export interface VerdictRecord {
  readonly row: number
  /** Index in the manifest's codes. */
  readonly code: number
  /** Index in the manifest's fields; -1 for none. */
  readonly field: number
  /** Null: what stands in the cell of the field. */
  readonly value: string | null
}

/** Makes the verdicts of rows and receipts the batch's: they are durable already. */
export async function keepVerdicts(path: string, manifest: Omit<VerdictManifest, 'codes'>): Promise<void> {
  await writeManifest(join(path, 'manifest.json'), { ...manifest, codes: verdictCodes } satisfies VerdictManifest)
}

const leastRowsOfPart = 32_768
const maxParts = 256
/** Of files with no higher number of a row the parts are known before they have been read. */
export const rowsOfLeastParts = leastRowsOfPart * maxParts

function rowsOfPart(rows: number): number {
  return Math.max(leastRowsOfPart, Math.ceil(rows / maxParts))
}

const codeNumbers = new Map(verdictCodes.map((code, number) => [code, number]))

/** Row (4), code (1), field (2), length of the value or `fromCell` (2), value. */
const headBytes = 9
const fromCell = 0xffff
const noField = 0xffff
const maxValueBytes = 400

export class VerdictWriter {
  readonly #files: Buckets
  readonly #rowsOfPart: number
  readonly #record = Buffer.alloc(headBytes + maxValueBytes)

  private constructor(files: Buckets, rowsOfPart: number) {
    this.#files = files
    this.#rowsOfPart = rowsOfPart
  }

  /**
   * Begins the verdicts of a source anew. `rows` of the file, or what it has at most where that is `rowsOfLeastParts`; null
   * where they come in their order and their number is not known yet.
   */
  static async create(path: string, source: VerdictSource, rows: number | null): Promise<VerdictWriter> {
    const size = rows === null ? Number.POSITIVE_INFINITY : rowsOfPart(rows)
    const parts = rows === null ? 1 : Math.ceil(rows / size)
    return new VerdictWriter(await Buckets.create(join(path, source), parts, { sparse: parts > 1 }), size)
  }

  /** `fieldIndex` by `receipts/fields.ts`; a null value is the one that stands in the field's cell. */
  add(row: number, code: VerdictCode, fieldIndex: number, value: string | null): void {
    const record = this.#record
    record.writeUInt32LE(row, 0)
    record[4] = codeNumbers.get(code)!
    record.writeUInt16LE(fieldIndex === field.none ? noField : fieldIndex, 5)
    const bytes = value === null ? 0 : record.write(value, headBytes)
    record.writeUInt16LE(value === null ? fromCell : bytes, 7)
    const part = this.#rowsOfPart === Number.POSITIVE_INFINITY ? 0 : Math.floor((row - 1) / this.#rowsOfPart)
    this.#files.append(part, record.subarray(0, headBytes + bytes))
  }

  async drain(): Promise<void> {
    await this.#files.drain()
  }

  /** Makes everything durable. */
  async finish(): Promise<void> {
    await this.#files.finish()
  }

  /** Closes without finishing; harmless when repeated. */
  async close(): Promise<void> {
    await this.#files.close()
  }
}

/** All verdicts of a batch in the order of the rows, some thousands at a time, those of one row together. */
export async function* readVerdicts(path: string, rows: number): AsyncGenerator<readonly VerdictRecord[]> {
  const size = rowsOfPart(rows)
  const found = inOrder(path)
  let ahead: VerdictRecord[] = []
  let ended = false
  for (let part = 0; part * size < rows; part++) {
    const last = (part + 1) * size
    while (!ended && (ahead.at(-1)?.row ?? 0) <= last) {
      const next = await found.next()
      if (next.done) ended = true
      else for (const record of next.value) ahead.push(record)
    }
    const records = ahead.filter(({ row }) => row <= last)
    ahead = ahead.slice(records.length)
    for (const source of ['receipts', 'late'] as const)
      decode(await bytesOf(bucketPath(join(path, source), part)), records)
    yield records.sort((a, b) => a.row - b.row)
  }
}

async function* inOrder(path: string): AsyncGenerator<VerdictRecord[]> {
  let rest: Buffer = Buffer.alloc(0)
  for await (const chunk of createReadStream(bucketPath(join(path, 'rows'), 0)) as AsyncIterable<Buffer>) {
    const bytes = rest.length === 0 ? chunk : Buffer.concat([rest, chunk])
    const records: VerdictRecord[] = []
    rest = bytes.subarray(decode(bytes, records))
    yield records
  }
}

/** Nothing where there is no such file: not every upload has late verdicts. */
async function bytesOf(path: string): Promise<Buffer> {
  try {
    return await readFile(path)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return Buffer.alloc(0)
    throw error
  }
}

/** Takes whole records from `bytes`; answers where the first that is not whole begins. */
function decode(bytes: Buffer, records: VerdictRecord[]): number {
  let at = 0
  while (at + headBytes <= bytes.length) {
    const length = bytes.readUInt16LE(at + 7)
    const end = at + headBytes + (length === fromCell ? 0 : length)
    if (end > bytes.length) break
    const fieldIndex = bytes.readUInt16LE(at + 5)
    records.push({
      row: bytes.readUInt32LE(at),
      code: bytes[at + 4]!,
      field: fieldIndex === noField ? field.none : fieldIndex,
      value: length === fromCell ? null : bytes.toString('utf8', at + headBytes, end),
    })
    at = end
  }
  return at
}
