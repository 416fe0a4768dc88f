import type { BytesOptions } from '../bytes.ts'
import type { OfficePackage } from './package.ts'
import { type CellRange, readRange } from './refs.ts'
import { XmlReader } from './xml.ts'

/** More than a header can have; the others are let be. */
const maxMerges = 2_000

/**
 * The merged cells of a sheet that begin in a row up to `lastRow`. They stand behind all of its rows, which are unpacked
 * for it and otherwise skipped. `prefix` is how the sheet writes its main namespace.
 */
export async function readMerges(
  office: OfficePackage,
  part: string,
  { prefix, lastRow, ...options }: { readonly prefix: string; readonly lastRow: number } & BytesOptions,
): Promise<CellRange[]> {
  const merges: CellRange[] = []
  const reader = new XmlReader(part, {
    open(name, { ref = '' }) {
      if (name !== 'mergeCell' || merges.length === maxMerges) return
      const range = readRange(ref)
      if (range !== null && range.first.row <= lastRow) merges.push(range)
    },
    text() {},
    close() {},
  })
  const end = Buffer.from(`</${prefix}sheetData>`)
  let before: Buffer = Buffer.alloc(0)
  let isBehind = false
  for await (const chunk of office.read(part, options)) {
    if (isBehind) {
      reader.push(chunk)
      continue
    }
    const bytes = Buffer.concat([before, chunk])
    const at = bytes.indexOf(end)
    before = bytes.subarray(Math.max(0, bytes.length - end.length + 1))
    if (at < 0) continue
    isBehind = true
    reader.push(Buffer.from(`<${prefix}worksheet>`))
    reader.push(bytes.subarray(at + end.length))
  }
  if (isBehind) reader.end()
  return merges
}
