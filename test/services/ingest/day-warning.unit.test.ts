import { describe, expect, test } from 'vitest'
import { dayAhead } from '#services/ingest/day-warning.ts'
import { dayOfIso } from '#streams/domain/calendar.ts'

const today = dayOfIso('2026-11-21')

/** A move of the day by transactions on the days given, as ISO dates with their counts. */
function moved(before: string | null, after: string, days: Record<string, number>) {
  const counts = new Map(Object.entries(days).map(([iso, count]) => [dayOfIso(iso), count]))
  return dayAhead({ before: before === null ? null : dayOfIso(before), after: dayOfIso(after), today, days: counts })
}

describe('a day that moved far beyond most of the data', () => {
  test.each([
    ['one receipt of the future', '2011-12-09', '2026-11-21', { '2031-01-01': 1 }, '2011-12-09', 1],
    ['one wrong year in a file', '2011-11-30', '2012-12-09', { '2011-12-09': 500, '2012-12-09': 1 }, '2011-12-09', 1],
    ['the future in a first file', null, '2026-11-21', { '2011-12-09': 40, '2031-01-01': 3 }, '2011-12-09', 3],
    ['one in a hundred', null, '2012-12-09', { '2011-12-09': 990, '2012-11-30': 4, '2012-12-09': 6 }, '2011-12-09', 10],
  ] as const)('%s', (_, before, after, days, until, transactions) => {
    const warning = moved(before, after, days)
    expect(warning).toMatchObject({
      code: 'day_ahead_of_data',
      details: { day: after, most_of_the_data_until: until, transactions },
    })
    expect(warning!.message).toContain(`${after}, ${dayOfIso(after) - dayOfIso(until)} days after ${until}`)
  })
})

describe('nothing is said of', () => {
  test.each([
    ['a day that did not move', '2011-12-09', '2011-12-09', { '2011-12-01': 5 }],
    ['a month without receipts', '2011-12-09', '2012-01-09', { '2012-01-09': 1 }],
    ['a file about months that nothing was sent of', '2011-06-01', '2011-12-09', { '2011-07-01': 5, '2011-12-09': 5 }],
    ['a first file', null, '2011-12-09', { '2010-12-01': 50, '2011-11-20': 1, '2011-12-09': 1 }],
    ['a first file of one receipt: there is nothing to compare it with', null, '2011-12-09', { '2011-12-09': 1 }],
  ])('%s', (_, before, after, days) => {
    expect(moved(before, after, days)).toBeNull()
  })
})
