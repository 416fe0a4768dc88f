import { DistinctCount } from '../distinct.ts'
import type { FileProfile } from '../profile.ts'
import { rowsOfLeastParts } from '../verdict-files.ts'
import type { Field } from './fields.ts'
import { maxRowsHeld } from './gather.ts'
import { isFirst } from './identical-rows.ts'
import { EventParts } from './prepared-events.ts'
import { ReceiptPass, type ReceiptsManifest, type ReceiptsOptions } from './receipt-pass.ts'
import { type MappedRow, noAttributes, type SpoiltRow } from './row.ts'
import { passRowsAside } from './row-aside.ts'
import { RowEncoder } from './row-codec.ts'
import { passRows, type RowPassOptions, type RowSink } from './row-pass.ts'
import { textSizeOf } from './spill.ts'

/**
 * The usual file in one pass: where the rows of a receipt stand together, it is whole once a row of another one comes. That
 * they do is known only at the end, so every receipt that was seen is remembered, and the first row that comes back to one
 * ends the pass: such a file takes two, by way of the disk, and comes to the same.
 */
export interface TogetherOptions extends ReceiptsOptions, RowPassOptions {
  /** Called once every row was read. */
  readonly afterRows?: (() => void) | undefined
}

/** Of larger files more would have to be remembered than may be held. */
const mostTextBytes = 256 * 1024 * 1024
const mostReceipts = 4_000_000

/** From here on it pays to read rows on a thread of their own while events are made of them. */
export const leastAsideBytes = 8 * 1024 * 1024

/** False for a file that certainly needs more than the receipt at hand: ids by content count equal receipts anywhere. */
export async function mayStandTogether(path: string, profile: FileProfile): Promise<boolean> {
  if (profile.system.identity.length === 0) return false
  if (profile.grain === 'receipt' && profile.identical_rows === 'drop') return false
  return (await textSizeOf(path)) <= mostTextBytes
}

/**
 * Null where the rows of a receipt do not stand together, or there are too many. Errors: those of `passRows`, and
 * `reading_failed` (retriable).
 */
export async function readTogether(options: TogetherOptions): Promise<ReceiptsManifest | null> {
  const { directory, path, profile } = options
  const receipts = await ReceiptPass.open(options, await EventParts.create(directory), rowsOfLeastParts)
  try {
    const aside = options.dryRun !== true && (await textSizeOf(path)) >= leastAsideBytes
    const sink = new Together(profile, receipts, aside)
    const read = await (aside ? passRowsAside : passRows)(options, sink)
    if (read === null || !(await sink.end()) || read.lastNumber > rowsOfLeastParts) return null
    options.afterRows?.()
    return await receipts.finish(read)
  } finally {
    await receipts.close()
  }
}

interface Group {
  readonly kind: number
  readonly rows: MappedRow[]
  count: number
}

/** Settles each receipt when its rows have ended. */
class Together implements RowSink {
  readonly #pass: ReceiptPass
  readonly #isLine: boolean
  readonly #oneKind: boolean
  readonly #dropsRepeated: boolean
  readonly #rowsStay: boolean
  readonly #encoder = new RowEncoder()
  readonly #seen = new DistinctCount()
  #scattered = false
  /**
   * The receipt at hand: its rows by kind, where kinds do not share their numbers. Made anew for each: a map that is cleared
   * again and again keeps what it held alive for longer.
   */
  #key = ''
  #groups: Group[] = []
  #contents = new Map<string, Set<string>>()
  #spoilt = false

  /** `rowsStay`: each row is an object of its own, and not filled anew for the next. */
  constructor(profile: FileProfile, pass: ReceiptPass, rowsStay: boolean) {
    this.#pass = pass
    this.#rowsStay = rowsStay
    this.#isLine = profile.grain === 'line'
    this.#oneKind = profile.system.numbers_cover_kinds
    this.#dropsRepeated = profile.identical_rows === 'drop'
  }

  begin(fields: readonly Field[]): void {
    this.#pass.begin(fields)
  }

  take(row: MappedRow): void {
    if (row.number > rowsOfLeastParts) this.#scattered = true
    else if (!this.#isLine) this.#pass.settle({ rows: [row], count: 1, whole: true })
    else {
      if (row.key !== this.#key) this.#begin(row.key)
      if (this.#dropsRepeated && this.#isRepeated(row)) this.#pass.repeated(row)
      else this.#hold(row)
    }
  }

  #hold(row: MappedRow): void {
    const group = this.#groupOf(this.#oneKind ? 0 : row.kind)
    group.count++
    if (group.rows.length >= maxRowsHeld) this.#pass.passOver(row.number)
    else group.rows.push(this.#rowsStay ? row : copyOf(row))
  }

  spoil({ key }: SpoiltRow): void {
    if (key !== this.#key) this.#begin(key)
    this.#spoilt = true
  }

  async drain(): Promise<boolean> {
    await this.#pass.drain()
    return !this.#scattered && this.#seen.size <= mostReceipts
  }

  /** The last receipt has ended; false where the rows did not stand together. */
  end(): Promise<boolean> {
    this.#settle()
    return this.drain()
  }

  #begin(key: string): void {
    this.#settle()
    this.#key = key
    if (!this.#seen.add(key)) this.#scattered = true
  }

  #settle(): void {
    for (const { rows, count } of this.#groups) this.#pass.settle({ rows, count, whole: !this.#spoilt })
    this.#groups = []
    if (this.#contents.size > 0) this.#contents = new Map()
    this.#spoilt = false
  }

  #groupOf(kind: number): Group {
    for (const group of this.#groups) if (group.kind === kind) return group
    const group = { kind, rows: [], count: 0 }
    this.#groups.push(group)
    return group
  }

  #isRepeated(row: MappedRow): boolean {
    this.#encoder.mapped(row)
    return !isFirst(this.#contents, row.key, this.#encoder.content(), maxRowsHeld)
  }
}

function copyOf(row: MappedRow): MappedRow {
  return { ...row, attributes: row.attributes.length === 0 ? noAttributes : [...row.attributes] }
}
