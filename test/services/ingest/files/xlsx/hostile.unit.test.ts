import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { readBytes } from '#services/ingest/files/bytes.ts'
import { SharedStrings } from '#services/ingest/files/xlsx/shared-strings.ts'
import { type TempDir, tempDir } from '../../../../support/temp-dir.ts'
import { zipped } from '../../support/bytes.ts'
import { contentTypesOf, head, namespace, partsOf, type TestWorkbook, xlsx } from '../../support/xlsx.ts'
import { readBytesAs } from './support.ts'

/**
 * Workbooks that are damaged, or made to hurt: each ends in a code, soon, and in little memory. Bombs and giants are in
 * ../hostile.int.test.ts, with those of other files.
 */

let dir: TempDir
let path: string
beforeAll(async () => {
  dir = await tempDir('loyalty-xlsx-')
  path = join(dir.path, 'file')
})
afterAll(() => dir.remove())

const read = (bytes: Uint8Array) => readBytesAs(path, bytes)
const sheetPath = 'xl/worksheets/sheet1.xml'
const good = { sheets: [{ rows: [['a'], ['b']] }] } satisfies TestWorkbook

/** A workbook of one sheet with these rows. */
const ofData = (data: string, parts: TestWorkbook['parts'] = {}) => xlsx({ sheets: [{ data }], parts })
const withParts = (parts: NonNullable<TestWorkbook['parts']>) => xlsx({ ...good, parts })

async function codeOf(bytes: Uint8Array): Promise<string> {
  try {
    return `${(await read(bytes)).rows.length} rows`
  } catch (error) {
    return (error as { code?: string }).code ?? String(error)
  }
}

describe('cells that cannot be', () => {
  test.each([
    ['twice', '<row r="1"><c r="A1"><v>1</v></c><c r="A1"><v>2</v></c></row>', 'A1'],
    ['out of order', '<row r="1"><c r="B1"><v>1</v></c><c r="A1"><v>2</v></c></row>', 'A1'],
    ['of another row', '<row r="1"><c r="A2"><v>1</v></c></row>', 'A2'],
    ['beyond the last column', '<row r="1"><c r="XFE1"><v>1</v></c></row>', 'XFE1'],
    ['far beyond the last column', '<row r="1"><c r="AAAAAAAA1"><v>1</v></c></row>', 'AAAAAAAA1'],
    ['without a column', '<row r="1"><c r="1"><v>1</v></c></row>', '1'],
    ['with a number that is none', '<row r="1"><c r="A1"><v>1,5</v></c></row>', 'A1'],
    ['of an unknown type', '<row r="1"><c r="A1" t="x"><v>1</v></c></row>', 'A1'],
    ['neither true nor false', '<row r="1"><c r="A1" t="b"><v>2</v></c></row>', 'A1'],
    ['with a text of no number', '<row r="1"><c r="A1" t="s"><v>-1</v></c></row>', 'A1'],
  ])('%s', async (_, data, cell) => {
    await expect(read(ofData(data))).rejects.toMatchObject({ code: 'workbook_unreadable', details: { cell } })
  })

  test.each([
    ['rows twice', '<row r="2"><c r="A2"><v>1</v></c></row><row r="2"><c r="B2"><v>1</v></c></row>'],
    ['rows out of order', '<row r="2"><c r="A2"><v>1</v></c></row><row r="1"><c r="A1"><v>1</v></c></row>'],
    ['a row beyond the last', '<row r="1048577"><c r="A1048577"><v>1</v></c></row>'],
    ['a row that is none', '<row r="x"><c><v>1</v></c></row>'],
    ['a row in a row', '<row r="1"><row r="2"><c><v>1</v></c></row></row>'],
    ['a cell in a cell', '<row r="1"><c r="A1"><c r="B1"><v>1</v></c></c></row>'],
    ['a cell in no row', '<c r="A1"><v>1</v></c>'],
    ['more columns than a sheet has', `<row>${'<c><v>1</v></c>'.repeat(16_385)}</row>`],
    ['a shared text that is not there', '<row r="1"><c r="A1" t="s"><v>999999999</v></c></row>'],
    ['XML that is none', '<row r="1"><c r="A1"><v>1</c></row>'],
    ['XML that is cut off', '<row r="1"><c r="A1"><v>1</v></c></row></sheetData></worksheet><row'],
    ['a character that XML has not', '<row r="1"><c r="A1" t="str"><v>\u0001</v></c></row>'],
    ['an entity that nobody declared', '<row r="1"><c r="A1" t="str"><v>&lol;</v></c></row>'],
    ['elements as deep as a well', '<row>'.repeat(100)],
  ])('%s', async (_, data) => {
    expect(await codeOf(ofData(data))).toBe('workbook_unreadable')
  })

  test('U+0000', async () => {
    expect(await codeOf(ofData('<row><c t="str"><v>a_x0000_</v></c></row>'))).toBe('file_not_text')
  })
})

describe('parts that are not what they should be', () => {
  const laughs = Array.from({ length: 9 }, (_, i) => `<!ENTITY lol${i + 1} "${`&lol${i};`.repeat(10)}">`).join('')
  const bomb = `<?xml version="1.0"?><!DOCTYPE sst [<!ENTITY lol0 "lol">${laughs}]><sst xmlns="${namespace}"><si><t>&lol9;</t></si></sst>`
  const external = '<!DOCTYPE worksheet SYSTEM "http://127.0.0.1:9/x.dtd">'
  const sheet = String(partsOf(good)[sheetPath])
  const relation = (target: string, mode = '') =>
    `<Relationships><Relationship Id="rId1" Type="http://x/worksheet" Target="${target}"${mode}/></Relationships>`
  const workbookRelations = 'xl/_rels/workbook.xml.rels'

  test.each([
    ['a billion laughs in the list of contents', { '[Content_Types].xml': bomb }],
    ['a document type outside', { [sheetPath]: sheet.replace('<worksheet', `${external}<worksheet`) }],
    ['another encoding', { [sheetPath]: sheet.replace('UTF-8', 'windows-1251') }],
    ['bytes that are no UTF-8', { [sheetPath]: Buffer.from(sheet.replace('<v>0', '<v>\xff'), 'latin1') }],
    ['an empty sheet', { [sheetPath]: '' }],
    ['a list of contents that is none', { '[Content_Types].xml': 'PK' }],
    ['a missing sheet', { [sheetPath]: null }],
    [
      'a sheet elsewhere in the world',
      { [workbookRelations]: relation('http://127.0.0.1:9/', ' TargetMode="External"') },
    ],
    ['a sheet elsewhere on the machine', { [workbookRelations]: relation('../../../../etc/passwd') }],
    ['no shared texts', { 'xl/sharedStrings.xml': null }],
    ['styles beyond measure', { 'xl/styles.xml': `${head}<styleSheet>${'<!---->'.repeat(3_000_000)}</styleSheet>` }],
  ])('%s', async (_, parts) => {
    expect(await codeOf(withParts(parts))).toBe('workbook_unreadable')
  })

  test('a binary workbook, a document and a presentation say how to convert', async () => {
    const binary = contentTypesOf(1, 'application/vnd.ms-excel.sheet.binary.macroEnabled.main')
    for (const parts of [{ '[Content_Types].xml': binary }, { '[Content_Types].xml': contentTypesOf(1, 'x/word') }])
      await expect(read(withParts(parts))).rejects.toMatchObject({
        code: 'file_format_unsupported',
        message: expect.stringContaining('save it as .xlsx'),
      })
  })

  test('a workbook with a password is told from an .xls', async () => {
    const ole = Buffer.alloc(4096)
    Buffer.from('d0cf11e0a1b11ae1', 'hex').copy(ole)
    ole.writeUInt16LE(9, 30)
    ole.writeUInt32LE(2, 48)
    expect(await codeOf(ole)).toBe('file_format_unsupported')
    Buffer.from('EncryptedPackage', 'utf16le').copy(ole, 3 * 512 + 128)
    expect(await codeOf(ole)).toBe('workbook_encrypted')
    ole.writeUInt32LE(0xfffffffe, 48)
    expect(await codeOf(ole)).toBe('file_format_unsupported')
  })
})

describe('archives that lie', () => {
  const parts = Object.entries(partsOf(good)).map(([name, content]) => ({ name, content: Buffer.from(content) }))
  const changed = (changes: object) =>
    zipped(...parts.map((part) => (part.name === sheetPath ? { ...part, ...changes } : part)))
  const whole = xlsx(good)

  test.each([
    ['of the size of a sheet, smaller', changed({ claimedBytes: 10 })],
    ['of the size of a sheet, larger', changed({ claimedBytes: 1_000_000_000 })],
    ['of its checksum', changed({ crc: 1 })],
    ['of how it is packed', changed({ method: 99 })],
    ['and are encrypted', changed({ flags: 1 })],
    ['cut off', whole.subarray(0, whole.length - 100)],
    ['without the parts that they list', Buffer.concat([whole.subarray(0, 4), whole.subarray(1_000)])],
  ])('%s', async (_, bytes) => {
    expect(await codeOf(bytes)).toBe('archive_unreadable')
  })

  test('with two parts of one name', async () => {
    const twice = { name: 'XL/worksheets/Sheet1.xml', content: Buffer.from('<worksheet/>') }
    expect(await codeOf(zipped(...parts, twice))).toBe('workbook_unreadable')
  })

  test('cut off anywhere, or with any byte turned, they end in a code or in rows', async () => {
    for (let at = 0; at < whole.length; at += 37) {
      expect(await codeOf(whole.subarray(0, at))).toMatch(/^[a-z_]+$|^0 rows$/)
      const turned = Buffer.from(whole)
      turned[at] = turned[at]! ^ 0x55
      expect(await codeOf(turned)).toMatch(/^[a-z_]+$|^\d rows$/)
    }
  })
})

describe('more than there should be', () => {
  async function within(megabytes: number, seconds: number, run: () => Promise<void>): Promise<void> {
    const before = process.memoryUsage.rss()
    const start = performance.now()
    await run()
    expect(process.memoryUsage.rss() - before).toBeLessThan(megabytes * 1024 * 1024)
    expect((performance.now() - start) / 1_000).toBeLessThan(seconds)
  }

  test('one long text that a million cells share', async () => {
    const noise = Array.from({ length: 30_000 }, (_, i) => ((i * 7919) % 1_000_003).toString(36)).join(' ')
    const cell = '<c t="s"><v>0</v></c>'
    const shared = { 'xl/sharedStrings.xml': `<sst><si><t>${noise}</t></si></sst>` }
    const rows = ofData(`<row>${cell.repeat(10)}</row>`.repeat(20_000), shared)
    await within(200, 10, async () => {
      expect(await codeOf(rows)).toBe('file_expands_too_much')
    })
    expect(await codeOf(ofData(`<row>${cell.repeat(100)}</row>`, shared))).toBe('sheet_row_too_long')
  })

  test('rows of one cell in the last column', async () => {
    const rows = Array.from({ length: 5_000 }, (_, i) => `<row r="${i + 1}"><c r="XFD${i + 1}"><v>${i}</v></c></row>`)
    await within(400, 10, async () => {
      expect(await codeOf(ofData(rows.join('')))).toBe('file_expands_too_much')
    })
    // As many cells as that may be, where something is in them.
    expect(await codeOf(ofData(rows.slice(0, 500).join('')))).toBe('500 rows')
  })

  test('more shared texts than memory is given', async () => {
    async function* part() {
      yield Buffer.from('<sst>')
      for (let i = 0; ; i++) yield Buffer.from(`<si><t>${`text ${i} `.repeat(100)}</t></si>`.repeat(100))
    }
    const texts = new SharedStrings('xl/sharedStrings.xml', part(), 16 * 1024 * 1024)
    await within(100, 10, async () => {
      await expect(texts.ensure(100_000_000)).rejects.toMatchObject({ code: 'workbook_texts_too_large' })
    })
    async function* empty() {
      yield Buffer.from('<sst>')
      for (;;) yield Buffer.from('<si/>'.repeat(10_000))
    }
    const nothing = new SharedStrings('xl/sharedStrings.xml', empty(), 16 * 1024 * 1024)
    await expect(nothing.ensure(100_000_000)).rejects.toMatchObject({ code: 'workbook_texts_too_large' })
  })
})

test('read as text, a workbook is refused', async () => {
  await writeFile(path, xlsx(good))
  await expect(readBytes(path).next()).rejects.toMatchObject({ code: 'file_format_unsupported' })
})
