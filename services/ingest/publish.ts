import { replayHeaders } from '#schemas/dead-letter.ts'
import type { Log, LogWriter, NewRecord } from '#streams/log/log.ts'
import { readRange } from '#streams/log/range.ts'
import { untilDecided } from './completion.ts'
import { type PreparedEvent, readEvents } from './receipts/prepared-events.ts'

/**
 * Publishes the prepared events of an upload, each once. Appends to a partition are in order and durable, so the log
 * itself says how far an interrupted attempt came: the records of this upload that a partition already holds are the
 * first ones of those meant for it.
 */
export interface PublishOptions {
  readonly log: Log
  readonly topic: string
  /** Directory of prepared events, and how many files of them it has. */
  readonly directory: string
  readonly buckets: number
  /** Ends of the topic before this upload published anything. */
  readonly from: readonly number[]
  /** False on a first attempt, when there is nothing to look for. */
  readonly resumed: boolean
  /** True for a value that this upload published. */
  readonly isOurs: (value: Uint8Array) => Promise<boolean>
  readonly onProgress?: (share: number) => void
  readonly signal?: AbortSignal
  /** Hears of each durable append: how many events, and how long it took. */
  readonly onAppended?: (records: number, ms: number) => void
  /** Called after each durable append; may end the process in tests. */
  readonly afterAppend?: () => void
}

const sliceRecords = 5_000
const sliceBytes = 4 * 1024 * 1024

/**
 * Returns per partition the offset after the last event of this upload, 0 where it has none. Readers may see them later
 * than this resolves: while another writer's transaction is open before them in the partition.
 */
export async function publishEvents(options: PublishOptions): Promise<number[]> {
  const { log, topic, signal } = options
  const { skip, ends } = options.resumed ? await alreadyPublished(options) : nothingPublished(options)
  const writer = log.writer()
  try {
    for await (const slice of slices(eventsOf(options), skip)) {
      signal?.throwIfAborted()
      const startedMs = performance.now()
      await append(writer, topic, slice, ends)
      options.onAppended?.(slice.length, performance.now() - startedMs)
      options.afterAppend?.()
    }
  } finally {
    await writer.close()
  }
  return ends
}

/** Bucket by bucket, in the order of the file. */
async function* eventsOf({ directory, buckets, onProgress }: PublishOptions): AsyncGenerator<PreparedEvent[]> {
  for (let bucket = 0; bucket < buckets; bucket++) {
    yield await readEvents(directory, bucket)
    onProgress?.((bucket + 1) / buckets)
  }
}

/** All partitions at once, and waits for all of them: none may still be under way when the next slice is. */
export async function append(writer: LogWriter, topic: string, slice: readonly PreparedEvent[], ends: number[]) {
  const appends = [...byPartition(slice)].map(async ([partition, records]) => {
    ends[partition] = (await writer.append(topic, partition, records)) + records.length
  })
  for (const outcome of await Promise.allSettled(appends)) if (outcome.status === 'rejected') throw outcome.reason
}

interface Published {
  /** Events of each partition that the log already holds. */
  readonly skip: number[]
  /** Offset after the last of them. */
  readonly ends: number[]
}

function nothingPublished({ from }: PublishOptions): Published {
  return { skip: from.map(() => 0), ends: from.map(() => 0) }
}

async function alreadyPublished(options: PublishOptions): Promise<Published> {
  const { log, topic, from, isOurs } = options
  // What was appended may lie behind a transaction of another writer that is still open.
  await untilDecided(log, topic, options.signal)
  const tops = await log.admin.endOffsets(topic)
  const { skip, ends } = nothingPublished(options)
  for (let partition = 0; partition < from.length; partition++)
    for await (const batch of readRange(log, topic, partition, from[partition]!, tops[partition] ?? 0))
      for (const { value, offset, headers } of batch.records) {
        // A dead letter of this upload that was replayed meanwhile comes from somebody else.
        if (value === null || headers[replayHeaders.of] !== undefined || !(await isOurs(value))) continue
        skip[partition]!++
        ends[partition] = offset + 1
      }
  return { skip, ends }
}

/**
 * Cuts events into slices of a bounded size, dropping per partition what `skip` still counts. Slices go over the ends of
 * batches: a small one costs a transaction as a large one does.
 */
export async function* slices(
  batches: AsyncIterable<readonly PreparedEvent[]> | Iterable<readonly PreparedEvent[]>,
  skip: number[],
): AsyncGenerator<PreparedEvent[]> {
  let slice: PreparedEvent[] = []
  let bytes = 0
  for await (const events of batches)
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

function byPartition(slice: readonly PreparedEvent[]): Map<number, NewRecord[]> {
  const partitions = new Map<number, NewRecord[]>()
  for (const { partition, key, value } of slice) {
    const records = partitions.get(partition)
    if (records === undefined) partitions.set(partition, [{ key, value }])
    else records.push({ key, value })
  }
  return partitions
}
