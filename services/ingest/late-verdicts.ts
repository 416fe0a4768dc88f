import type { ProgrammeFigures } from './ports.ts'
import { field } from './receipts/fields.ts'
import { readEventsWithRows } from './receipts/prepared-events.ts'
import type { ReceiptsManifest } from './receipts/receipt-pass.ts'
import { type Reference, readReferences } from './receipts/references.ts'
import { type AllConflicts, valueKey } from './undo/conflicts.ts'
import { VerdictWriter } from './verdict-files.ts'
import { FirstVerdicts, shownValue, type Verdict } from './verdicts.ts'

/** Verdicts that are known only once the stream has taken a file in. */
export interface LateVerdicts {
  /** Refunds and voids whose original their client does not have, neither of this file nor of any other source. */
  readonly unknownOriginals: number
  /** The first ones by row. */
  readonly verdicts: readonly Verdict[]
}

export interface LateOptions {
  readonly events: ReceiptsManifest
  /** Where the events are. */
  readonly directory: string
  readonly verdictsDirectory: string
  readonly figures: Pick<ProgrammeFigures, 'unknown'>
  /** Receipts of the file that the stream refused; null where there are none. */
  readonly conflicts: Pick<AllConflicts, 'values'> | null
  readonly signal?: AbortSignal
}

const askedAtOnce = 5_000

/**
 * Looks for the originals that refunds and voids of a file name, where every projection has the file (what is not found
 * waits), and for the rows of receipts that were in conflict. May be done again and comes to the same, but for originals
 * that have come meanwhile.
 */
export async function findLate(options: LateOptions): Promise<LateVerdicts> {
  const { events, verdictsDirectory, conflicts } = options
  if (events.references === 0 && conflicts === null) return { unknownOriginals: 0, verdicts: [] }
  const late = new Late(await VerdictWriter.create(verdictsDirectory, 'late', events.lastNumber))
  try {
    const unknownOriginals = await flagUnknownOriginals(options, late)
    if (conflicts !== null) await tellConflicts(options, conflicts, late)
    await late.writer.finish()
    return { unknownOriginals, verdicts: late.first.list() }
  } finally {
    await late.writer.close()
  }
}

class Late {
  readonly writer: VerdictWriter
  readonly first = new FirstVerdicts()

  constructor(writer: VerdictWriter) {
    this.writer = writer
  }

  flag({ named, rows }: Reference): void {
    for (const row of rows) this.writer.add(row, 'unknown_original', field.original, null)
    this.first.add({ row: rows[0]!, code: 'unknown_original', field: 'original', value: shownValue(named) })
  }

  refuse(rows: readonly number[]): void {
    for (const row of rows) this.writer.add(row, 'conflict', field.none, null)
    this.first.add({ row: rows[0]!, code: 'conflict', field: null, value: null })
  }
}

/** Answers how many there were. */
async function flagUnknownOriginals({ directory, figures, signal }: LateOptions, late: Late): Promise<number> {
  let unknownOriginals = 0
  for await (const references of readReferences(directory, askedAtOnce)) {
    signal?.throwIfAborted()
    const asked = references.map(({ clientId, original }) => ({ clientId, transactionId: original }))
    const unknown = await figures.unknown(asked)
    for (const [index, reference] of references.entries()) {
      if (!unknown[index]) continue
      unknownOriginals++
      late.flag(reference)
    }
    await late.writer.drain()
  }
  return unknownOriginals
}

async function tellConflicts(
  { events, directory, signal }: LateOptions,
  { values }: Pick<AllConflicts, 'values'>,
  late: Late,
): Promise<void> {
  for (let bucket = 0; bucket < events.buckets; bucket++) {
    signal?.throwIfAborted()
    for (const { event, rows } of await readEventsWithRows(directory, bucket))
      if (values.has(valueKey(event.value))) late.refuse(rows)
    await late.writer.drain()
  }
}
