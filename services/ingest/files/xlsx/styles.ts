import { builtInFormat, type CellFormat, formatOfCode } from './number-format.ts'
import type { OfficePackage } from './package.ts'

/** Formats of numbers by the index that cells name their style by. Errors: those of `OfficePackage.parse`. */
export async function readStyles(office: OfficePackage, path: string | null): Promise<readonly CellFormat[]> {
  if (path === null) return []
  const codes = new Map<number, CellFormat>()
  const ids: number[] = []
  // Formats and styles of other use are written by the same elements elsewhere in the part.
  let list = ''
  await office.parse(path, {
    open(name, { numFmtId = '0', formatCode }) {
      if (name === 'numFmts' || name === 'cellXfs') list = name
      else if (name === 'numFmt' && list === 'numFmts' && formatCode !== undefined)
        codes.set(Number(numFmtId), formatOfCode(formatCode))
      else if (name === 'xf' && list === 'cellXfs') ids.push(Number(numFmtId))
    },
    text() {},
    close(name) {
      if (name === list) list = ''
    },
  })
  const known = new Map<number, CellFormat>()
  return ids.map((id) => {
    const format = codes.get(id) ?? known.get(id) ?? builtInFormat(id)
    known.set(id, format)
    return format
  })
}
