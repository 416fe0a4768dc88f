import { LoyaltyError } from '#streams/core/error.ts'

/** Files that are not text, known by their first bytes, and how one gets a file out of them that can be read. */

interface Foreign {
  readonly format: string
  readonly is: (head: Buffer) => boolean
  readonly remedy: string
}

/** So many first bytes tell every format known here. */
export const headBytes = 512

const saveAsXlsx = 'open it in a spreadsheet program and save it as .xlsx or CSV (UTF-8)'

const foreignFormats: readonly Foreign[] = [
  {
    format: 'Excel 97-2003 (.xls)',
    is: startsWith(0xd0, 0xcf, 0x11, 0xe0, 0xa1, 0xb1, 0x1a, 0xe1),
    remedy: `${saveAsXlsx}, or convert it: soffice --headless --convert-to xlsx FILE.xls`,
  },
  { format: 'PDF', is: startsWithText('%PDF-'), remedy: 'ask for an export of the data behind it as CSV' },
  { format: 'XML, as spreadsheets of Excel 2003', is: startsWithText('<?xml'), remedy: saveAsXlsx },
  { format: 'HTML, as some programs write under the name .xls', is: isHtml, remedy: saveAsXlsx },
  { format: 'RTF', is: startsWithText('{\\rtf'), remedy: 'export the table as CSV' },
  { format: 'RAR', is: startsWithText('Rar!'), remedy: 'unpack it, and pack the file in it as .zip or .gz if need be' },
  {
    format: '7-Zip',
    is: startsWith(0x37, 0x7a, 0xbc, 0xaf, 0x27, 0x1c),
    remedy: 'unpack it, and pack the file in it as .zip or .gz if need be',
  },
  { format: 'xz', is: startsWith(0xfd, 0x37, 0x7a, 0x58, 0x5a), remedy: 'unpack it with xz -d' },
  { format: 'bzip2', is: (head) => /^BZh[1-9]1AY&SY/.test(head.toString('latin1')), remedy: 'unpack it with bunzip2' },
  { format: 'lz4', is: startsWith(0x04, 0x22, 0x4d, 0x18), remedy: 'unpack it with lz4 -d' },
  {
    format: 'tar',
    is: (head) => head.toString('latin1', 257, 262) === 'ustar',
    remedy: 'unpack it and send the files in it one by one',
  },
  { format: 'Parquet', is: startsWithText('PAR1'), remedy: 'export it as CSV' },
  { format: 'SQLite', is: startsWithText('SQLite format 3\0'), remedy: 'export the table as CSV' },
  { format: 'PNG image', is: startsWith(0x89, 0x50, 0x4e, 0x47), remedy: 'send the data, not a picture of it' },
  { format: 'JPEG image', is: startsWith(0xff, 0xd8, 0xff), remedy: 'send the data, not a picture of it' },
]

/** What is in a container by the names of its entries; null for an ordinary archive. */
export function officeFormat(names: readonly string[]): string | null {
  if (names.includes('xl/workbook.xml')) return 'Excel (.xlsx) without its list of contents'
  if (names.includes('xl/workbook.bin')) return 'Excel, binary (.xlsb)'
  if (names.includes('word/document.xml')) return 'Word (.docx)'
  if (names.includes('mimetype') && names.includes('content.xml')) return 'OpenDocument (.ods)'
  return null
}

export function refuseOffice(format: string): LoyaltyError {
  return unsupported(format, saveAsXlsx)
}

/** A workbook has no lines that a profile could cut. */
export function refuseWorkbook(kind: string): LoyaltyError {
  return new LoyaltyError(
    'file_format_unsupported',
    `the file is an Excel workbook, and its profile is for lines of text (format.kind: ${kind}); use one of the kind csv, which is for tables`,
    { details: { format: 'Excel (.xlsx)', kind } },
  )
}

/** Errors: `file_format_unsupported` (details.format; the message says how to convert) for what is known to be no text. */
export function refuseForeign(head: Buffer): void {
  const foreign = foreignFormats.find(({ is }) => is(head))
  if (foreign !== undefined) throw unsupported(foreign.format, foreign.remedy)
}

function unsupported(format: string, remedy: string): LoyaltyError {
  return new LoyaltyError(
    'file_format_unsupported',
    `the file is in the format ${format}, which is not read here: ${remedy}`,
    { details: { format } },
  )
}

function startsWith(...bytes: number[]): (head: Buffer) => boolean {
  return (head) => bytes.every((byte, at) => head[at] === byte)
}

function startsWithText(text: string): (head: Buffer) => boolean {
  return (head) => withoutMark(head).startsWith(text)
}

function isHtml(head: Buffer): boolean {
  return /^\s*<(!doctype html|html|table|meta|head)[\s>]/i.test(withoutMark(head))
}

function withoutMark(head: Buffer): string {
  return head.toString('latin1').replace(/^\xef\xbb\xbf/, '')
}
