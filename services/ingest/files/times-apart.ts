import { compileApartWriter } from '../parse/date-writer.ts'
import { placeOf } from './sheet-column.ts'
import type { Notation } from './xlsx/cells.ts'
import type { SheetRow } from './xlsx/sheet.ts'

/**
 * Rows whose days and times of day, which a workbook knows the type of, are written so that both together are read by the
 * formats, which are of both: the day without a time, the time without a day. Where a day has a time as well, the column of
 * times goes before it.
 */
export async function* withTimesApart(
  batches: AsyncIterable<SheetRow[]>,
  { apart, dates }: Pick<Notation, 'apart' | 'dates'>,
): AsyncGenerator<SheetRow[]> {
  if (apart === undefined) {
    yield* batches
    return
  }
  const write = compileApartWriter(dates.formats)
  let places: { readonly day: number; readonly time: number } | null = null
  for await (const rows of batches) {
    const [first] = rows
    if (first !== undefined) places ??= { day: placeOf(apart.day, first.cells), time: placeOf(apart.time, first.cells) }
    if (places !== null) for (const row of rows) writeApart(row, places, write)
    yield rows
  }
}

function writeApart(
  { cells, moments }: SheetRow,
  places: { readonly day: number; readonly time: number },
  write: ReturnType<typeof compileApartWriter>,
): void {
  const day = moments?.get(places.day)
  const time = moments?.get(places.time)
  const dayMs = day?.dayMs ?? null
  const timeMs = time?.timeMs ?? null
  if (dayMs === null && timeMs === null) return
  const timeText = cells[places.time]?.trim() ?? ''
  // What no column of times says the day may say itself.
  if (timeText === '' && day?.timeMs != null) return
  const texts = write({ text: cells[places.day]?.trim() ?? '', ms: dayMs }, { text: timeText, ms: timeMs })
  if (dayMs !== null) cells[places.day] = texts[0]
  if (timeMs !== null) cells[places.time] = texts[1]
}
