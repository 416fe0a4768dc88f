import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { minorDigits } from '#services/ingest/parse/currency.ts'
import { compileDateFormat, compileDateFormats } from '#services/ingest/parse/date-format.ts'
import { wallTimeToUtc, zoneOffsets } from '#services/ingest/parse/zone.ts'
import { Calendar, isoOfDay } from '#streams/domain/calendar.ts'

function iso(ms: number): string | null {
  return Number.isNaN(ms) ? null : new Date(ms).toISOString()
}

describe('date formats', () => {
  test.each([
    ['yyyy-MM-dd HH:mm:ss', '2010-12-01 08:26:00', '2010-12-01T08:26:00.000Z'],
    ['dd.MM.yyyy H:mm', '09.12.2011 8:05', '2011-12-09T08:05:00.000Z'],
    ['M/d/yyyy', '2/29/2012', '2012-02-29T00:00:00.000Z'],
    ['dd.MM.yy', '13.03.24', '2024-03-13T00:00:00.000Z'],
    ['d/M/yy[ H:mm]', '1/3/99 8:05', '2099-03-01T08:05:00.000Z'],
    ['yyyyMMdd', '19970101', '1997-01-01T00:00:00.000Z'],
    ['yyyy-MM-ddTHH:mm:ss.SSS', '2024-05-06T07:08:09.010', '2024-05-06T07:08:09.010Z'],
  ])('%s reads %s', (format, text, expected) => {
    expect(iso(compileDateFormat(format)(text))).toBe(expected)
  })

  test.each([
    '2011-02-29 00:00:00',
    '2011-13-01 00:00:00',
    '2011-00-01 00:00:00',
    '2011-01-01 24:00:00',
    '2011-01-01 00:60:00',
    '2011-01-01',
    '2011-01-01 00:00:00 ',
    '11-01-01 00:00:00',
    '1899-01-01 00:00:00',
    '',
  ])('refuses %j', (text) => {
    expect(iso(compileDateFormat('yyyy-MM-dd HH:mm:ss')(text))).toBeNull()
  })

  test.each([
    ['dd.MM.yyyy[ HH:mm[:ss]]', '09.12.2011', '2011-12-09T00:00:00.000Z'],
    ['dd.MM.yyyy[ HH:mm[:ss]]', '09.12.2011 08:05', '2011-12-09T08:05:00.000Z'],
    ['dd.MM.yyyy[ HH:mm[:ss]]', '09.12.2011 08:05:07', '2011-12-09T08:05:07.000Z'],
    ['M/d/yyyy h:mm a', '12/9/2011 8:05 PM', '2011-12-09T20:05:00.000Z'],
    ['MM/dd/yyyy hh:mm:ssa', '12/09/2011 12:00:00am', '2011-12-09T00:00:00.000Z'],
    ['M/d/yyyy h:mm a', '12/9/2011 12:30 PM', '2011-12-09T12:30:00.000Z'],
    ['yyyy-MM-dd HH:mm:ss Z', '2011-12-09 08:05:00 +03:00', '2011-12-09T05:05:00.000Z'],
    ['dd.MM.yyyy HH:mmZ', '09.12.2011 08:05-0530', '2011-12-09T13:35:00.000Z'],
    ['yyyyMMddTHHmmssZ', '20111209T080500Z', '2011-12-09T08:05:00.000Z'],
    ['iso', '2011-12-09', '2011-12-09T00:00:00.000Z'],
    ['iso', '2011-12-09T08:05', '2011-12-09T08:05:00.000Z'],
    ['iso', '2011-12-09 08:05:07.1239', '2011-12-09T08:05:07.123Z'],
    ['iso', '2011-12-09T08:05:07.29', '2011-12-09T08:05:07.290Z'],
    ['iso', '2011-12-09T08:05:07Z', '2011-12-09T08:05:07.000Z'],
    ['iso', '2011-12-09T08:05:07,5+03', '2011-12-09T05:05:07.500Z'],
    ['excel', '40513.3513888889', '2010-12-01T08:26:00.000Z'],
    ['excel', '40513,3513888889', '2010-12-01T08:26:00.000Z'],
    ['excel', '61', '1900-03-01T00:00:00.000Z'],
    ['excel', '45292.999988425926', '2024-01-01T23:59:59.000Z'],
    ['excel-1904', '39051', '2010-12-01T00:00:00.000Z'],
  ])('%s reads %s as %s', (format, text, expected) => {
    expect(iso(compileDateFormat(format)(text))).toBe(expected)
  })

  test.each([
    ['dd.MM.yyyy[ HH:mm[:ss]]', '09.12.2011 08'],
    ['dd.MM.yyyy[ HH:mm[:ss]]', '09.12.2011 '],
    ['dd.MM.yyyy', '12/09/2011'],
    ['M/d/yyyy', '13/1/2011'],
    ['M/d/yyyy h:mm a', '12/9/2011 13:05 PM'],
    ['M/d/yyyy h:mm a', '12/9/2011 8:05 XM'],
    ['yyyy-MM-dd HH:mmZ', '2011-12-09 08:05'],
    ['yyyy-MM-dd HH:mmZ', '2011-12-09 08:05+25:00'],
    ['yyyy-MM-dd HH:mmZ', '2011-12-09 08:05,03:00'],
    ['iso', '2011-12-09+03:00'],
    ['iso', '2011-12-09T08'],
    ['iso', '2011-12-09T08:05 MSK'],
    ['iso', '2011-02-29'],
    ['iso', '09.12.2011'],
    ['excel', '60'],
    ['excel', '20111209'],
    ['excel', '-1'],
    ['excel', '2958466'],
    ['excel', '4e4'],
  ])('%s refuses %s', (format, text) => {
    expect(iso(compileDateFormat(format)(text))).toBeNull()
  })

  test('a time without zone is one of the file\u2019s zone, a time with zone is not', () => {
    const moscow = zoneOffsets('Europe/Moscow')
    const parse = compileDateFormats(['iso', 'excel', 'dd.MM.yyyy[ HH:mm]'], (wall) => wallTimeToUtc(wall, moscow))
    const noon = '2023-06-15T09:00:00.000Z'
    for (const text of [
      '2023-06-15T12:00',
      '2023-06-15T09:00Z',
      '2023-06-15 11:00+02:00',
      '45092.5',
      '15.06.2023 12:00',
    ])
      expect(iso(parse(text))).toBe(noon)
  })

  test('any second of a century survives being a serial of a spreadsheet', () => {
    fc.assert(
      fc.property(fc.integer({ min: Date.UTC(1960, 0, 1) / 1_000, max: Date.UTC(2060, 0, 1) / 1_000 }), (second) => {
        const serial = String(second / 86_400 + 25_569)
        expect(compileDateFormat('excel')(serial)).toBe(second * 1_000)
      }),
    )
  })

  test('several formats are tried in order', () => {
    const parse = compileDateFormats(['dd.MM.yyyy', 'yyyy-MM-dd'])
    expect(iso(parse('2011-12-09'))).toBe(iso(parse('09.12.2011')))
  })

  test.each([
    'yyyy-MM',
    'yyyy-MM-dd hh',
    'yyyy-MM-dd HH a',
    'yyy-MM-dd',
    'yy-yyyy-MM-dd',
    'yyyy-MM-dd[ HH:mm',
    'yyyy-MM-dd] HH',
    'Excel',
  ])('%s is no format', (format) => {
    expect(() => compileDateFormat(format)).toThrow(expect.objectContaining({ code: 'profile_invalid' }))
  })
})

describe('time zones', () => {
  const london = zoneOffsets('Europe/London')

  test('the table has the zone’s changes to the second', () => {
    expect(london).toContainEqual({ fromMs: Date.UTC(2011, 2, 27, 1), offsetMinutes: 60 })
    expect(london).toContainEqual({ fromMs: Date.UTC(2011, 9, 30, 1), offsetMinutes: 0 })
    expect(london.every(({ fromMs }, i) => i === 0 || fromMs > london[i - 1]!.fromMs)).toBe(true)
  })

  test('Moscow left and joined summer time by law', () => {
    const moscow = new Map(
      zoneOffsets('Europe/Moscow').map(({ fromMs, offsetMinutes }) => [iso(fromMs), offsetMinutes]),
    )
    expect(moscow.get('2011-03-26T23:00:00.000Z')).toBe(240)
    expect(moscow.get('2014-10-25T22:00:00.000Z')).toBe(180)
  })

  test.each([
    ['2011-06-15T12:00', '2011-06-15T11:00:00.000Z', 'summer time'],
    ['2011-12-09T12:50', '2011-12-09T12:50:00.000Z', 'winter time'],
    ['2011-10-30T01:30', '2011-10-30T00:30:00.000Z', 'shown twice: the earlier'],
    ['2011-03-27T01:30', '2011-03-27T01:30:00.000Z', 'skipped: moved forward'],
    ['2011-03-27T00:59', '2011-03-27T00:59:00.000Z', 'just before a gap'],
    ['2011-03-27T02:00', '2011-03-27T01:00:00.000Z', 'just after a gap'],
  ])('London %s is %s (%s)', (wall, expected) => {
    expect(iso(wallTimeToUtc(Date.parse(`${wall}Z`), london))).toBe(expected)
  })

  test('every quarter of an hour of a year comes back through the calendar', () => {
    for (const zone of ['Europe/London', 'America/New_York', 'Asia/Kathmandu', 'Pacific/Apia', 'UTC']) {
      const table = zoneOffsets(zone)
      const calendar = new Calendar(table)
      for (let wall = Date.UTC(2012, 0, 1); wall < Date.UTC(2013, 0, 1); wall += 900_000)
        if (isoOfDay(calendar.dayOf(wallTimeToUtc(wall, table))) !== iso(wall)!.slice(0, 10))
          throw new Error(`${zone} ${iso(wall)}`)
    }
  })
})

test('minor units follow the currency', () => {
  expect([minorDigits('GBP'), minorDigits('RUB'), minorDigits('JPY'), minorDigits('KWD')]).toEqual([2, 2, 0, 3])
})
