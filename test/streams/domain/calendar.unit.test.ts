import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Calendar, dayMs, dayOfIso, isoOfDay, type ZoneOffset } from '#streams/domain/calendar.ts'

/** Offset table of a zone, found by looking at every quarter of an hour. */
function offsetsOf(timeZone: string, fromMs: number, toMs: number): ZoneOffset[] {
  const format = new Intl.DateTimeFormat('en', { timeZone, timeZoneName: 'longOffset' })
  const offsetAt = (ms: number) => {
    const name = format.formatToParts(ms).find(({ type }) => type === 'timeZoneName')!.value
    const [, sign, hours, minutes] = /^GMT(?:([+-])(\d\d):(\d\d))?$/.exec(name)!
    return sign === undefined ? 0 : (Number(hours) * 60 + Number(minutes)) * (sign === '-' ? -1 : 1)
  }
  const offsets = [{ fromMs, offsetMinutes: offsetAt(fromMs) }]
  for (let day = fromMs; day < toMs; day += dayMs) {
    if (offsetAt(day + dayMs) === offsets.at(-1)!.offsetMinutes) continue
    let at = day
    while (offsetAt(at) === offsets.at(-1)!.offsetMinutes) at += 900_000
    offsets.push({ fromMs: at, offsetMinutes: offsetAt(at) })
  }
  return offsets
}

const from = Date.UTC(2010, 0, 1)
const to = Date.UTC(2012, 0, 1)

describe('Calendar', () => {
  it.each(['Europe/London', 'Europe/Moscow', 'Asia/Kathmandu', 'America/Sao_Paulo', 'Pacific/Apia'])(
    'has the days that the zone data of this machine has in %s',
    (timeZone) => {
      const calendar = new Calendar(offsetsOf(timeZone, from, to))
      const format = new Intl.DateTimeFormat('en-CA', { timeZone, dateStyle: 'short' })
      fc.assert(
        fc.property(fc.integer({ min: from, max: to - 1 }), (ms) => {
          expect(isoOfDay(calendar.dayOf(ms))).toBe(format.format(ms))
        }),
        { numRuns: 500 },
      )
    },
  )

  const table = fc
    .array(
      fc.record({
        gap: fc.oneof(fc.integer({ min: 1, max: 60 * 24 * 200 }), fc.integer({ min: 1, max: 900 })),
        offsetMinutes: fc.integer({ min: -720, max: 840 }),
      }),
      {
        maxLength: 6,
      },
    )
    .map((steps) => {
      let fromMs = from
      return steps.map(({ gap, offsetMinutes }) => {
        fromMs += gap * 60_000
        return { fromMs, offsetMinutes }
      })
    })

  it('starts a day at the first instant that belongs to it or to a later one, and never runs backwards', () => {
    const near = fc.integer({ min: -2 * dayMs, max: 1_300 * dayMs }).map((ms) => from + ms)
    fc.assert(
      fc.property(table, near, near, (offsets, a, b) => {
        const calendar = new Calendar(offsets)
        const [early, late] = a < b ? [a, b] : [b, a]
        expect(calendar.dayOf(early)).toBeLessThanOrEqual(calendar.dayOf(late))
        for (const instant of [a, ...offsets.slice(1).map(({ fromMs }) => fromMs)]) {
          const day = calendar.dayOf(instant)
          const start = calendar.startOf(day)
          expect(start).toBeLessThanOrEqual(instant)
          expect(calendar.dayOf(start)).toBe(day)
          expect(calendar.dayOf(start - 1)).toBeLessThan(day)
          expect(calendar.dayOf(calendar.startOf(day + 1))).toBeGreaterThan(day)
        }
      }),
      { numRuns: 2_000 },
    )
  })

  it('counts an hour that is repeated across midnight to the later day', () => {
    const midnight = Date.UTC(2023, 9, 29)
    const calendar = new Calendar([
      { fromMs: 0, offsetMinutes: 0 },
      { fromMs: midnight + 60_000, offsetMinutes: -60 },
    ])
    const day = midnight / dayMs
    expect([-1, 0, 60_000, 3_600_000].map((ms) => calendar.dayOf(midnight + ms) - day)).toEqual([-1, 0, 0, 0])
  })

  it('is UTC without a table', () => {
    expect(new Calendar([]).dayOf(Date.UTC(2011, 11, 9, 23, 59))).toBe(dayOfIso('2011-12-09'))
  })
})

describe('ISO days', () => {
  it('are read back as they were written', () => {
    fc.assert(
      fc.property(fc.integer({ min: -20_000, max: 80_000 }), (day) => {
        expect(dayOfIso(isoOfDay(day))).toBe(day)
      }),
    )
  })

  it.each(['2011-02-29', '2011-13-01', '2011-1-1', '2011-12-09T00:00', ''])('are refused as %j', (text) => {
    expect(dayOfIso(text)).toBeNaN()
  })
})
