import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { CellWriter, plainNotation } from '#services/ingest/files/xlsx/cells.ts'
import { builtInFormat, type CellFormat, formatOfCode, plainNumber } from '#services/ingest/files/xlsx/number-format.ts'
import { readCellRef, writeCellRef } from '#services/ingest/files/xlsx/refs.ts'
import { compileDateFormats, exactTime } from '#services/ingest/parse/date-format.ts'
import { compileDateWriter } from '#services/ingest/parse/date-writer.ts'
import { parseDecimal } from '#services/ingest/parse/decimal.ts'

const plain = new CellWriter(plainNotation, false)
const written = (text: string, format: CellFormat = plainNumber) => plain.number(text, format)

describe('numbers', () => {
  test.each([
    ['536365', '536365'],
    ['2.55', '2.55'],
    ['-0.5', '-0.5'],
    ['2.5499999999999998', '2.55'],
    ['0.30000000000000004', '0.3'],
    ['1234567890123.45', '1234567890123.45'],
    ['12345678901234567890', '12345678901234567890'],
    ['1E+3', '1000'],
    ['1.5e15', '1500000000000000'],
    ['2.5E-2', '0.025'],
    ['3.3333333333333335', '3.333333333'],
    ['123456.78901234567', '123456.789012346'],
    ['99999.99999999999', '100000'],
    ['1E-12', '0'],
    ['-1E-12', '0'],
    ['-1234.5', '-1234.5'],
    ['.5', '0.5'],
    ['+5', '5'],
    ['1,5', null],
    ['abc', null],
    ['', null],
    ['NaN', null],
    ['0x10', null],
    ['1E999', null],
  ])('%s is %s', (xml, text) => {
    expect(written(xml)).toBe(text)
  })

  test('are read back as what they are by every notation', () => {
    const amount = fc.integer({ min: -99_999_999_999, max: 99_999_999_999 })
    const marks = fc.constantFrom({ decimal: '.', thousands: ',' } as const, { decimal: ',', thousands: '.' } as const)
    fc.assert(
      fc.property(amount, fc.integer({ min: 0, max: 4 }), marks, (mantissa, scale, numbers) => {
        const value = mantissa / 10 ** scale
        const writer = new CellWriter({ ...plainNotation, numbers }, false)
        const into = { mantissa: 0, scale: 0 }
        expect(parseDecimal(writer.number(String(value), plainNumber)!, numbers, into)).toBe(true)
        expect(into.mantissa / 10 ** into.scale).toBe(value + 0 === 0 ? 0 : value)
      }),
    )
  })
})

describe('formats of numbers', () => {
  test.each([
    ['General', 'number'],
    ['0.00', 'number'],
    ['#,##0.00_р_.', 'number'],
    ['0.00E+00', 'number'],
    ['0" days"', 'number'],
    ['[Red]#,##0;[Blue]-#,##0', 'number'],
    ['#,##0\\ "₽";-0;"dd"', 'number'],
    ['@', 'number'],
    ['0%', 'number'],
    ['00000', 'padded'],
    ['dd/mm/yyyy', 'date'],
    ['[$-F800]dddd\\,\\ mmmm\\ dd\\,\\ yyyy', 'date'],
    ['[$-FC19]dd mmmm yyyy \\г\\.;@', 'date'],
    ['mmm', 'date'],
    ['M/D/YY h:mm AM/PM', 'date'],
    ['yyyy-mm-dd"T"hh:mm:ss.000', 'date, millis'],
    ['h:mm', 'time'],
    ['mm:ss.0', 'time, millis'],
    ['h:mm AM/PM', 'time'],
    ['[h]:mm', 'elapsed'],
    ['[mm]:ss', 'elapsed'],
    ['[$-409]h:mm', 'time'],
  ])('%s is one of a %s', (code, kind) => {
    const format = formatOfCode(code)
    const name =
      format.kind === 'date' ? `${format.date ? 'date' : 'time'}${format.millis ? ', millis' : ''}` : format.kind
    expect(name).toBe(kind)
  })

  test.each([
    [0, 'number'],
    [4, 'number'],
    [14, 'date'],
    [20, 'date'],
    [22, 'date'],
    [31, 'date'],
    [46, 'elapsed'],
    [47, 'date'],
    [49, 'number'],
    [57, 'date'],
  ])('number %i is one of a %s', (id, kind) => {
    expect(builtInFormat(id).kind).toBe(kind)
  })
})

describe('dates', () => {
  const day = formatOfCode('dd.mm.yyyy')
  const time = formatOfCode('h:mm')
  const late = new CellWriter(plainNotation, true)

  test.each([
    ['40513', day, '2010-12-01'],
    ['40513.351388888892', day, '2010-12-01 08:26'],
    ['40513.3514004629', day, '2010-12-01 08:26:01'],
    ['40513.351388888892', time, '2010-12-01 08:26'],
    ['40513.99999999', day, '2010-12-02'],
    ['0.351388888892', time, '08:26:00'],
    ['0.351388888892', day, '08:26:00'],
    ['1.5', formatOfCode('[h]:mm'), '36:00:00'],
    ['61', day, '1900-03-01'],
    ['60', day, '60'],
    ['59', day, '1900-02-28'],
    ['1', day, '1900-01-01'],
    ['-5', day, '-5'],
    ['3000000', day, '3000000'],
    ['42', formatOfCode('00000'), '00042'],
    ['1234567', formatOfCode('00000'), '1234567'],
    ['4E4', day, '2009-07-06'],
  ])('%s', (serial, format, text) => {
    expect(written(serial, format)).toBe(text)
  })

  test('of workbooks that count from 1904', () => {
    expect(late.number('0', day)).toBe('1904-01-01')
    expect(late.number('39051.351388888892', day)).toBe('2010-12-01 08:26')
    expect(late.number('0.5', time)).toBe('12:00:00')
  })

  test('below the second where the cell shows that', () => {
    expect(written('40513.351388947', formatOfCode('hh:mm:ss.000'))).toBe('2010-12-01 08:26:00.005')
  })

  test('in ISO 8601', () => {
    const german = new CellWriter({ ...plainNotation, dates: { formats: ['dd.MM.yyyy[ HH:mm]'] } }, false)
    expect(german.isoDate('2010-12-01')).toBe('01.12.2010')
    expect(german.isoDate('2010-12-01T08:26:00')).toBe('01.12.2010 08:26')
    expect(german.isoDate('2010-12-01T08:26:00Z')).toBe('2010-12-01T08:26:00Z')
    expect(german.isoDate('2010-13-01')).toBe('2010-13-01')
  })

  test.each([
    [['dd.MM.yyyy'], '01.12.2010'],
    [['yyyyMMdd'], '20101201'],
    [['M/d/yyyy h:mm a'], '12/1/2010 12:00 AM'],
    [['yyyy-dd-MM', 'iso'], '2010-01-12'],
    // The other way round, what this format writes would be read as the 12th of January.
    [['iso', 'yyyy-dd-MM'], '2010-12-01'],
    [['excel'], '2010-12-01t00:00:00.000'],
    [['yyyy-MM-dd HH:mm:ss Z'], '2010-12-01t00:00:00.000'],
  ])('by %j it is %s', (formats, text) => {
    expect(compileDateWriter(formats)(Date.UTC(2010, 11, 1))).toBe(text)
  })

  test('what no format can say whole is written so that every profile reads it', () => {
    const wallMs = Date.UTC(2010, 11, 1, 8, 26, 5)
    expect(compileDateWriter(['M/d/yyyy', 'dd.MM.yyyy HH:mm'])(wallMs)).toBe('2010-12-01t08:26:05.000')
    expect(compileDateFormats(['M/d/yyyy'], (ms) => ms - 3_600_000)(exactTime(wallMs))).toBe(wallMs - 3_600_000)
    expect(compileDateFormats(['iso'])('2010-12-01t08:26')).toBeNaN()
    expect(compileDateFormats(['iso'])('2010-13-01t08:26:05.000')).toBeNaN()
  })

  test('every date is read back as itself, whatever the formats', () => {
    const known = [
      'iso',
      'excel',
      'dd.MM.yyyy[ HH:mm[:ss]]',
      'M/d/yyyy',
      'd/M/yyyy H:mm',
      'yyyy-dd-MM',
      'M/d/yyyy h:mm a',
    ]
    const formats = fc.uniqueArray(fc.constantFrom(...known), { minLength: 1, maxLength: 3 })
    const seconds = fc.integer({ min: Date.UTC(1900, 0, 1) / 1_000, max: Date.UTC(2100, 0, 1) / 1_000 })
    const steps = fc.constantFrom(1, 60, 86_400)
    fc.assert(
      fc.property(formats, seconds, steps, (list, second, step) => {
        const wallMs = Math.floor(second / step) * step * 1_000
        expect(compileDateFormats(list)(compileDateWriter(list)(wallMs))).toBe(wallMs)
      }),
    )
  })
})

test.each([
  ['A1', { column: 0, row: 1 }],
  ['Z9', { column: 25, row: 9 }],
  ['AA10', { column: 26, row: 10 }],
  ['XFD1048576', { column: 16_383, row: 1_048_576 }],
])('the reference %s', (text, ref) => {
  expect(readCellRef(text)).toEqual(ref)
  expect(writeCellRef(ref)).toBe(text)
})

test.each(['XFE1', 'A1048577', 'A0', 'a1', '1', 'A', '$A$1', ''])('%j is no reference', (text) => {
  expect(readCellRef(text)).toBeNull()
})
