import { parse } from 'csv-parse/sync'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { CsvReader } from '#services/ingest/files/csv.ts'
import { fromSharedData } from '../../../support/shared-data.ts'

/** Reads a text given in chunks of a size. */
function rowsOf(text: string, chunkSize = text.length, format = { delimiter: ',', quote: '"' as string | null }) {
  const reader = new CsvReader(format)
  const rows: string[][] = []
  for (let at = 0; at < text.length; at += chunkSize) rows.push(...reader.push(text.slice(at, at + chunkSize)))
  rows.push(...reader.end())
  return rows
}

describe('CSV', () => {
  test.each([
    [
      'a,b\n1,2\n',
      [
        ['a', 'b'],
        ['1', '2'],
      ],
    ],
    [
      'a,b\r\n1,2',
      [
        ['a', 'b'],
        ['1', '2'],
      ],
    ],
    ['a,,\n', [['a', '', '']]],
    ['"a ""quoted"" word",b\n', [['a "quoted" word', 'b']]],
    [
      '"two\nlines",b\r\nc,d',
      [
        ['two\nlines', 'b'],
        ['c', 'd'],
      ],
    ],
    ['a,"x, y",c\n', [['a', 'x, y', 'c']]],
    ['"",a\n', [['', 'a']]],
    ['a,"end"', [['a', 'end']]],
    ['a\n\n\r\nb\n', [['a'], ['b']]],
    ['5" pipe,b\n', [['5" pipe', 'b']]],
    ['', []],
  ])('%j', (text, expected) => {
    for (const size of [1, 2, 3, 7, text.length || 1]) expect(rowsOf(text, size)).toEqual(expected)
  })

  test('another delimiter, and no quotes', () => {
    expect(rowsOf('a;"b;c"\n', 3, { delimiter: ';', quote: '"' })).toEqual([['a', 'b;c']])
    expect(rowsOf('a\t"b\n', 3, { delimiter: '\t', quote: null })).toEqual([['a', '"b']])
  })

  test('a quote that is never closed is an error that names the row', () => {
    expect(() => rowsOf('a,b\n1,"2\n3,4\n')).toThrow(
      expect.objectContaining({ code: 'csv_unclosed_quote', details: { row: 2 } }),
    )
  })

  test('a row that never ends is an error, not a full memory', () => {
    const reader = new CsvReader({ delimiter: ',', quote: '"' })
    const chunk = 'x'.repeat(1024 * 1024)
    expect(() => {
      for (let megabytes = 0; megabytes < 16; megabytes++) reader.push(chunk)
    }).toThrow(expect.objectContaining({ code: 'csv_row_too_long' }))
  })

  test('any rows, however quoted and cut into chunks, read as csv-parse reads them', () => {
    const cell = fc.string({ unit: fc.constantFrom('a', 'ж', '"', ',', '\n', '\r\n', ' ', '\u2028'), maxLength: 6 })
    const row = fc.array(cell, { minLength: 2, maxLength: 4 })
    const table = fc.array(row, { maxLength: 8 })
    fc.assert(
      fc.property(
        table,
        fc.boolean(),
        fc.integer({ min: 1, max: 9 }),
        fc.constantFrom('\n', '\r\n'),
        (rows, always, size, end) => {
          const text = rows.map((cells) => cells.map((value) => written(value, always)).join(',') + end).join('')
          const expected = parse(text, { relax_column_count: true, record_delimiter: end })
          expect(expected).toEqual(rows)
          expect(rowsOf(text, size)).toEqual(rows)
        },
      ),
    )
  })

  function written(value: string, always: boolean): string {
    return always || /["\n\r,]/.test(value) ? `"${value.replaceAll('"', '""')}"` : value
  }
})

const spectrum = fromSharedData('csv-spectrum')

describe.skipIf(spectrum === null)('csv-spectrum', () => {
  test.each([
    'comma_in_quotes',
    'empty',
    'empty_crlf',
    'escaped_quotes',
    'json',
    'newlines',
    'newlines_crlf',
    'quotes_and_newlines',
    'simple',
    'simple_crlf',
    'utf8',
  ])('%s reads as its JSON says', (name) => {
    const [header = [], ...rows] = rowsOf(spectrum!.text(`csvs/${name}.csv`), 5)
    const objects = rows.map((cells) => Object.fromEntries(header.map((key, i) => [key, cells[i]])))
    expect(objects).toEqual(spectrum!.json(`json/${name}.json`))
  })

  test('location_coordinates keeps quotes inside a field (its JSON has another telephone number)', () => {
    const [, row] = rowsOf(spectrum!.text('csvs/location_coordinates.csv'), 5)
    const expected = spectrum!.json('json/location_coordinates.json') as Record<string, string>
    expect(row).toContain(expected['Location Coordinates'])
    expect(row).toHaveLength(4)
  })
})
