import assert from 'node:assert/strict'
import { type ForwardedFrom, forwardedFrom, forwardHeaders } from '#schemas/forward.ts'
import { partitionOf } from '#streams/core/partitioner.ts'
import type { LogRecord } from '#streams/log/log.ts'
import { readBlocks } from './blocks.ts'
import { all, type World } from './world.ts'

/**
 * Invariant 6 across partitions: every record that a block says was passed on stands once in the partition of its key, as
 * it was but for the marks, and nothing else has such marks. Errors: those of `assert`.
 */
export async function checkForwards(world: World): Promise<void> {
  const { log, topics } = world
  const partitions = (await log.admin.partitions(topics.transactions))!
  const expected: string[] = []
  const found: string[] = []
  for (let partition = 0; partition < partitions; partition++) {
    const { forwarded } = await readBlocks(world, partition)
    for (const record of await all(log, topics.transactions, partition)) {
      const from = forwardedFrom(record.headers)
      if (from !== null) found.push(described(partition, from, record))
      if (!forwarded.has(record.offset)) continue
      const { offset, timestampMs } = record
      expected.push(described(partitionOf(record.key!, partitions), { partition, offset, timestampMs }, record))
    }
  }
  assert.deepEqual(found.sort(), expected.sort(), 'records passed on stand once where they belong')
}

function described(at: number, { partition, offset, timestampMs }: ForwardedFrom, { key, value, headers }: LogRecord) {
  const marks: readonly string[] = Object.values(forwardHeaders)
  const own = Object.entries(headers)
    .filter(([name]) => !marks.includes(name))
    .map(([name, bytes]) => `${name}=${Buffer.from(bytes).toString('hex')}`)
  const content = [key, value].map((bytes) => (bytes === null ? '-' : Buffer.from(bytes).toString('hex')))
  return [`from ${partition}/${offset}`, `at ${at}`, `of ${timestampMs}`, ...content, ...own].join(' ')
}
