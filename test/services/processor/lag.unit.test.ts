import { beforeEach, describe, expect, test } from 'vitest'
import { topicSpecs, topicsOf } from '#schemas/topics.ts'
import { createMetrics, type Metrics } from '#services/platform/metrics.ts'
import { LagMeter, type MeasuredTask } from '#services/processor/lag.ts'
import { encodePosition, positionHeader, type TaskPosition } from '#streams/runtime/position.ts'
import { MemoryLog } from '../../support/memory-log.ts'

const topics = topicsOf('lag')

const positionAt = (transactions: number): TaskPosition => ({
  ...{ programme: 'p', transactions, control: 0, sweep: null, step: 1, attempt: 'a', foldVersion: 1 },
  ...{ dead: [], part: 1, parts: 1 },
})

describe('the lag of tasks', () => {
  let log: MemoryLog
  let metrics: Metrics
  let meter: LagMeter

  beforeEach(async () => {
    log = new MemoryLog()
    metrics = createMetrics('processor')
    meter = new LagMeter(log, topics, metrics)
    await log.admin.ensureTopics(topicSpecs(topics, 3))
    for (const partition of [0, 1, 2])
      await log.writer().append(
        topics.transactions,
        partition,
        Array.from({ length: 10 }, () => ({ key: null, value: Buffer.from('t') })),
      )
  })

  const running = (partition: number, transactions: number, oldestWaitingMs: number | null): MeasuredTask => ({
    ...{ partition, position: positionAt(transactions), oldestWaitingMs },
  })
  const idle = (partition: number): MeasuredTask => ({ partition, position: null, oldestWaitingMs: null })
  const block = (partition: number, transactions: number) => {
    const headers = { [positionHeader]: encodePosition(positionAt(transactions)) }
    return log.writer().append(topics.accepted, partition, [{ key: null, value: Buffer.from('b'), headers }])
  }
  const gauge = async (name: 'lagRecords' | 'lagSeconds') =>
    new Map((await metrics[name].get()).values.map(({ labels, value }) => [labels.partition, value]))

  test('of a task that runs is from its position to the end, since the oldest record it has read', async () => {
    await meter.measure([running(0, 4, Date.now() - 5_000), running(1, 10, null)])
    expect(meter.of(0)).toMatchObject({ endOffset: 10, records: 6 })
    expect(meter.of(0)?.seconds).toBeGreaterThanOrEqual(5)
    expect(meter.of(1)).toEqual({ endOffset: 10, records: 0, seconds: 0 })
  })

  test('of a task that restores or has stopped is from its last block to the end', async () => {
    await block(0, 3)
    await meter.measure([idle(0), idle(1)])
    expect(meter.of(0)).toMatchObject({ endOffset: 10, records: 7, seconds: expect.any(Number) })
    expect(meter.of(1)).toMatchObject({ records: 10, seconds: expect.any(Number) })
    await block(0, 10)
    await meter.measure([idle(0), idle(1)])
    expect(meter.of(0)).toEqual({ endOffset: 10, records: 0, seconds: 0 })
    expect(await gauge('lagRecords')).toEqual(
      new Map([
        [0, 0],
        [1, 10],
      ]),
    )
  })

  test('of a task that stands still grows', async () => {
    await meter.measure([idle(2)])
    const first = meter.of(2)?.seconds ?? Number.NaN
    await expect
      .poll(async () => {
        await meter.measure([idle(2)])
        return meter.of(2)?.seconds
      })
      .toBeGreaterThan(first)
  })

  test('of a task that tries a step again grows, too, though nothing waits for it to be read', async () => {
    const first = Date.now()
    await expect.poll(() => Date.now()).toBeGreaterThan(first + 5)
    await meter.measure([running(0, 4, null)])
    expect(meter.of(0)).toMatchObject({ records: 6 })
    expect(meter.of(0)?.seconds).toBeGreaterThan(0)
  })

  test('is no longer told of a partition that went to another processor', async () => {
    await meter.measure([idle(0), idle(1)])
    await meter.measure([idle(1)])
    expect([...(await gauge('lagRecords')).keys()]).toEqual([1])
    expect([...(await gauge('lagSeconds')).keys()]).toEqual([1])
    expect(meter.of(0)).toBeUndefined()
  })
})
