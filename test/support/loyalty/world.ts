import assert from 'node:assert/strict'
import type { Registry } from '#schemas/registry.ts'
import type { Topics } from '#schemas/topics.ts'
import type { ClassifierLoader } from '#streams/classifier/classifier.ts'
import type { Log, LogRecord } from '#streams/log/log.ts'
import { readRange } from '#streams/log/range.ts'

/** What the invariants of a programme are checked on. */
export interface World {
  readonly log: Log
  readonly topics: Topics
  readonly registry: Registry
  readonly classifiers: ClassifierLoader
}

/** Every record of a partition. */
export async function all(log: Log, topic: string, partition: number): Promise<LogRecord[]> {
  const end = (await log.admin.endOffsets(topic))[partition]!
  const start = (await log.admin.startOffsets(topic))[partition]!
  const records: LogRecord[] = []
  for await (const batch of readRange(log, topic, partition, start, end)) records.push(...batch.records)
  return records
}

/** The event of a value that could be decoded. */
export function eventOf<Event>(decoded: { readonly kind: string; readonly event?: Event }): Event {
  assert.equal(decoded.kind, 'ok')
  assert.ok(decoded.event !== undefined)
  return decoded.event
}
