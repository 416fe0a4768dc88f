import { stat } from 'node:fs/promises'
import type { StoreRows } from '#schemas/events.ts'
import { findColumns, headerOf } from '../files/columns.ts'
import { fileEmpty } from '../files/empty.ts'
import { type FileInput, type RowBatch, readRows, unknownInput } from '../files/rows.ts'
import type { FileProfile } from '../profile.ts'
import { notationOf } from '../profile-fields.ts'
import { VerdictWriter } from '../verdict-files.ts'
import { emptyTally, FirstVerdicts, type Reason, reject, shownValue, type Tally, type Verdict } from '../verdicts.ts'
import { type Field, fieldsOf } from './fields.ts'
import { RowMapper } from './map-row.ts'
import type { MappedRow, SpoiltRow } from './row.ts'
import { StoreCounts } from './store-rows.ts'

/** Who takes the rows of a file as they are read. */
export interface RowSink {
  /** Called once, before the first row. */
  begin(fields: readonly Field[]): void
  /** A row that is good so far; it may be filled anew for the next one. */
  take(row: MappedRow): void
  /** A row that was rejected, but belongs to a receipt, which is thereby incomplete. Only of a profile of lines. */
  spoil(row: SpoiltRow): void
  /** Called between batches of rows; false where no more are wanted. */
  drain(): Promise<boolean>
}

export interface RowPassOptions {
  readonly path: string
  readonly profile: FileProfile
  /** When the file came: rows may not be dated much later. Without it, any date is good. */
  readonly uploadedAtMs?: number | undefined
  /** Hears the share of the file that was read, 0 to 1. */
  readonly onProgress?: ((share: number) => void) | undefined
  /** Directory of the batch's verdicts; without it none are kept but the first. */
  readonly verdictsDirectory?: string | undefined
  readonly signal?: AbortSignal | undefined
}

/** What was found out about the rows of a file, each by itself. */
export interface RowsRead {
  /** Rows of the file, without the header. */
  readonly rows: number
  /** The highest number of a row: that of the last one, which sheets count otherwise. */
  readonly lastNumber: number
  readonly tally: Tally
  /** The rejected rows by store. */
  readonly stores: readonly StoreRows[]
  /** The first verdicts by row. */
  readonly verdicts: readonly Verdict[]
  readonly fields: readonly Field[]
  /** What the file was found to be. */
  readonly input: FileInput
}

/**
 * Reads a file and maps its rows: those that are good so far go to a sink, verdicts on the others are written down. Null
 * where the sink wanted no more. Errors: `file_empty`, `columns_missing`, and those of `readRows`.
 */
export async function passRows(options: RowPassOptions, sink: RowSink): Promise<RowsRead | null> {
  const { verdictsDirectory } = options
  const verdicts = verdictsDirectory === undefined ? null : await VerdictWriter.create(verdictsDirectory, 'rows', null)
  try {
    const read = await new RowPass(options, verdicts).run(sink)
    await verdicts?.finish()
    return read
  } finally {
    await verdicts?.close()
  }
}

class RowPass {
  readonly #tally = emptyTally()
  readonly #stores = new StoreCounts()
  #rows = 0
  #lastNumber = 0
  readonly #input = unknownInput()
  readonly #first = new FirstVerdicts()
  #fields: readonly Field[] = []
  readonly #options: RowPassOptions
  readonly #verdicts: VerdictWriter | null
  #mapper: RowMapper | null = null
  #lastSpoilt = ''
  /** The row before, where it says which receipt it is of, and where it lacks nothing for that but its day. */
  #before: Pick<MappedRow, 'key' | 'store' | 'terminal' | 'receipt'> = { key: '', store: '', terminal: '', receipt: '' }

  constructor(options: RowPassOptions, verdicts: VerdictWriter | null) {
    this.#options = options
    this.#verdicts = verdicts
  }

  async run(sink: RowSink): Promise<RowsRead | null> {
    const { path, profile, onProgress, signal } = this.#options
    const { size } = await stat(path)
    const rows = readRows(path, profile.format, {
      input: this.#input,
      notation: notationOf(profile),
      onBytes: (bytes) => onProgress?.(bytes / Math.max(1, size)),
    })
    for await (const batch of rows) {
      signal?.throwIfAborted()
      this.#take(batch, sink)
      if (!(await sink.drain())) return null
      await this.#verdicts?.drain()
    }
    if (this.#rows === 0) throw fileEmpty(this.#mapper === null ? 'nothing' : 'header')
    return {
      rows: this.#rows,
      lastNumber: this.#lastNumber,
      tally: this.#tally,
      stores: this.#stores.list(),
      verdicts: this.#first.list(),
      fields: this.#fields,
      input: this.#input,
    }
  }

  #take(rows: RowBatch, sink: RowSink): void {
    for (let at = 0; at < rows.length; at++) {
      const cells = rows[at]!
      if (this.#mapper === null) {
        const { profile, uploadedAtMs } = this.#options
        const columns = findColumns(profile, headerOf(profile.format, cells))
        this.#mapper = new RowMapper(profile, columns, uploadedAtMs)
        this.#fields = fieldsOf(profile, columns)
        sink.begin(this.#fields)
        if (profile.format.header) continue
      }
      this.#rows++
      this.#lastNumber = rows.numbers?.[at] ?? this.#rows
      this.#takeRow(this.#mapper, cells, sink)
    }
  }

  #takeRow(mapper: RowMapper, cells: readonly string[], sink: RowSink): void {
    const reason = mapper.map(cells, this.#lastNumber)
    const { row } = mapper
    const isLine = this.#options.profile.grain === 'line'
    if (isLine) this.#spoilUndated(row, sink)
    if (reason === null) {
      sink.take(row)
      return
    }
    reject(this.#tally, reason, 1)
    this.#stores.reject(row.store, reason, 1)
    this.#verdicts?.add(row.number, reason, mapper.fault, null)
    if (this.#first.wants(row.number)) this.#first.add(this.#verdictOn(row.number, reason, mapper.fault, cells))
    // Rows of one receipt mostly stand together; one mark spoils it as well as many.
    if (!isLine || row.key === '' || row.key === this.#lastSpoilt) return
    this.#lastSpoilt = row.key
    sink.spoil(row)
  }

  /** A row whose day is unknown belongs to the receipt of that number beside it, which is not whole without it. */
  #spoilUndated(row: MappedRow, sink: RowSink): void {
    const { key, store, terminal, receipt } = row
    const before = this.#before
    if (key !== '' && key === before.key) return
    const isOfOne = before.receipt === receipt && before.store === store && before.terminal === terminal
    const whole = isOfOne && receipt !== '' && (key === '') !== (before.key === '') ? key || before.key : ''
    if (whole !== '') sink.spoil({ number: row.number, key: whole })
    // Several such rows may follow each other.
    this.#before = { key: isOfOne && key === '' ? before.key : key, store, terminal, receipt }
  }

  #verdictOn(row: number, code: Reason, fault: number, cells: readonly string[]): Verdict {
    const field = this.#fields[fault]
    const value = cells[field?.column ?? -1]
    return { row, code, field: field?.name ?? null, value: value === undefined ? null : shownValue(value.trim()) }
  }
}
