import { open } from 'node:fs/promises'
import { isZip } from './bytes.ts'
import { openWorkbook } from './xlsx/workbook.ts'

/** Names of a workbook's visible sheets in their order; none for any other file. Errors: those of `openWorkbook`. */
export async function visibleSheets(path: string): Promise<string[]> {
  const file = await open(path)
  try {
    const workbook = (await isZip(file)) ? await openWorkbook(file) : null
    return workbook?.sheets.filter(({ visible }) => visible).map(({ name }) => name) ?? []
  } finally {
    await file.close()
  }
}
