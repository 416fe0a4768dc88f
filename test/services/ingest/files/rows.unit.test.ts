import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { delimiterOf } from '#services/ingest/files/delimiter.ts'
import { readRows, unknownInput } from '#services/ingest/files/rows.ts'
import type { FileProfile } from '#services/ingest/profile.ts'
import { fromSharedData } from '../../../support/shared-data.ts'
import { type TempDir, tempDir } from '../../../support/temp-dir.ts'
import { encoded, utf16 } from '../support/bytes.ts'
import { lineHeader, lineProfile, prepareFile } from '../support/prepare.ts'

let dir: TempDir
let path: string
beforeAll(async () => {
  dir = await tempDir('loyalty-rows-')
  path = join(dir.path, 'file')
})
afterAll(() => dir.remove())

const auto: FileProfile['format'] = { kind: 'csv', delimiter: 'auto', quote: '"', encoding: 'auto', header: true }

async function read(from: string, format = auto) {
  const input = unknownInput()
  const rows: string[][] = []
  for await (const batch of readRows(from, format, { input })) rows.push(...batch)
  return { rows, input }
}

async function rowsOf(content: string | Uint8Array, format = auto) {
  await writeFile(path, content)
  return read(path, format)
}

describe('the delimiter', () => {
  test.each([
    [',', 'a,b,c\n1,2,3\n'],
    [';', 'a;b;c\n1,5;2,5;3,5\n2,5;3;4\n'],
    ['\t', 'a, b\tc\n1\t2\n3\t4\n'],
    ['|', 'a|b\n1|2'],
    [';', '"a,b,c";d\n"1,2,3";4\n'],
    [';', 'name;note\nx;"two\nlines, with a comma"\ny;z\n'],
    [',', 'single\nvalue\n'],
    [',', 'a,b\n'],
    [',', ''],
    [';', 'receipt;sum\n1;"open'],
  ])('%j is that of %j', (delimiter, text) => {
    expect(delimiterOf(text, '"')).toBe(delimiter)
  })

  test('a comma that stands in every description loses to the tab that divides evenly', () => {
    const rows = Array.from({ length: 20 }, (_, i) => `${i}\tBread, white${i % 3 === 0 ? ', sliced' : ''}\t1.5\n`)
    expect(delimiterOf(`n\titem, if any\tprice\n${rows.join('')}`, '"')).toBe('\t')
  })

  test('is found in a file and told of; a profile may say another', async () => {
    const text = 'a;b\n1,5;2\n'
    expect(await rowsOf(encoded(`${text}Хлеб;3\n`, 'windows-1251'))).toEqual({
      rows: [
        ['a', 'b'],
        ['1,5', '2'],
        ['Хлеб', '3'],
      ],
      input: { container: 'none', encoding: 'windows-1251', encoding_by: 'bytes', delimiter: ';' },
    })
    expect((await rowsOf(text, { ...auto, delimiter: ',' })).rows).toEqual([['a;b'], ['1', '5;2']])
  })
})

describe('lines that end with CR alone', () => {
  const rows = [
    ['id', 'note'],
    ['1', 'two\nlines'],
    ['2', 'x'],
  ]

  test('are rows, also where a cell has line feeds far behind, and in every format', async () => {
    const many = Array.from({ length: 20_000 }, (_, row) => [`${row}`, 'x'])
    const long = `id;note\r${many.map((row) => row.join(';')).join('\r')}\r"1";"two\nlines"\r2;x`
    expect((await rowsOf(long)).rows).toEqual([rows[0], ...many, ...rows.slice(1)])
    expect((await rowsOf('sep=;\rid;note\r2;x\r')).rows).toEqual([rows[0], rows[2]])
    expect((await rowsOf(utf16('id;note\r2;x\r', 'le'))).rows).toEqual([rows[0], rows[2]])
    expect((await rowsOf('id note\r2 x\r', { kind: 'whitespace', encoding: 'auto', header: true })).rows).toEqual([
      rows[0],
      rows[2],
    ])
    expect((await rowsOf('id;note\r2;x\r', { ...auto, delimiter: ';' })).rows).toEqual([rows[0], rows[2]])
  })

  test('are counted where one is at fault', async () => {
    const bytes = Buffer.concat([Buffer.from('id\rХлеб и молоко\r'), Buffer.from([0xff, 0x0d])])
    await expect(rowsOf(bytes)).rejects.toMatchObject({ code: 'file_unreadable', details: { line: 3 } })
  })

  test('a CR between others is part of its cell', async () => {
    expect((await rowsOf('id;note\n2;x\ry\n')).rows).toEqual([rows[0], ['2', 'x\ry']])
  })

  test.each(['\r', '\r\r\r', '\n', '\r\n\r\n', '\n'.repeat(100_000)])('nothing else is no row', async (text) => {
    expect((await rowsOf(text)).rows).toEqual([])
  })
})

test('the first line by which Excel is told the delimiter is none of the rows', async () => {
  for (const line of ['sep=|', '"sep=|"', 'SEP=|\r'])
    expect(await rowsOf(`${line}\na;b|c\n1|2\n`)).toMatchObject({
      rows: [
        ['a;b', 'c'],
        ['1', '2'],
      ],
      input: { delimiter: '|' },
    })
})

/** What is made to hurt is in hostile.int.test.ts. */
describe('odd files end in a code, or in rows', () => {
  test.each([
    ['empty', '', []],
    ['a mark alone', '\ufeff', []],
    ['line breaks alone', '\n\r\n\n', []],
    ['a header alone', 'a,b', [['a', 'b']]],
    [
      'files put together, each with its mark',
      '\ufeffa,b\n1,2\n\ufeffa,b\n\ufeff"3",4\n',
      [
        ['a', 'b'],
        ['1', '2'],
        ['a', 'b'],
        ['3', '4'],
      ],
    ],
  ])('%s', async (_, text, rows) => {
    expect((await rowsOf(text)).rows).toEqual(rows)
    expect((await rowsOf(utf16(text, 'le'))).rows).toEqual(rows)
  })

  test('a line that never ends, at columns by their place', async () => {
    const fields = [{ name: 'a', from: 0, width: 5 }]
    const fixed: FileProfile['format'] = { kind: 'fixed', fields, encoding: 'auto', header: false }
    await expect(rowsOf('a'.repeat(2 * 1024 * 1024), fixed)).rejects.toMatchObject({ code: 'csv_row_too_long' })
  })
})

describe('files without delimiter', () => {
  const text = 'id    sum\r\n00001 12.5\r\n\r\n00002  7\r\n3'

  test('columns by their place: a line that ends before one has no cell for it', async () => {
    const fields = [
      { name: 'id', from: 0, width: 5 },
      { name: 'sum', from: 6, width: 4 },
    ]
    expect((await rowsOf(text, { kind: 'fixed', fields, encoding: 'auto', header: true })).rows).toEqual([
      ['id', 'sum'],
      ['00001', '12.5'],
      ['00002', '7'],
      ['3'],
    ])
  })

  test('columns between spaces', async () => {
    expect(await rowsOf(`\ufeff${text}`, { kind: 'whitespace', encoding: 'auto', header: true })).toEqual({
      rows: [['id', 'sum'], ['00001', '12.5'], ['00002', '7'], ['3']],
      input: { container: 'none', encoding: 'utf-8', encoding_by: 'mark', delimiter: null },
    })
  })
})

test('a file of a Russian till, told nothing but its columns and how it writes numbers and times', async () => {
  const profile = lineProfile({
    format: { kind: 'csv' },
    time_zone: 'Europe/Moscow',
    currency: 'RUB',
    numbers: { decimal: ',', thousands: ' ' },
    dates: { formats: ['dd.MM.yyyy[ HH:mm[:ss]]'] },
    columns: {
      receipt_number: 'Чек',
      client: 'Клиент',
      occurred_at: 'Дата',
      unit_price: 'Цена',
      quantity: 'Кол-во',
      sku: 'Товар',
    },
  })
  const text = [
    'Чек;Клиент;Дата;Цена;Кол-во;Товар',
    'R1;17;15.06.2011 12:00;1\u00a0234,50;2;Молоко',
    'R1;17;15.06.2011 12:00:05;1 000,00;1,5;Хлеб',
    'R2;18;16.06.2011;12 345 678,90;1;Шуба',
  ].join('\r\n')
  const bytes = {
    'utf-8': Buffer.from(text),
    'windows-1251': encoded(text, 'windows-1251'),
    'utf-16le': utf16(text, 'le'),
  }
  for (const [encoding, content] of Object.entries(bytes)) {
    await writeFile(path, content)
    const { published, events } = await prepareFile(path, profile)
    expect(published.map((event) => [event.receipt_number, event.amount_minor, event.occurred_at])).toEqual([
      ['R1', 396_900, Date.UTC(2011, 5, 15, 8)],
      ['R2', 1_234_567_890, Date.UTC(2011, 5, 15, 20)],
    ])
    expect(published[0]!.lines.map((line) => line.sku)).toEqual(['Молоко', 'Хлеб'])
    expect(events.input).toMatchObject({ encoding, delimiter: ';' })
  }
})

test('rows that are equal in all that is read are kept, or dropped with a verdict, as the profile says', async () => {
  const row = (receipt: string) => `${receipt},17,2011-06-15 12:00,2.50,2,A`
  await writeFile(path, [lineHeader, row('R1'), row('R1'), row('R2'), row('R1')].join('\n'))
  const kept = await prepareFile(path, lineProfile())
  expect(kept.published.map((event) => event.amount_minor)).toEqual([1_500, 500])
  const dropped = await prepareFile(path, lineProfile({ identical_rows: 'drop' }))
  expect(dropped.published.map((event) => event.amount_minor)).toEqual([500, 500])
  expect(dropped.events.tally).toEqual({ acceptedRows: 2, rejectedRows: 2, rejected: { duplicate_row: 2 } })
})

const spectrum = fromSharedData('csv-spectrum')

describe.skipIf(spectrum === null)('the twelve files of csv-spectrum', () => {
  test.each([
    'comma_in_quotes',
    'empty',
    'empty_crlf',
    'escaped_quotes',
    'json',
    'location_coordinates',
    'newlines',
    'newlines_crlf',
    'quotes_and_newlines',
    'simple',
    'simple_crlf',
    'utf8',
  ])('%s reads as its JSON says, its encoding and delimiter found', async (name) => {
    const { rows, input } = await read(spectrum!.path(`csvs/${name}.csv`))
    const [header = [], ...data] = rows
    const objects = data.map((cells) => Object.fromEntries(header.map((key, i) => [key, cells[i]])))
    const json = spectrum!.json(`json/${name}.json`) as Record<string, string>
    // The JSON of this one is no list, and has another telephone number than the file.
    const isOdd = name === 'location_coordinates'
    expect(objects).toEqual(isOdd ? [{ ...json, 'Contact Phone Number': '2095257564' }] : json)
    expect(input).toMatchObject({ encoding: 'utf-8', delimiter: ',' })
  })
})
