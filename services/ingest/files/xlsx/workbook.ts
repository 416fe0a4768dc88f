import type { FileHandle } from 'node:fs/promises'
import { LoyaltyError } from '#streams/core/error.ts'
import { refuseOffice } from '../foreign.ts'
import { unreadable } from './faults.ts'
import type { CellFormat } from './number-format.ts'
import { normalized, OfficePackage } from './package.ts'
import { readStyles } from './styles.ts'
import { prefixed } from './xml.ts'

/** What a workbook says of itself: its sheets, its styles, and since when it counts days. */

export interface Sheet {
  readonly name: string
  readonly part: string
  readonly visible: boolean
}

export interface Workbook {
  readonly office: OfficePackage
  readonly sheets: readonly Sheet[]
  readonly formats: readonly CellFormat[]
  readonly is1904: boolean
  /** Part of the shared texts; null where there are none. */
  readonly texts: string | null
}

const binaryType = 'application/vnd.ms-excel.sheet.binary.macroenabled.main'
/** Of workbooks and templates, with and without macros, which are never looked at. */
const workbookType =
  /^application\/vnd\.(openxmlformats-officedocument\.spreadsheetml\.(sheet|template)|ms-excel\.(sheet|template)\.macroenabled)\.main\+xml$/i

/**
 * The workbook in a .zip, known by what the archive says that its main part is; null where it is none. Errors:
 * `file_format_unsupported` (.xlsb), `workbook_unreadable`, `archive_unreadable`, `file_expands_too_much`.
 */
export async function openWorkbook(file: FileHandle): Promise<Workbook | null> {
  const office = await OfficePackage.open(file)
  if (office === null) return null
  const types = await office.contentTypes()
  const relations = [...(await office.relationsOf('')).values()]
  const stated = relations.find(({ type }) => type === 'officeDocument')?.target
  const main = stated ?? [...types].find(([, type]) => workbookType.test(type))?.[0]
  const type = main === undefined ? undefined : types.get(normalized(main))
  if (type?.toLowerCase() === binaryType) throw refuseOffice('Excel, binary (.xlsb)')
  if (main === undefined || type === undefined || !workbookType.test(type)) return null
  return readWorkbook(office, main)
}

async function readWorkbook(office: OfficePackage, main: string): Promise<Workbook> {
  const relations = await office.relationsOf(main)
  const sheets: Sheet[] = []
  let is1904 = false
  await office.parse(main, {
    open(name, attributes) {
      if (name === 'workbookPr') is1904 = /^(1|true|on)$/.test(attributes.date1904 ?? '')
      if (name !== 'sheet') return
      const relation = relations.get(prefixed(attributes, 'id') ?? '')
      // Sheets of charts and dialogues have no cells.
      if (relation?.type !== 'worksheet') return
      const { name: title = '', state = 'visible' } = attributes
      if (relation.target === null) throw unreadable(`its sheet ${title} lies outside of it`, { sheet: title })
      sheets.push({ name: title, part: relation.target, visible: state === 'visible' })
    },
    text() {},
    close() {},
  })
  const partOf = (type: string) => {
    const target = [...relations.values()].find((relation) => relation.type === type)?.target ?? null
    return target !== null && office.has(target) ? target : null
  }
  return { office, sheets, is1904, formats: await readStyles(office, partOf('styles')), texts: partOf('sharedStrings') }
}

/**
 * The sheets that may be read: the visible ones in their order, or the one that is named, visible or not. Errors:
 * `sheet_missing` (details.sheets).
 */
export function sheetsToRead({ sheets }: Workbook, named: string | undefined): readonly Sheet[] {
  const visible = sheets.filter((sheet) => sheet.visible)
  const wanted = named?.trim().toLowerCase()
  const found = wanted === undefined ? visible : sheets.filter(({ name }) => name.trim().toLowerCase() === wanted)
  if (found.length > 0) return found
  const names = sheets.map(({ name }) => name).slice(0, 50)
  throw new LoyaltyError(
    'sheet_missing',
    named === undefined
      ? 'the workbook has no visible sheet with cells; show the sheet, or name it in the profile (format.sheet)'
      : `the workbook has no sheet "${named}", which its profile names; it has: ${names.join(', ')}`,
    { details: { ...(named === undefined ? {} : { sheet: named }), sheets: names } },
  )
}
