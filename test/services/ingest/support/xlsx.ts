import { Readable } from 'node:stream'
import { crc32, createDeflateRaw } from 'node:zlib'
import { type ZipFile, zipped } from './bytes.ts'

/** Workbooks as other programs write them, made part by part. */

/** A cell: text, number, boolean, nothing, or XML as it is to stand there (`$` is replaced by the cell's reference). */
export type Cell = string | number | boolean | null | { readonly xml: string }

export interface TestSheet {
  readonly name?: string
  readonly rows?: readonly (readonly Cell[])[]
  /** What stands in place of rows. */
  readonly data?: string
  /** What stands behind the rows, such as merged cells. */
  readonly behind?: string
  readonly state?: 'visible' | 'hidden' | 'veryHidden'
}

export interface TestWorkbook {
  readonly sheets: readonly TestSheet[]
  /** Codes of number formats; a cell names one by its place, from 1. */
  readonly formats?: readonly string[]
  readonly is1904?: boolean
  /** Parts that take the place of those of the same name, or stand beside them; null: left out. */
  readonly parts?: Readonly<Record<string, string | Uint8Array | null>>
}

export const head = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'
export const namespace = 'http://schemas.openxmlformats.org/spreadsheetml/2006/main'
const relations = 'http://schemas.openxmlformats.org/officeDocument/2006/relationships'
const contentTypes = 'application/vnd.openxmlformats-officedocument.spreadsheetml'

export function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;')
}

/** A number in the format of a place in `formats`, from 1. */
export function formatted(value: number, format: number): Cell {
  return { xml: `<c r="$" s="${format}"><v>${value}</v></c>` }
}

/** The parts of a workbook by name. */
export function partsOf(workbook: TestWorkbook): Record<string, string | Uint8Array> {
  const texts = new Texts()
  const { sheets, formats = [], is1904 = false } = workbook
  const parts: Record<string, string | Uint8Array | null> = {
    '[Content_Types].xml': contentTypesOf(sheets.length),
    '_rels/.rels': relationsOf([['rId1', 'officeDocument', 'xl/workbook.xml']]),
    'xl/workbook.xml': `${head}<workbook xmlns="${namespace}" xmlns:r="${relations}"><workbookPr date1904="${is1904 ? 1 : 0}"/><sheets>${sheets
      .map(({ name = `Sheet${1}`, state }, at) => {
        const hidden = state === undefined ? '' : ` state="${state}"`
        return `<sheet name="${escaped(name)}" sheetId="${at + 1}"${hidden} r:id="rId${at + 1}"/>`
      })
      .join('')}</sheets></workbook>`,
    'xl/_rels/workbook.xml.rels': relationsOf([
      ...sheets.map((_, at) => [`rId${at + 1}`, 'worksheet', `worksheets/sheet${at + 1}.xml`] as const),
      ['rIdT', 'sharedStrings', 'sharedStrings.xml'],
      ['rIdS', 'styles', '/xl/styles.xml'],
    ]),
    'xl/styles.xml': stylesOf(formats),
  }
  sheets.forEach((sheet, at) => {
    const data = sheet.data ?? (sheet.rows ?? []).map((cells, row) => rowXml(row + 1, cells, texts)).join('')
    parts[`xl/worksheets/sheet${at + 1}.xml`] =
      `${head}<worksheet xmlns="${namespace}"><sheetData>${data}</sheetData>${sheet.behind ?? ''}</worksheet>`
  })
  parts['xl/sharedStrings.xml'] = texts.xml()
  const all = Object.entries({ ...parts, ...workbook.parts })
  return Object.fromEntries(all.filter((entry): entry is [string, string | Uint8Array] => entry[1] !== null))
}

export function xlsx(workbook: TestWorkbook | TestSheet['rows']): Buffer {
  const parts = partsOf(isRows(workbook) ? { sheets: [{ rows: workbook }] } : (workbook as TestWorkbook))
  return zipped(...Object.entries(parts).map(([name, content]) => ({ name, content: Buffer.from(content) })))
}

function isRows(workbook: TestWorkbook | TestSheet['rows']): workbook is NonNullable<TestSheet['rows']> {
  return Array.isArray(workbook)
}

export function rowXml(number: number, cells: readonly Cell[], texts: Texts): string {
  return `<row r="${number}">${cells.map((cell, at) => cellXml(cell, letters(at) + number, texts)).join('')}</row>`
}

function cellXml(cell: Cell, ref: string, texts: Texts): string {
  if (cell === null) return ''
  if (typeof cell === 'object') return cell.xml.replace('$', ref)
  if (typeof cell === 'number') return `<c r="${ref}"><v>${cell}</v></c>`
  if (typeof cell === 'boolean') return `<c r="${ref}" t="b"><v>${cell ? 1 : 0}</v></c>`
  return `<c r="${ref}" t="s"><v>${texts.indexOf(cell)}</v></c>`
}

/** The letters of a column, from 0. */
export function letters(column: number): string {
  return (column >= 26 ? letters(Math.floor(column / 26) - 1) : '') + String.fromCharCode(65 + (column % 26))
}

export class Texts {
  readonly #indexes = new Map<string, number>()

  indexOf(text: string): number {
    const index = this.#indexes.get(text) ?? this.#indexes.size
    this.#indexes.set(text, index)
    return index
  }

  xml(): string {
    const items = [...this.#indexes.keys()].map((text) => `<si><t xml:space="preserve">${escaped(text)}</t></si>`)
    return `${head}<sst xmlns="${namespace}" uniqueCount="${items.length}">${items.join('')}</sst>`
  }
}

export function stylesOf(formats: readonly string[]): string {
  const codes = formats.map((code, at) => `<numFmt numFmtId="${164 + at}" formatCode="${escaped(code)}"/>`)
  const styles = formats.map((_, at) => `<xf numFmtId="${164 + at}" applyNumberFormat="1"/>`)
  return `${head}<styleSheet xmlns="${namespace}"><numFmts>${codes.join('')}</numFmts><cellStyleXfs><xf numFmtId="14"/></cellStyleXfs><cellXfs><xf numFmtId="0"/>${styles.join('')}</cellXfs><dxfs><dxf><numFmt numFmtId="164" formatCode="0.00"/></dxf></dxfs></styleSheet>`
}

function relationsOf(list: readonly (readonly [id: string, type: string, target: string])[]): string {
  const items = list.map(
    ([id, type, target]) => `<Relationship Id="${id}" Type="${relations}/${type}" Target="${target}"/>`,
  )
  return `${head}<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">${items.join('')}</Relationships>`
}

export function contentTypesOf(sheets: number, main = `${contentTypes}.sheet.main+xml`): string {
  const parts = Array.from({ length: sheets }, (_, at) => [`worksheets/sheet${at + 1}`, 'worksheet'] as const)
  const overrides = [...parts, ['sharedStrings', 'sharedStrings'] as const, ['styles', 'styles'] as const].map(
    ([part, type]) => `<Override PartName="/xl/${part}.xml" ContentType="${contentTypes}.${type}+xml"/>`,
  )
  return `${head}<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"><Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/><Override PartName="/xl/workbook.xml" ContentType="${main}"/>${overrides.join('')}</Types>`
}

/** A workbook of one sheet whose rows are too many to be held. */
export async function bigXlsx(
  rows: AsyncIterable<readonly Cell[]> | Iterable<readonly Cell[]>,
  formats: readonly string[],
): Promise<Buffer> {
  const texts = new Texts()
  const packed = await packedSheet(rows, texts)
  const { 'xl/worksheets/sheet1.xml': _, ...parts } = partsOf({ sheets: [{}], formats })
  const files: ZipFile[] = Object.entries({ ...parts, 'xl/sharedStrings.xml': texts.xml() }).map(([name, content]) => ({
    name,
    content: Buffer.from(content),
  }))
  return zipped(...files, { name: 'xl/worksheets/sheet1.xml', content: Buffer.alloc(0), packed })
}

async function packedSheet(rows: AsyncIterable<readonly Cell[]> | Iterable<readonly Cell[]>, texts: Texts) {
  let crc = 0
  let bytes = 0
  async function* xml() {
    let text = `${head}<worksheet xmlns="${namespace}"><sheetData>`
    let number = 0
    const chunk = () => {
      const content = Buffer.from(text)
      crc = crc32(content, crc)
      bytes += content.length
      text = ''
      return content
    }
    for await (const cells of rows) {
      text += rowXml(++number, cells, texts)
      if (text.length > 1_000_000) yield chunk()
    }
    text += '</sheetData></worksheet>'
    yield chunk()
  }
  const chunks: Buffer[] = []
  for await (const chunk of Readable.from(xml()).pipe(createDeflateRaw({ level: 1 }))) chunks.push(chunk as Buffer)
  return { data: Buffer.concat(chunks), bytes, crc }
}
