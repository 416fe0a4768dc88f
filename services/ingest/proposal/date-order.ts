import { readRows } from '../files/rows.ts'
import type { FileProfile } from '../profile.ts'
import { isDateBy } from './dates.ts'

/** Rows that are read on where the first ones leave open which comes first, the day or the month. */
const rowsReadOn = 200_000

/**
 * The one of two formats that alone fits some date of a column; null where none of the rows looked at settles it. Errors:
 * those of `readRows`.
 */
export async function settledOrder(
  path: string,
  format: FileProfile['format'],
  index: number,
  rivals: readonly [string, string],
  days?: Parameters<typeof isDateBy>[2],
): Promise<string | null> {
  let rows = 0
  for await (const batch of readRows(path, format)) {
    for (const row of batch) {
      const text = row[index]?.trim() ?? ''
      const [first, second] = rivals.map((rival) => isDateBy(rival, text, days))
      if (first !== second) return first ? rivals[0] : rivals[1]
    }
    rows += batch.length
    if (rows > rowsReadOn) break
  }
  return null
}
