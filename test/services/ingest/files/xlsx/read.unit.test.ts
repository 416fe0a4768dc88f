import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { parseProfile } from '#services/ingest/profile.ts'
import { type TempDir, tempDir } from '../../../../support/temp-dir.ts'
import { zipped } from '../../support/bytes.ts'
import { lineHeader, lineProfile, prepareFile } from '../../support/prepare.ts'
import {
  type Cell,
  contentTypesOf,
  formatted,
  head,
  namespace,
  partsOf,
  type TestWorkbook,
  xlsx,
} from '../../support/xlsx.ts'
import { readBytesAs } from './support.ts'

let dir: TempDir
let path: string
beforeAll(async () => {
  dir = await tempDir('loyalty-xlsx-')
  path = join(dir.path, 'file.csv')
})
afterAll(() => dir.remove())

const read = (workbook: Parameters<typeof xlsx>[0], changes = {}) => readBytesAs(path, xlsx(workbook), changes)

/** The cells of one row of a sheet below a header. */
async function cellsOf(cells: readonly Cell[], workbook: Partial<TestWorkbook> = {}) {
  const header = cells.map((_, at) => `c${at}`)
  const { rows, input } = await read({ ...workbook, sheets: [{ rows: [header, cells] }] })
  return { cells: rows[1], sheet: input.sheet }
}

const raw = (xml: string): Cell => ({ xml })

test('a workbook is known by its content, and says what was read', async () => {
  const { rows, numbers, input } = await read([
    ['Чек', 'sum'],
    ['R1', 2.5],
  ])
  expect(rows).toEqual([
    ['Чек', 'sum'],
    ['R1', '2.5'],
  ])
  expect(numbers).toEqual([1, 2])
  expect(input).toEqual({
    container: 'xlsx',
    encoding: 'utf-8',
    encoding_by: 'container',
    delimiter: null,
    sheet: { name: 'Sheet1', others: [], error_cells: 0, formulas_without_value: 0 },
  })
})

describe('texts', () => {
  test.each([
    ['shared', 'Хлеб & <соль>', 'Хлеб & <соль>'],
    ['shared, with its spaces', '  a ', '  a '],
    ['inline', raw('<c r="$" t="inlineStr"><is><t>a&#10;b</t></is></c>'), 'a\nb'],
    [
      'of runs',
      raw('<c r="$" t="inlineStr"><is><r><rPr><b/></rPr><t>a</t></r><r><t xml:space="preserve"> b</t></r></is></c>'),
      'a b',
    ],
    [
      'without how they are spoken',
      raw('<c r="$" t="inlineStr"><is><t>東京</t><rPh sb="0" eb="2"><t>トウキョウ</t></rPh></is></c>'),
      '東京',
    ],
    ['escaped', 'a_x000D_b_x005F_x0041_', 'a\rb_x0041_'],
    ['of a formula', raw('<c r="$" t="str"><f>A1&amp;"x"</f><v>ax</v></c>'), 'ax'],
    ['in a part marked as no markup', raw('<c r="$" t="inlineStr"><is><t><![CDATA[<a>]]></t></is></c>'), '<a>'],
    ['that look like numbers', '1,5', '1,5'],
  ])('%s', async (_, cell, text) => {
    expect((await cellsOf([cell])).cells).toEqual([text])
  })

  test('shared ones of several runs, read as far as cells ask for them', async () => {
    const texts = Array.from({ length: 50_000 }, (_, i) => `<si><r><t>text </t></r><r><t>${i}</t></r></si>`).join('')
    const cell = (index: number) => raw(`<c r="$" t="s"><v>${index}</v></c>`)
    const workbook = {
      sheets: [
        {
          rows: [
            [cell(0), cell(49_999)],
            [cell(20_000), cell(1)],
          ],
        },
      ],
      parts: { 'xl/sharedStrings.xml': `${head}<sst xmlns="${namespace}">${texts}</sst>` },
    }
    expect((await read(workbook)).rows).toEqual([
      ['text 0', 'text 49999'],
      ['text 20000', 'text 1'],
    ])
  })
})

describe('values', () => {
  test('true, false, formulas with their last value', async () => {
    const formula = raw('<c r="$"><f>1+1</f><v>2</v></c>')
    expect((await cellsOf([true, false, formula])).cells).toEqual(['TRUE', 'FALSE', '2'])
  })

  test('errors and formulas without a value are empty, and counted', async () => {
    const error = raw('<c r="$" t="e"><f>VLOOKUP(1,A:B,2)</f><v>#N/A</v></c>')
    const uncounted = raw('<c r="$"><f>1+1</f></c>')
    expect(await cellsOf(['a', error, uncounted, error])).toEqual({
      cells: ['a', '', '', ''],
      sheet: { name: 'Sheet1', others: [], error_cells: 2, formulas_without_value: 1 },
    })
  })

  test('an error is no client, in whatever column it stands', async () => {
    const error = raw('<c r="$" t="e"><v>#N/A</v></c>')
    const rows: Cell[][] = [
      lineHeader.split(','),
      ['R1', error, '2011-06-15 12:00', 2.5, 2, 'A'],
      ['R2', '17', '2011-06-15 12:00', error, 2, 'A'],
      [error, error, error, error, error, error],
    ]
    const { events: spilt } = await prepare(rows, lineProfile())
    expect(spilt.tally.rejected).toEqual({ missing_client: 1, bad_amount: 1, missing_receipt: 1 })
  })
})

async function prepare(rows: Cell[][], profile: ReturnType<typeof lineProfile>, workbook: Partial<TestWorkbook> = {}) {
  await readBytesAs(path, xlsx({ ...workbook, sheets: [{ rows }] }))
  return prepareFile(path, profile)
}

describe('gaps', () => {
  test('missing cells and rows, formatted ones without a value, rows of empty texts', async () => {
    const data = `<row r="2"><c r="A2" s="1"/></row>
      <row r="4"><c r="B4"><v>1</v></c><c r="D4"><v>2</v></c><c r="E4" s="0"/></row>
      <row r="5"><c r="A5" t="str"><f>""</f><v></v></c><c r="C5" t="s"><v>0</v></c></row>
      <row r="1048576"><c r="A1048576"><v>3</v></c></row>`
    const { rows, numbers } = await read({
      sheets: [{ data }],
      parts: { 'xl/sharedStrings.xml': `${head}<sst xmlns="${namespace}"><si><t/></si></sst>` },
    })
    expect(rows).toEqual([
      ['', '1', '', '2'],
      ['3', '', '', ''],
    ])
    expect(numbers).toEqual([4, 1_048_576])
  })

  test('rows and cells without references follow each other', async () => {
    const { rows, numbers } = await read({
      sheets: [
        { data: '<row><c><v>1</v></c><c><v>2</v></c></row><row r="3"><c r="B3"><v>3</v></c><c><v>4</v></c></row>' },
      ],
    })
    expect(rows).toEqual([
      ['1', '2'],
      ['', '3', '4'],
    ])
    expect(numbers).toEqual([1, 3])
  })

  test('rows are as wide as the header, without one as the sheet', async () => {
    const rows = [['a', 'b', 'c', null], [1], [1, 2, 3, 4]]
    expect((await read(rows)).rows.map((row) => row.length)).toEqual([3, 3, 4])
    expect((await read(rows, { header: false })).rows.map((row) => row.length)).toEqual([4, 4, 4])
    const data = '<row r="1"><c r="A1"><v>1</v></c></row>'
    const wide = {
      'xl/worksheets/sheet1.xml': `${head}<worksheet xmlns="${namespace}"><dimension ref="A1:C1"/><sheetData>${data}</sheetData></worksheet>`,
    }
    expect((await read({ sheets: [{}], parts: wide }, { header: false })).rows).toEqual([['1', '', '']])
  })

  test('verdicts are of rows as the sheet numbers them, and receipts stay in its order', async () => {
    const row = (number: number, receipt: string, client: string) =>
      `<row r="${number}"><c t="inlineStr"><is><t>${receipt}</t></is></c><c t="inlineStr"><is><t>${client}</t></is></c><c t="inlineStr"><is><t>2011-06-15 12:00</t></is></c><c><v>2.5</v></c><c><v>2</v></c></row>`
    const header = `<row r="3">${lineHeader
      .split(',')
      .map((name) => `<c t="inlineStr"><is><t>${name}</t></is></c>`)
      .join('')}</row>`
    const data = `${header}${row(1_000, 'R1', '17')}${row(500_000, 'R2', '')}${row(1_048_575, 'R3', '18')}`
    await readBytesAs(path, xlsx({ sheets: [{ data }] }))
    const { published, events } = await prepareFile(path, lineProfile())
    expect(published.map((event) => [event.receipt_number, event.amount_minor])).toEqual([
      ['R1', 500],
      ['R3', 500],
    ])
    expect(events).toMatchObject({ rows: 3, lastNumber: 1_048_575, tally: { rejected: { missing_client: 1 } } })
  })
})

describe('the sheet', () => {
  const data = [['a'], [1]]
  const sheets = [
    { name: 'Hidden', rows: [['hidden'], [0]], state: 'hidden' as const },
    { name: 'Empty' },
    { name: 'Data', rows: data },
    { name: 'Notes & more', rows: [['b'], [2]] },
    { name: 'Secret', rows: [['c'], [3]], state: 'veryHidden' as const },
  ]

  test('is the first visible one with data; the others are named', async () => {
    const { rows, input } = await read({ sheets })
    expect(rows).toEqual([['a'], ['1']])
    expect(input.sheet).toMatchObject({ name: 'Data', others: ['Empty', 'Notes & more'] })
  })

  test.each([
    ['Notes & more', 'b'],
    ['notes & MORE', 'b'],
    ['Secret', 'c'],
  ])('is %s where the profile says so', async (sheet, column) => {
    expect((await read({ sheets }, { sheet })).rows[0]).toEqual([column])
  })

  test('that is not there is an error with the names that are', async () => {
    await expect(read({ sheets }, { sheet: 'Data 2011' })).rejects.toMatchObject({
      code: 'sheet_missing',
      details: { sheet: 'Data 2011', sheets: ['Hidden', 'Empty', 'Data', 'Notes & more', 'Secret'] },
    })
    await expect(read({ sheets: [sheets[0]!] })).rejects.toMatchObject({ code: 'sheet_missing' })
  })

  test('none with data is an empty file', async () => {
    expect((await read({ sheets: [{ name: 'Empty' }] })).rows).toEqual([])
    await expect(prepareFile(path, lineProfile())).rejects.toMatchObject({ code: 'file_empty' })
  })

  test('a profile names it', () => {
    const format = { kind: 'csv', sheet: 'Data' }
    expect(parseProfile({ ...lineProfile(), format }, 'test').format).toMatchObject({ sheet: 'Data' })
  })
})

describe('a header of merged cells', () => {
  const merged = (...refs: string[]) =>
    `<mergeCells count="${refs.length}">${refs.map((ref) => `<mergeCell ref="${ref}"/>`).join('')}</mergeCells>`
  const header = async (rows: Cell[][], ...refs: string[]) => {
    const sheet = await read({ sheets: [{ rows, behind: merged(...refs) }] })
    return { names: sheet.rows[0], data: sheet.rows.slice(1), number: sheet.numbers[1] }
  }

  test('over two rows joins the names of both', async () => {
    const rows = [
      ['receipt', 'client', 'sum', null],
      [null, null, 'gross', 'net'],
      ['R1', 17, 2.5, 2],
    ]
    expect(await header(rows, 'A1:A2', 'B1:B2', 'C1:D1')).toEqual({
      names: ['receipt', 'client', 'sum gross', 'sum net'],
      data: [['R1', '17', '2.5', '2']],
      number: 3,
    })
    expect((await header(rows, 'C1:D1')).names).toEqual(['receipt', 'client', 'sum gross', 'sum net'])
  })

  test('over three rows in one column, and with the names of the others in the last', async () => {
    const rows = [['receipt', 'sale'], [], [null, 'client', 'sum'], ['R1', 17, 2.5]]
    expect(await header(rows, 'A1:A3', 'B1:C2')).toMatchObject({
      names: ['receipt', 'sale client', 'sale sum'],
      data: [['R1', '17', '2.5']],
    })
  })

  test('over two columns numbers them, so that none is taken for the other', async () => {
    expect(
      await header(
        [
          ['receipt', 'sum', null, 'client'],
          ['R1', 2.5, 2, 17],
        ],
        'B1:C1',
      ),
    ).toMatchObject({
      names: ['receipt', 'sum 1', 'sum 2', 'client'],
      data: [['R1', '2.5', '2', '17']],
    })
    // A row of data may lack all but the numbers under the merged cell.
    expect(
      (
        await header(
          [
            ['receipt', 'sum'],
            [null, 2.5, 2],
          ],
          'B1:C1',
        )
      ).data,
    ).toEqual([['', '2.5', '2']])
  })

  test('a title over the table is none', async () => {
    const rows = [['Sales of June'], [], ['receipt', 'sum'], ['R1', 2.5]]
    expect(await header(rows, 'A1:B1')).toEqual({ names: ['receipt', 'sum'], data: [['R1', '2.5']], number: 4 })
  })

  test('merged cells of the data change nothing', async () => {
    const rows = [
      ['receipt', 'sum'],
      ['R1', 2.5],
      [null, 3],
    ]
    expect((await header(rows, 'A2:A3')).data).toEqual([
      ['R1', '2.5'],
      ['', '3'],
    ])
  })

  test('over more rows than a header has is refused', async () => {
    await expect(
      header(
        [
          ['receipt', 'sum'],
          [null, 2.5],
        ],
        'A1:A40',
      ),
    ).rejects.toMatchObject({
      code: 'sheet_header_unclear',
      details: { merged: 'A1:A40' },
    })
  })

  test('without a header nothing is joined', async () => {
    const rows = [
      ['a', null],
      ['b', 1],
    ]
    expect((await read({ sheets: [{ rows, behind: merged('A1:B1') }] }, { header: false })).rows).toEqual([
      ['a', ''],
      ['b', '1'],
    ])
  })
})

describe('other programs’ ways of writing', () => {
  const sheetPath = 'xl/worksheets/sheet1.xml'
  const rows = [['a'], [1.5]]
  const parts = partsOf({ sheets: [{ rows }] })
  const packed = (options: object) =>
    zipped(...Object.entries(parts).map(([name, content]) => ({ name, content: Buffer.from(content), ...options })))
  const changed = (changes: NonNullable<TestWorkbook['parts']>) => xlsx({ sheets: [{ rows }], parts: changes })
  const withPrefixes = (xml: string | Uint8Array | undefined) =>
    String(xml)
      .replaceAll('</', '</x:')
      .replace(/<(?=[a-z])/g, '<x:')
      .replace('xmlns=', 'xmlns:x=')

  const wide = Buffer.from(`\ufeff${String(parts[sheetPath]).replace('UTF-8', 'UTF-16')}`, 'utf16le')
  const strict = String(parts['_rels/.rels']).replaceAll('schemas.openxmlformats.org', 'purl.oclc.org/ooxml')
  const withMacros = contentTypesOf(1, 'application/vnd.ms-excel.sheet.macroEnabled.main+xml')
  const renamed = Object.entries(parts).map(([name, content]) => ({
    name: name.replaceAll('/', '\\').toUpperCase(),
    content: Buffer.from(content),
  }))

  test.each([
    ['stored', packed({ method: 0 })],
    ['sizes behind the content', packed({ descriptor: true })],
    ['sizes in 64 bits', packed({ zip64: true })],
    ['a sheet in UTF-16', changed({ [sheetPath]: wide })],
    ['a prefix on every name', changed({ [sheetPath]: withPrefixes(parts[sheetPath]) })],
    ['macros', changed({ '[Content_Types].xml': withMacros, 'xl/vbaProject.bin': 'x' })],
    ['a list of contents alone', changed({ '_rels/.rels': null })],
    ['the strict dialect', changed({ '_rels/.rels': strict })],
    ['capitals, and the strokes of Windows', zipped(...renamed)],
    ['no styles', changed({ 'xl/styles.xml': null })],
  ])('%s', async (_, bytes) => {
    expect((await readBytesAs(path, bytes)).rows).toEqual([['a'], ['1.5']])
  })

  test('merged cells with a prefix', async () => {
    const merged = {
      rows: [
        ['a', null, 'd'],
        ['b', 'c', null],
      ],
      behind: '<mergeCells><mergeCell ref="A1:B1"/></mergeCells>',
    }
    const own = withPrefixes(partsOf({ sheets: [merged] })[sheetPath])
    expect((await read({ sheets: [merged], parts: { [sheetPath]: own } })).rows).toEqual([['a b', 'a c', 'd']])
  })
})

test('rejected rows that were mended in a spreadsheet program come back as a workbook', async () => {
  const verdict = [
    'loyalty_row',
    'loyalty_reason',
    'loyalty_field',
    'loyalty_value',
    'loyalty_explanation',
    'loyalty_upload',
  ]
  const { rows, input } = await read([
    [...verdict, 'receipt', 'sum'],
    [7, 'bad_amount', 'amount', 'x', 'the amount is none', '', 'R1', 2.5],
  ])
  expect(rows).toEqual([
    ['receipt', 'sum'],
    ['R1', '2.5'],
  ])
  expect(input).toMatchObject({ container: 'xlsx', rejected_rows: true })
})

test('a profile of lines refuses a workbook', async () => {
  await expect(readBytesAs(path, xlsx([['a']]), { kind: 'whitespace' })).rejects.toMatchObject({
    code: 'file_format_unsupported',
    message: expect.stringContaining('kind csv'),
  })
})

test('a column of dates and one of numbers come through whatever the notation of the profile', async () => {
  const rows: Cell[][] = [
    lineHeader.split(','),
    ['R1', '17', formatted(40_709.5, 1), 1.234, 1_000, 'A'],
    ['R2', '18', '03.04.2011 10:00', '1.234,5', '2', 'B'],
    ['R3', '19', formatted(40_636.423_622_685_2, 1), 2.5, 1, 'C'],
  ]
  const german = lineProfile({ numbers: { decimal: ',', thousands: '.' }, dates: { formats: ['dd.MM.yyyy HH:mm'] } })
  const { published } = await prepare(rows, german, { formats: ['m/d/yyyy h:mm'] })
  expect(
    published.map((event) => [event.receipt_number, event.amount_minor, new Date(event.occurred_at).toISOString()]),
  ).toEqual([
    ['R1', 123_400, '2011-06-15T11:00:00.000Z'],
    ['R2', 246_900, '2011-04-03T09:00:00.000Z'],
    ['R3', 250, '2011-04-03T09:10:01.000Z'],
  ])
})
