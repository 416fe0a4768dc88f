import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { StoreRows } from '#schemas/events.ts'
import { Buckets, readManifest, writeManifest } from '../files/buckets.ts'
import { findColumns, headerOf } from '../files/columns.ts'
import { fileEmpty } from '../files/empty.ts'
import { type FileInput, type RowBatch, readRows, unknownInput } from '../files/rows.ts'
import { type FileProfile, notationOf } from '../profile.ts'
import { VerdictWriter } from '../verdict-files.ts'
import { emptyTally, FirstVerdicts, type Reason, reject, shownValue, type Tally, type Verdict } from '../verdicts.ts'
import { type Field, fieldsOf } from './fields.ts'
import { RowMapper } from './map-row.ts'
import type { MappedRow, SpoiltRow } from './row.ts'
import { RowEncoder } from './row-codec.ts'
import { StoreCounts } from './store-rows.ts'

/**
 * First pass over a file: every row is mapped and dealt out by the key of its receipt, so that rows of one receipt meet
 * in one bucket wherever they stand in the file. The manifest, written last, says that the pass is complete: a resumed
 * upload with a manifest never reads the file again.
 */
export interface SpillManifest {
  /** What the pass depended on; a manifest with another key is not this pass's. */
  readonly key: string
  readonly buckets: number
  /** Rows of the file, without the header. */
  readonly rows: number
  /** The highest number of a row: that of the last one, which sheets count otherwise. */
  readonly lastNumber?: number
  readonly tally: Tally
  /** The rejected rows of this pass by store. */
  readonly stores: readonly StoreRows[]
  /** Verdicts of this pass, the first ones by row. */
  readonly verdicts: readonly Verdict[]
  readonly fields: readonly Field[]
  /** What the file was found to be. */
  readonly input: FileInput
}

export interface SpillOptions {
  readonly path: string
  readonly profile: FileProfile
  readonly directory: string
  readonly key: string
  /** When the file came: rows may not be dated much later. Without it, any date is good. */
  readonly uploadedAtMs?: number
  /** Directory of the batch's verdicts; without it none are kept but those of the manifest. */
  readonly verdictsDirectory?: string
  /** Hears the share of the file that was read, 0 to 1. */
  readonly onProgress?: (share: number) => void
  readonly signal?: AbortSignal
}

/**
 * Bytes of a bucket aimed at: what the second pass holds in memory at once, several times over until it is swept. Each
 * bucket is an open file and a piece of a buffer in the first.
 */
const bucketBytes = 384 * 1024
const maxBuckets = 512

/** The manifest of a pass that was completed before; null where there is none of this key. */
export async function spilledRows(directory: string, key: string): Promise<SpillManifest | null> {
  const done = await readManifest<SpillManifest>(join(directory, 'manifest.json'))
  return done?.key === key ? done : null
}

/**
 * Runs the pass, or answers the manifest of one that was completed before. Errors: `file_empty`, `columns_missing`, and
 * those of `readRows`.
 */
export async function spillRows(options: SpillOptions): Promise<SpillManifest> {
  const manifestPath = join(options.directory, 'manifest.json')
  const done = await spilledRows(options.directory, options.key)
  if (done !== null) return done
  const { directory, key, path, verdictsDirectory } = options
  const buckets = await Buckets.create(directory, await bucketsFor(path))
  const verdicts = verdictsDirectory === undefined ? null : await VerdictWriter.create(verdictsDirectory, 'rows', null)
  const pass = new SpillPass(options, buckets, verdicts)
  try {
    await pass.run()
    await buckets.finish()
    await verdicts?.finish()
  } finally {
    await buckets.close()
    await verdicts?.close()
  }
  const { buckets: count, rows, lastNumber, tally, fields, input } = pass
  const verdictList = pass.first.list()
  const counted = { rows, lastNumber, tally, stores: pass.stores.list(), verdicts: verdictList }
  const manifest: SpillManifest = { key, buckets: count, ...counted, fields, input }
  await writeManifest(manifestPath, manifest)
  return manifest
}

/** Compressed text is taken to be a tenth of its size. */
export async function bucketsFor(path: string): Promise<number> {
  const { size } = await stat(path)
  const text = /\.(gz|zst|zip|xlsx|xlsm)$/i.test(path) ? size * 10 : size
  return Math.min(maxBuckets, Math.max(4, Math.ceil(text / bucketBytes)))
}

class SpillPass {
  readonly buckets: number
  readonly tally = emptyTally()
  readonly stores = new StoreCounts()
  rows = 0
  lastNumber = 0
  readonly input = unknownInput()
  readonly first = new FirstVerdicts()
  fields: readonly Field[] = []
  readonly #options: SpillOptions
  readonly #files: Buckets
  readonly #verdicts: VerdictWriter | null
  readonly #encoder = new RowEncoder()
  #mapper: RowMapper | null = null
  #lastKey = ''
  #lastBucket = 0
  #lastSpoilt = ''
  /** The row before, where it says which receipt it is of, and where it lacks nothing for that but its day. */
  #before: Pick<MappedRow, 'key' | 'store' | 'terminal' | 'receipt'> = { key: '', store: '', terminal: '', receipt: '' }

  constructor(options: SpillOptions, files: Buckets, verdicts: VerdictWriter | null) {
    this.#options = options
    this.#files = files
    this.#verdicts = verdicts
    this.buckets = files.count
  }

  async run(): Promise<void> {
    const { path, profile, onProgress, signal } = this.#options
    const { size } = await stat(path)
    const rows = readRows(path, profile.format, {
      input: this.input,
      notation: notationOf(profile),
      onBytes: (bytes) => onProgress?.(bytes / Math.max(1, size)),
    })
    for await (const batch of rows) {
      signal?.throwIfAborted()
      this.#take(batch)
      await this.#files.drain()
      await this.#verdicts?.drain()
    }
    if (this.rows === 0) throw fileEmpty(this.#mapper === null ? 'nothing' : 'header')
  }

  #take(rows: RowBatch): void {
    for (let at = 0; at < rows.length; at++) {
      const cells = rows[at]!
      if (this.#mapper === null) {
        const { profile, uploadedAtMs } = this.#options
        const columns = findColumns(profile, headerOf(profile.format, cells))
        this.#mapper = new RowMapper(profile, columns, uploadedAtMs)
        this.fields = fieldsOf(profile, columns)
        if (profile.format.header) continue
      }
      this.rows++
      this.lastNumber = rows.numbers?.[at] ?? this.rows
      this.#takeRow(this.#mapper, cells)
    }
  }

  #takeRow(mapper: RowMapper, cells: readonly string[]): void {
    const reason = mapper.map(cells, this.lastNumber)
    const { row } = mapper
    if (this.#options.profile.grain === 'line') this.#spoilUndated(row)
    if (reason === null) {
      this.#encoder.mapped(row)
      this.#append(row.key)
      return
    }
    reject(this.tally, reason, 1)
    this.stores.reject(row.store, reason, 1)
    this.#verdicts?.add(row.number, reason, mapper.fault, null)
    if (this.first.wants(row.number)) this.first.add(this.#verdictOn(row.number, reason, mapper.fault, cells))
    // Rows of one receipt mostly stand together; one mark spoils it as well as many.
    if (this.#options.profile.grain === 'receipt' || row.key === '' || row.key === this.#lastSpoilt) return
    this.#lastSpoilt = row.key
    this.#spoil(row)
  }

  #spoil(row: SpoiltRow): void {
    this.#encoder.spoilt(row)
    this.#append(row.key)
  }

  #append(key: string): void {
    const { bytes, length } = this.#encoder
    this.#files.append(this.#bucketOf(key), bytes, length)
  }

  /** A row whose day is unknown belongs to the receipt of that number beside it, which is not whole without it. */
  #spoilUndated(row: MappedRow): void {
    const { key, store, terminal, receipt } = row
    const before = this.#before
    if (key !== '' && key === before.key) return
    const isOfOne = before.receipt === receipt && before.store === store && before.terminal === terminal
    const whole = isOfOne && receipt !== '' && (key === '') !== (before.key === '') ? key || before.key : ''
    if (whole !== '') this.#spoil({ number: row.number, key: whole })
    // Several such rows may follow each other.
    this.#before = { key: isOfOne && key === '' ? before.key : key, store, terminal, receipt }
  }

  #verdictOn(row: number, code: Reason, fault: number, cells: readonly string[]): Verdict {
    const field = this.fields[fault]
    const value = cells[field?.column ?? -1]
    return { row, code, field: field?.name ?? null, value: value === undefined ? null : shownValue(value.trim()) }
  }

  #bucketOf(key: string): number {
    if (key !== this.#lastKey) {
      this.#lastKey = key
      this.#lastBucket = hashOf(key) % this.buckets
    }
    return this.#lastBucket
  }
}

/** FNV-1a over UTF-16 units: spreads keys over buckets, identifies nothing. */
export function hashOf(text: string): number {
  let hash = 0x811c9dc5
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193)
  return hash >>> 0
}
