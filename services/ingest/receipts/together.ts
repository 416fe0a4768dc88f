import { DistinctCount } from '../distinct.ts'
import type { FileProfile } from '../profile.ts'
import { rowsOfLeastParts, VerdictWriter } from '../verdict-files.ts'
import { maxRowsHeld } from './gather.ts'
import { EventParts } from './prepared-events.ts'
import { ReceiptPass, type ReceiptsManifest, type ReceiptsOptions } from './receipt-pass.ts'
import type { MappedRow, SpoiltRow } from './row.ts'
import { RowEncoder } from './row-codec.ts'
import { RowPass, type RowPassOptions, type RowSink } from './row-pass.ts'
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

/** False for a file that certainly needs more than the receipt at hand: ids by content count equal receipts anywhere. */
export async function mayStandTogether(path: string, profile: FileProfile): Promise<boolean> {
  if (profile.system.identity.length === 0) return false
  if (profile.grain === 'receipt' && profile.identical_rows === 'drop') return false
  return (await textSizeOf(path)) <= mostTextBytes
}

/** Null where the rows of a receipt do not stand together, or there are too many. Errors: those of `RowPass.run`. */
export async function readTogether(options: TogetherOptions): Promise<ReceiptsManifest | null> {
  const { directory, verdictsDirectory } = options
  const verdicts = verdictsDirectory === undefined ? null : await VerdictWriter.create(verdictsDirectory, 'rows', null)
  const rows = new RowPass(options, verdicts)
  const receipts = await ReceiptPass.open(options, await EventParts.create(directory), rows, rowsOfLeastParts)
  try {
    const sink = new Together(options.profile, receipts, rows)
    if (!(await rows.run(sink)) || !(await sink.end())) return null
    options.afterRows?.()
    await verdicts?.finish()
    return await receipts.finish(rows)
  } finally {
    await receipts.close()
    await verdicts?.close()
  }
}

interface Group {
  readonly rows: MappedRow[]
  count: number
}

/** Settles each receipt when its rows have ended. */
class Together implements RowSink {
  readonly #pass: ReceiptPass
  readonly #file: Pick<RowPass, 'lastNumber'>
  readonly #isLine: boolean
  readonly #oneKind: boolean
  readonly #dropsRepeated: boolean
  readonly #encoder = new RowEncoder()
  readonly #seen = new DistinctCount()
  #scattered = false
  /** The receipt at hand: its rows by kind, where kinds do not share their numbers. */
  #key = ''
  readonly #groups = new Map<number, Group>()
  readonly #contents = new Set<string>()
  #spoilt = false

  constructor(profile: FileProfile, pass: ReceiptPass, file: Pick<RowPass, 'lastNumber'>) {
    this.#pass = pass
    this.#file = file
    this.#isLine = profile.grain === 'line'
    this.#oneKind = profile.system.numbers_cover_kinds
    this.#dropsRepeated = profile.identical_rows === 'drop'
  }

  take(row: MappedRow): void {
    if (!this.#isLine) this.#pass.settle({ rows: [row], count: 1, whole: true })
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
    else group.rows.push({ ...row, attributes: row.attributes.length === 0 ? none : [...row.attributes] })
  }

  spoil({ key }: SpoiltRow): void {
    if (key !== this.#key) this.#begin(key)
    this.#spoilt = true
  }

  async drain(): Promise<boolean> {
    if (this.#seen.size > mostReceipts || this.#file.lastNumber > rowsOfLeastParts) return false
    await this.#pass.drain()
    return !this.#scattered
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
    for (const { rows, count } of this.#groups.values()) this.#pass.settle({ rows, count, whole: !this.#spoilt })
    this.#groups.clear()
    this.#contents.clear()
    this.#spoilt = false
  }

  #groupOf(kind: number): Group {
    let group = this.#groups.get(kind)
    if (group === undefined) {
      group = { rows: [], count: 0 }
      this.#groups.set(kind, group)
    }
    return group
  }

  #isRepeated(row: MappedRow): boolean {
    this.#encoder.mapped(row)
    const content = this.#encoder.content()
    if (this.#contents.has(content)) return true
    if (this.#contents.size < maxRowsHeld) this.#contents.add(content)
    return false
  }
}

/** No attributes, of however many rows. */
const none: string[] = []
