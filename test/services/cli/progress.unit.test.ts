import { PassThrough } from 'node:stream'
import { afterEach, expect, test, vi } from 'vitest'
import { progressBar } from '#services/cli/progress.ts'

/** What a bar writes; codes of the terminal that begin with ESC are left out. */
function written(isTTY: boolean, act: (bar: ReturnType<typeof progressBar>, stream: PassThrough) => void): string {
  const stream = Object.assign(new PassThrough(), { isTTY, columns: 200 })
  const bar = progressBar(100, stream)
  act(bar, stream)
  bar.stop()
  return String(stream.read()).replaceAll(new RegExp(`${String.fromCharCode(27)}(\\[[?\\d;]*[A-Za-z]|[78])`, 'g'), '')
}

const sayInTheMiddle = (bar: ReturnType<typeof progressBar>, stream: PassThrough) => {
  bar.update(40, 'streaming')
  bar.apart(() => stream.write('why it waits\n'))
  bar.update(50, 'streaming, waits')
}

test('a line said apart stands on a line of its own, on a terminal and without', () => {
  for (const isTTY of [true, false])
    expect(written(isTTY, sayInTheMiddle).split('\n'), `terminal: ${isTTY}`).toContain('why it waits')
})

test('on a terminal the bar goes on below what was said apart, where it was', () => {
  const [before, after] = written(true, sayInTheMiddle).split('why it waits\n')
  expect(before).toMatch(/40% streaming\n$/)
  expect(after).toMatch(/40% streaming.*50% streaming, waits\n$/)
})

test('a bar that was stopped is not drawn again by what is said afterwards', () => {
  const text = written(true, (bar, stream) => {
    bar.stop()
    bar.apart(() => stream.write('said after the end\n'))
  })
  expect(text.endsWith('said after the end\n')).toBe(true)
})

afterEach(() => vi.useRealTimers())

const lines = (text: string) => text.split('\n').filter((line) => line !== '')

test('without a terminal a line is written when something has changed, every two seconds at most', () => {
  vi.useFakeTimers()
  const text = written(false, (bar) => {
    bar.update(1, 'folding')
    for (let percent = 2; percent <= 40; percent++) {
      vi.advanceTimersByTime(100)
      bar.update(percent, 'folding')
    }
    vi.advanceTimersByTime(20_000)
    bar.update(50, 'writing')
    vi.advanceTimersByTime(1_999)
  })
  expect(lines(text)).toEqual(['1% folding', '20% folding', '40% folding', '50% writing'])
})

test('without a terminal a standstill gives a sign of life every 30 seconds', () => {
  vi.useFakeTimers()
  const text = written(false, (bar) => {
    bar.update(40, 'waiting for the projector')
    vi.advanceTimersByTime(600_000)
  })
  expect(lines(text)).toHaveLength(21)
})

test('without a terminal the last state is written when it ends, and once', () => {
  const text = written(false, (bar) => {
    bar.update(100, 'done')
    bar.stop()
    bar.stop()
    bar.update(100, 'later')
  })
  expect(lines(text)).toEqual(['100% done'])
})
