import type { ProgrammeFigures } from './ports.ts'
import { field } from './receipts/fields.ts'
import type { ReceiptsManifest } from './receipts/receipt-pass.ts'
import { type Reference, readReferences } from './receipts/references.ts'
import { VerdictWriter } from './verdict-files.ts'
import { FirstVerdicts, shownValue, type Verdict } from './verdicts.ts'

/** Flags that are known only once the stream has taken a file in. */
export interface LateFlags {
  /** Refunds and voids whose original their client does not have, neither of this file nor of any other source. */
  readonly unknownOriginals: number
  readonly verdicts: readonly Verdict[]
}

export interface LateFlagsOptions {
  readonly events: ReceiptsManifest
  /** Directory of the second pass. */
  readonly directory: string
  readonly verdictsDirectory: string
  readonly figures: Pick<ProgrammeFigures, 'unknown'>
  readonly signal?: AbortSignal
}

const askedAtOnce = 5_000

/**
 * Looks for the originals that refunds and voids of a file name, where every projection has the file: what is not found
 * waits. May be done again and comes to the same, but for originals that have come meanwhile.
 */
export async function flagUnknownOriginals(options: LateFlagsOptions): Promise<LateFlags> {
  const { events, directory, verdictsDirectory, figures, signal } = options
  if (events.references === 0) return { unknownOriginals: 0, verdicts: [] }
  const writer = await VerdictWriter.create(verdictsDirectory, 'late', events.lastNumber)
  const first = new FirstVerdicts()
  let unknownOriginals = 0
  try {
    for await (const references of readReferences(directory, askedAtOnce)) {
      signal?.throwIfAborted()
      const asked = references.map(({ clientId, original }) => ({ clientId, transactionId: original }))
      const unknown = await figures.unknown(asked)
      for (const [index, reference] of references.entries()) {
        if (!unknown[index]) continue
        unknownOriginals++
        flag(writer, first, reference)
      }
      await writer.drain()
    }
    await writer.finish()
  } finally {
    await writer.close()
  }
  return { unknownOriginals, verdicts: first.list() }
}

function flag(writer: VerdictWriter, first: FirstVerdicts, { named, rows }: Reference): void {
  for (const row of rows) writer.add(row, 'unknown_original', field.original, null)
  first.add({ row: rows[0]!, code: 'unknown_original', field: 'original', value: shownValue(named) })
}
