import { beforeEach, expect, test } from 'vitest'
import { createMetrics, type Metrics } from '#services/platform/metrics.ts'
import { type Follower, TopicMeter } from '#services/projector/topic-meter.ts'
import { MemoryLog } from '../../support/memory-log.ts'

let log: MemoryLog
let metrics: Metrics
let followers: Follower[]
let meter: TopicMeter

beforeEach(async () => {
  log = new MemoryLog({ nowMs: () => Date.now() - 60_000 })
  await log.admin.ensureTopics([{ topic: 'rows', partitions: 2, compacted: false }])
  metrics = createMetrics('projector')
  followers = []
  meter = new TopicMeter(log, metrics, () => followers)
})

/** A projection with the given next offsets of the two partitions. */
function at(...offsets: number[]): Follower {
  return { positions: offsets.map((nextOffset, partition) => ({ topic: 'rows', partition, nextOffset })) }
}

async function append(partition: number, count: number): Promise<void> {
  const records = Array.from({ length: count }, () => ({ key: null, value: Buffer.from('x') }))
  await log.writer().append('rows', partition, records)
}

async function sampleOf(name: 'records' | 'lagRecords' | 'lagSeconds', partition?: number) {
  const { values }: { values: { value: number; labels: { topic?: unknown; partition?: unknown } }[] } =
    await metrics[name].get()
  return values.find(({ labels }) => labels.topic === 'rows' && labels.partition === partition)?.value
}

test('what every projection here has applied is counted once, from where the first was found', async () => {
  meter.count()
  expect(await sampleOf('records')).toBeUndefined()
  followers = [at(5, 0), at(7, 0)]
  meter.count()
  expect(await sampleOf('records')).toBe(0)
  followers = [at(6, 2), at(9, 1)]
  meter.count()
  expect(await sampleOf('records')).toBe(2)
  // One that begins again takes nothing back, and what it applies a second time does not count.
  followers = [at(0, 0), at(9, 1)]
  meter.count()
  followers = [at(9, 1), at(9, 1)]
  meter.count()
  expect(await sampleOf('records')).toBe(5)
})

test('the lag of a partition is that of the slowest projection, and goes when none runs here any more', async () => {
  await append(0, 4)
  followers = [at(4, 0), at(1, 0)]
  await meter.measure()
  expect([await sampleOf('lagRecords', 0), await sampleOf('lagRecords', 1)]).toEqual([3, 0])
  expect(await sampleOf('lagSeconds', 0)).toBeGreaterThanOrEqual(60)
  expect(await sampleOf('lagSeconds', 1)).toBe(0)
  followers = [at(4, 0), at(4, 0)]
  await meter.measure()
  expect([await sampleOf('lagRecords', 0), await sampleOf('lagSeconds', 0)]).toEqual([0, 0])
  followers = []
  await meter.measure()
  expect([await sampleOf('lagRecords', 0), await sampleOf('lagSeconds', 0)]).toEqual([undefined, undefined])
})
