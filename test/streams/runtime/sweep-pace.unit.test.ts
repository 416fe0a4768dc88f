import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { SweepPace } from '#streams/runtime/sweep-pace.ts'

beforeEach(() => vi.useFakeTimers({ toFake: ['performance'] }))
afterEach(() => vi.useRealTimers())

test('a sweep alone goes on at once, in full slices', () => {
  const pace = new SweepPace(2_000)
  pace.stepped(0, true, 300)
  expect(pace).toMatchObject({ slice: 2_000, waitMs: 0 })
})

test('a sweep beside live traffic takes small slices and rests twice as long as one took', () => {
  const pace = new SweepPace(2_000)
  pace.stepped(7, true, 100)
  expect(pace).toMatchObject({ slice: 500, waitMs: 200 })
  vi.advanceTimersByTime(150)
  pace.stepped(3, false, 900)
  expect(pace.waitMs).toBe(50)
  vi.advanceTimersByTime(50)
  expect(pace).toMatchObject({ slice: 500, waitMs: 0 })
})

test('a sweep is alone again two seconds after the last record, and never takes more than it was given', () => {
  const pace = new SweepPace(300)
  pace.stepped(1, true, 60_000)
  expect(pace).toMatchObject({ slice: 300, waitMs: 120_000 })
  vi.advanceTimersByTime(2_000)
  expect(pace.waitMs).toBe(0)
})

test('records that come by the thousands are of a file: the sweep after them does not wait', () => {
  const pace = new SweepPace(2_000)
  for (let i = 0; i < 4; i++) {
    pace.stepped(3_000, false, 400)
    vi.advanceTimersByTime(900)
  }
  vi.advanceTimersByTime(200)
  pace.stepped(900, true, 100)
  expect(pace).toMatchObject({ slice: 2_000, waitMs: 0 })
})

test('traffic that goes on after a file is live again', () => {
  const pace = new SweepPace(2_000)
  pace.stepped(40_000, false, 900)
  vi.advanceTimersByTime(2_000)
  pace.stepped(20, true, 100)
  expect(pace).toMatchObject({ slice: 2_000, waitMs: 0 })
  vi.advanceTimersByTime(2_000)
  pace.stepped(20, true, 100)
  expect(pace).toMatchObject({ slice: 500, waitMs: 200 })
})
