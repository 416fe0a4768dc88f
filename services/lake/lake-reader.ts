import { topicsOf } from '#schemas/topics.ts'
import { LoyaltyError } from '#streams/core/error.ts'
import { headersOf } from './headers.ts'
import { archivedTopics, type LogEventType, type Stream } from './layout.ts'
import { type LakeFacts, type ManifestEntry, readEntries, readFacts, readFileOf } from './manifest.ts'
import { readParquet } from './parquet.ts'
import { broken, type LakeStore } from './store.ts'

/** A record as the lake has it; bytes as they were. */
export interface LakeRecord {
  readonly offset: number
  readonly key: Uint8Array | null
  readonly value: Uint8Array | null
  readonly headers: Readonly<Record<string, Uint8Array>>
}

/** Where a stream begins and ends in the lake, and what is in between. */
export interface StreamPlan {
  readonly stream: Stream
  readonly entries: readonly ManifestEntry[]
  readonly records: number
  /** Offsets that the log had dropped before they were archived. */
  readonly lost: number
}

/** Errors: `lake_missing`, those of the store. */
export async function openLakeFacts(store: LakeStore): Promise<LakeFacts> {
  const facts = await readFacts(store)
  if (facts !== null) return facts
  throw new LoyaltyError('lake_missing', `there is no lake at ${store.where}`, { details: { lake: store.where } })
}

/** All streams of an event type. Errors: `lake_broken` (a gap or an overlap), those of the store. */
export async function planOf(store: LakeStore, facts: LakeFacts, eventType: LogEventType): Promise<StreamPlan[]> {
  const topic = archivedTopics(topicsOf(facts.topic_prefix))[eventType]
  const partitions = eventType === 'control' ? 1 : facts.partitions
  const plans: StreamPlan[] = []
  for (let partition = 0; partition < partitions; partition++) {
    const stream = { eventType, topic, partition }
    const entries = await Array.fromAsync(readEntries(store, stream))
    const [fault] = faultsBetween(entries)
    if (fault !== undefined) throw broken(store, `${topic}[${partition}]: ${fault}`)
    plans.push({
      ...{ stream, entries },
      records: entries.reduce((sum, { records }) => sum + records, 0),
      lost: entries.reduce((sum, { lost }) => sum + (lost === null ? 0 : lost.next_offset - lost.from_offset), 0),
    })
  }
  return plans
}

/** None where each range begins where the one before it ends. */
export function faultsBetween(entries: readonly ManifestEntry[]): string[] {
  const faults: string[] = []
  let next = 0
  for (const { from_offset: from, next_offset: end } of entries) {
    if (from > next) faults.push(`offsets ${next} to ${from - 1} are missing`)
    if (from < next) faults.push(`offsets ${from} to ${Math.min(next, end) - 1} are there twice`)
    next = Math.max(next, end)
  }
  return faults
}

const columns = ['offset', 'key', 'headers', 'value']

/** The records of a range in the order of their offsets, some thousands at a time. Errors: `lake_broken`, those of the store. */
export async function* recordsOf(store: LakeStore, entry: ManifestEntry): AsyncGenerator<readonly LakeRecord[]> {
  const [first, ...others] = entry.files
  if (first === undefined) return
  if (others.length === 0) {
    for await (const rows of readParquet(await readFileOf(store, first), columns)) yield rows.map(recordOf)
    return
  }
  // A range of several days: its files have to be put together again.
  const all: LakeRecord[] = []
  for (const file of entry.files)
    for await (const rows of readParquet(await readFileOf(store, file), columns)) all.push(...rows.map(recordOf))
  yield all.sort((a, b) => a.offset - b.offset)
}

function recordOf(row: Record<string, unknown>): LakeRecord {
  return {
    offset: Number(row.offset),
    key: (row.key ?? null) as Uint8Array | null,
    value: (row.value ?? null) as Uint8Array | null,
    headers: headersOf((row.headers ?? null) as string | null),
  }
}
