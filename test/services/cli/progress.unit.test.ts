import { PassThrough } from 'node:stream'
import { expect, test } from 'vitest'
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
