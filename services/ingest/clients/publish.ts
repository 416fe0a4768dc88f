import type { Log } from '#streams/log/log.ts'
import { readRange } from '#streams/log/range.ts'
import { untilDecided } from '../completion.ts'
import { append, slices } from '../publish.ts'
import { type PreparedEvent, readEvents } from '../receipts/prepared-events.ts'

export interface PublishClientsOptions {
  readonly log: Log
  readonly topic: string
  /** Directory of prepared events, and how many files of them it has. */
  readonly directory: string
  readonly buckets: number
  /** Ends of the topic before this upload published anything. */
  readonly from: readonly number[]
  /** True where an earlier attempt may have published some. */
  readonly resumed: boolean
  readonly signal: AbortSignal
  readonly onProgress: (share: number) => void
  /** Hears of each durable append: how many clients, and how long it took. */
  readonly onAppended: (records: number, ms: number) => void
}

/**
 * Publishes the last row of each client, and answers how many clients there are. A resumed attempt leaves out whoever was
 * written since the first one began: by that one, or by somebody else, whose value is the newer one. Counting its own
 * records, as uploads of transactions do, would not do here: the topic is compacted, so that some of them may be gone.
 */
export async function publishClients(options: PublishClientsOptions): Promise<number> {
  const { log, topic, directory, buckets, from, signal } = options
  const written = options.resumed ? await keysSince(options) : null
  const writer = log.writer()
  const ends = from.map(() => 0)
  let clients = 0
  try {
    for (let bucket = 0; bucket < buckets; bucket++) {
      const last = lastOfEach(await readEvents(directory, bucket))
      clients += last.length
      const due = written === null ? last : last.filter(({ key }) => !written.has(textOf(key)))
      for await (const slice of slices([due], ends.slice().fill(0))) {
        signal.throwIfAborted()
        const startedMs = performance.now()
        await append(writer, topic, slice, ends)
        options.onAppended(slice.length, performance.now() - startedMs)
      }
      options.onProgress((bucket + 1) / buckets)
    }
  } finally {
    await writer.close()
  }
  return clients
}

/** How many clients there are among prepared events. */
export async function countClients(directory: string, buckets: number): Promise<number> {
  let clients = 0
  for (let bucket = 0; bucket < buckets; bucket++) clients += lastOfEach(await readEvents(directory, bucket)).length
  return clients
}

function lastOfEach(events: readonly PreparedEvent[]): PreparedEvent[] {
  return [...new Map(events.map((event) => [textOf(event.key), event])).values()]
}

async function keysSince({ log, topic, from, signal }: PublishClientsOptions): Promise<Set<string>> {
  // What was appended may lie behind a transaction of another writer that is still open.
  await untilDecided(log, topic, signal)
  const keys = new Set<string>()
  for (const [partition, end] of (await log.admin.endOffsets(topic)).entries())
    for await (const { records } of readRange(log, topic, partition, from[partition] ?? 0, end)) {
      signal.throwIfAborted()
      for (const { key } of records) if (key !== null) keys.add(textOf(key))
    }
  return keys
}

function textOf(key: Uint8Array): string {
  return Buffer.from(key.buffer, key.byteOffset, key.length).toString()
}
