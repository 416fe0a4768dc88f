import { topicsOf } from '#schemas/topics.ts'
import { archivedTopics, begunPrefix, entriesPrefix, firstOffsetOf, type LogEventType, type Stream } from './layout.ts'
import { isNamed, type LakeFacts, type Progress, readBegun, readProgress } from './manifest.ts'
import type { LakeStore } from './store.ts'

/** A range of offsets that was begun and has no entry: what of it is there does not count. */
export interface OpenRange {
  readonly topic: string
  readonly partition: number
  readonly from_offset: number
  readonly next_offset: number
}

/** What the lake has, or should have, and no manifest speaks of. */
export interface Unaccounted {
  readonly ranges: readonly OpenRange[]
  /** Parquet files. */
  readonly files: readonly string[]
}

/** What to do about a file of the manifest that is damaged: throw, or note it and answer null. */
export type Reading = <Value>(read: () => Promise<Value | null>) => Promise<Value | null>

/**
 * A program that was killed within a range leaves the range open, and files without an entry; so does the loss of an entry,
 * and nothing in the lake tells the two apart. Looks at the lake as it is now. `isKnown` says that a manifest names a file.
 * Errors: those of `reading`, of the store.
 */
export async function unaccountedIn(
  store: LakeStore,
  facts: LakeFacts,
  eventTypes: readonly string[],
  isKnown: (path: string) => boolean,
  reading: Reading,
): Promise<Unaccounted> {
  const ranges: OpenRange[] = []
  for (const stream of streamsOf(facts))
    for (const { from, next } of await openRanges(store, stream, reading))
      ranges.push({ topic: stream.topic, partition: stream.partition, from_offset: from, next_offset: next })
  const files: string[] = []
  for (const type of eventTypes)
    for await (const path of store.list(`event_type=${type}/`))
      if (path.endsWith('.parquet') && !isKnown(path) && !(await isNamed(store, path))) files.push(path)
  return { ranges, files }
}

/** The streams of a lake. */
export function streamsOf({ topic_prefix, partitions }: LakeFacts): Stream[] {
  const topics = Object.entries(archivedTopics(topicsOf(topic_prefix))) as [LogEventType, string][]
  return topics.flatMap(([eventType, topic]) =>
    Array.from({ length: eventType === 'control' ? 1 : partitions }, (_, partition) => ({
      eventType,
      topic,
      partition,
    })),
  )
}

/** Entries are looked at last: a range that was ended meanwhile is not open. */
async function openRanges(store: LakeStore, stream: Stream, reading: Reading): Promise<Progress[]> {
  const begun = (await Array.fromAsync(store.list(begunPrefix(stream)))).map(firstOffsetOf)
  const newest = await reading(() => readProgress(store, stream))
  const ended = new Set((await Array.fromAsync(store.list(entriesPrefix(stream)))).map(firstOffsetOf))
  const open: Progress[] = []
  for (const from of begun)
    if (!ended.has(from)) {
      const range = await reading(() => readBegun(store, stream, from))
      if (range !== null) open.push(range)
    }
  if (newest !== null && !ended.has(newest.from) && !begun.includes(newest.from)) open.push(newest)
  return open
}

/** A sentence for each. */
export function unaccountedSentences({ ranges, files }: Unaccounted): string[] {
  return [
    ...ranges.map(
      ({ topic, partition, from_offset: from, next_offset: next }) =>
        `${topic}[${partition}]: offsets ${from} to ${next - 1} were begun and have no entry`,
    ),
    ...files.map((path) => `in no manifest: ${path}`),
  ]
}
