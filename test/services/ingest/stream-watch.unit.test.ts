import { expect, test } from 'vitest'
import type { Missing } from '#services/ingest/completion.ts'
import type { StreamTask } from '#services/ingest/ports.ts'
import { processorStatus } from '#services/ingest/processor-status.ts'
import { type Hindrance, StreamWatch } from '#services/ingest/stream-watch.ts'
import type { TaskPosition } from '#streams/runtime/position.ts'
import { eventually } from '../../support/eventually.ts'

const position = (step: number) => ({ step, transactions: step * 10 }) as TaskPosition
const task = (partition: number, state: string): StreamTask => ({ partition, state, fault: null })

/** Watches until `enough` of the verdicts have come; answers all of them. */
async function watched(
  tasks: () => readonly StreamTask[] | null,
  missing: () => readonly Missing[],
  enough: (told: readonly (Hindrance | null)[]) => boolean,
): Promise<readonly (string | null)[]> {
  const told: (Hindrance | null)[] = []
  const watch = new StreamWatch({
    status: { tasks: async () => tasks() },
    tell: async (hindrance) => void told.push(hindrance),
    everyMs: 1,
    unreachableAfterMs: 30,
  })
  await watch.during(
    eventually(() => enough(told)),
    missing,
  )
  return told.map((hindrance) => hindrance?.code ?? null)
}

const many = (told: readonly unknown[]) => told.length >= 60
const at = (partition: number, step = 1): Missing[] => [{ partition, position: position(step) }]

test('a task that is stopped is told at once, and no longer when it runs again', async () => {
  let state = 'stopped'
  const told = await watched(
    () => [task(0, state)],
    () => at(0),
    (verdicts) => {
      if (verdicts.length > 0) state = 'restoring'
      return verdicts.at(-1) === null
    },
  )
  expect(told[0]).toBe('processor_stopped')
  expect(told.at(-1)).toBeNull()
})

test('a stopped task of a partition that nothing is waited for at is no hindrance', async () => {
  const told = await watched(
    () => [task(0, 'running'), task(1, 'stopped')],
    () => at(0),
    many,
  )
  expect(new Set(told)).toEqual(new Set([null]))
})

test('of two processors that tell of one partition the one that works counts', async () => {
  const told = await watched(
    () => [task(0, 'stopped'), task(0, 'running')],
    () => at(0),
    many,
  )
  expect(new Set(told)).toEqual(new Set([null]))
})

test('without an answer nothing is said while the stream gets on, and after a while when it stands', async () => {
  let step = 0
  const moving = await watched(
    () => null,
    () => at(0, ++step),
    many,
  )
  expect(new Set(moving)).toEqual(new Set([null]))
  const standing = await watched(
    () => null,
    () => at(0),
    (told) => told.at(-1) != null,
  )
  expect(standing[0]).toBeNull()
  expect(standing.at(-1)).toBe('processor_unreachable')
})

test('a partition that none of the processors that answer has is told after a while', async () => {
  const told = await watched(
    () => [task(1, 'running')],
    () => at(0),
    (verdicts) => verdicts.at(-1) != null,
  )
  expect(told.at(-1)).toBe('processor_unreachable')
})

test('the watch ends as the work does', async () => {
  const watch = new StreamWatch({ status: { tasks: async () => null }, tell: async () => {}, everyMs: 60_000 })
  await expect(watch.during(Promise.reject(new Error('the work failed')), () => at(0))).rejects.toThrow(
    'the work failed',
  )
  expect(await watch.during(Promise.resolve(7), () => at(0))).toBe(7)
  const deaf = new StreamWatch({ status: { tasks: () => new Promise(() => {}) }, tell: async () => {} })
  expect(await deaf.during(Promise.resolve(7), () => at(0))).toBe(7)
})

test('a name that cannot be resolved, or answers nothing readable, is nobody', async () => {
  const signal = new AbortController().signal
  const away = processorStatus('http://processor:1', async () => {
    throw new Error('unknown host')
  })
  expect(await away.tasks(signal)).toBeNull()
  const closed = processorStatus('http://processor:1', async () => [{ address: '127.0.0.1', family: 4 }])
  expect(await closed.tasks(signal)).toBeNull()
})
