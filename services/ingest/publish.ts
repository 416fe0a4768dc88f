import type { Log, NewRecord } from '#streams/log/log.ts'
import { readRange } from '#streams/log/range.ts'
import { type GroupManifest, type PreparedEvent, readEvents } from './receipts/group.ts'

/**
 * Publishes the prepared events of an upload, each once. Appends to a partition are in order and durable, so the log
 * itself says how far an interrupted attempt came: the records of this upload that a partition already holds are the
 * first ones of those meant for it.
 */
export interface PublishOptions {
  readonly log: Log
  readonly topic: string
  /** Directory of the second pass, and its manifest. */
  readonly directory: string
  readonly events: GroupManifest
  /** Ends of the topic before this upload published anything. */
  readonly from: readonly number[]
  /** False on a first attempt, when there is nothing to look for. */
  readonly resumed: boolean
  /** True for a value that this upload published. */
  readonly isOurs: (value: Uint8Array) => Promise<boolean>
  readonly onProgress?: (share: number) => void
  readonly signal?: AbortSignal
  /** Called after each durable append; may end the process in tests. */
  readonly afterAppend?: () => void
}

const sliceRecords = 2_000
const sliceBytes = 4 * 1024 * 1024

/** Returns the number of events appended by this attempt. */
export async function publishEvents(options: PublishOptions): Promise<number> {
  const { log, topic, events, directory, signal } = options
  const skip = options.resumed ? await alreadyPublished(options) : options.from.map(() => 0)
  const writer = log.writer()
  let appended = 0
  try {
    for (let bucket = 0; bucket < events.buckets; bucket++) {
      for (const slice of slices(await readEvents(directory, bucket), skip)) {
        signal?.throwIfAborted()
        await writer.appendMany(byPartition(topic, slice))
        appended += slice.length
        options.afterAppend?.()
      }
      options.onProgress?.((bucket + 1) / events.buckets)
    }
  } finally {
    await writer.close()
  }
  return appended
}

async function alreadyPublished({ log, topic, from, isOurs }: PublishOptions): Promise<number[]> {
  const ends = await log.admin.endOffsets(topic)
  const counts = from.map(() => 0)
  for (let partition = 0; partition < from.length; partition++)
    for await (const batch of readRange(log, topic, partition, from[partition]!, ends[partition] ?? 0))
      for (const { value } of batch.records) if (value !== null && (await isOurs(value))) counts[partition]!++
  return counts
}

/** Cuts events into slices of a bounded size, dropping per partition what `skip` still counts. */
function* slices(events: readonly PreparedEvent[], skip: number[]): Generator<PreparedEvent[]> {
  let slice: PreparedEvent[] = []
  let bytes = 0
  for (const event of events) {
    if (skip[event.partition]! > 0) {
      skip[event.partition]!--
      continue
    }
    slice.push(event)
    bytes += event.value.length
    if (slice.length < sliceRecords && bytes < sliceBytes) continue
    yield slice
    slice = []
    bytes = 0
  }
  if (slice.length > 0) yield slice
}

function byPartition(topic: string, slice: readonly PreparedEvent[]) {
  const partitions = new Map<number, NewRecord[]>()
  for (const { partition, key, value } of slice) {
    const records = partitions.get(partition)
    if (records === undefined) partitions.set(partition, [{ key, value }])
    else records.push({ key, value })
  }
  return [...partitions].map(([partition, records]) => ({ topic, partition, records }))
}
