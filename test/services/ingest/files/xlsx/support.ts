import { writeFile } from 'node:fs/promises'
import { type FileInput, readRows, unknownInput } from '#services/ingest/files/rows.ts'
import type { Notation } from '#services/ingest/files/xlsx/cells.ts'
import type { FileProfile } from '#services/ingest/profile.ts'

export const csv: FileProfile['format'] = { kind: 'csv', delimiter: 'auto', quote: '"', encoding: 'auto', header: true }

export interface ReadFile {
  readonly rows: string[][]
  /** Numbers of the rows in their sheet. */
  readonly numbers: number[]
  readonly input: FileInput
}

/** Everything that is read of a file with these bytes, which is written to `path`. */
export async function readBytesAs(
  path: string,
  bytes: Uint8Array,
  changes: Record<string, unknown> = {},
  notation?: Notation,
): Promise<ReadFile> {
  await writeFile(path, bytes)
  const input = unknownInput()
  const rows: string[][] = []
  const numbers: number[] = []
  for await (const batch of readRows(path, { ...csv, ...changes } as FileProfile['format'], { input, notation })) {
    rows.push(...batch)
    numbers.push(...(batch.numbers ?? []))
  }
  return { rows, numbers, input }
}
