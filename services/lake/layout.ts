import type { Topics } from '#schemas/topics.ts'

/** What a lake keeps, by the first part of the path. */
export const eventTypes = ['transaction', 'control', 'dead_letter', 'rejected_row'] as const
export type EventType = (typeof eventTypes)[number]
/** Those that come from the log. */
export type LogEventType = Exclude<EventType, 'rejected_row'>

/** The topics that are archived, the small ones first. That of clients is not: it has personal data. */
export function archivedTopics(topics: Topics): Readonly<Record<LogEventType, string>> {
  return { control: topics.control, dead_letter: topics.deadLetters, transaction: topics.transactions }
}

/** A partition of a topic that is archived. */
export interface Stream {
  readonly eventType: LogEventType
  readonly topic: string
  readonly partition: number
}

/** Offsets `from` to the one before `next`. */
export interface OffsetRange {
  readonly from: number
  readonly next: number
}

export const lakePath = 'manifest/lake.json'
export const streamsPrefix = 'manifest/streams/'
export const uploadsPrefix = 'manifest/uploads/'
export const schemasPrefix = 'manifest/schemas/'

/** Below it are the entries of a stream, in the order of their offsets. */
export function entriesPrefix({ topic, partition }: Pick<Stream, 'topic' | 'partition'>): string {
  return `${streamsPrefix}${topic}/${partitionName(partition)}/entries/`
}

export function entryPath(stream: Stream, range: OffsetRange): string {
  return `${entriesPrefix(stream)}${rangeName(range)}.json`
}

/** Below it are the ranges of a stream that were ever begun, in the order of their offsets. */
export function begunPrefix({ topic, partition }: Stream): string {
  return `${streamsPrefix}${topic}/${partitionName(partition)}/begun/`
}

/** The range that begins at an offset, made once: whoever begins one there gets this one. */
export function begunPath(stream: Stream, from: number): string {
  return `${begunPrefix(stream)}${offsetName(from)}.json`
}

/** The first offset of the range that a name of `begunPath` or `entryPath` is of. */
export function firstOffsetOf(path: string): number {
  return Number.parseInt(path.slice(path.lastIndexOf('/') + 1), 10)
}

/** A range that was begun, of late the last one: all before it are in the lake. */
export function progressPath({ topic, partition }: Stream): string {
  return `${streamsPrefix}${topic}/${partitionName(partition)}/progress.json`
}

export function uploadPath(batchId: string): string {
  return `${uploadsPrefix}${batchId}.json`
}

export function schemaPath(id: number): string {
  return `${schemasPrefix}${id}.json`
}

/** A file of records; its name says which they are, so that writing it again replaces it. */
export function recordsPath(stream: Stream, day: string, range: OffsetRange): string {
  const { eventType, topic, partition } = stream
  return `${dayPath(eventType, day)}${topic}-${partitionName(partition)}-${rangeName(range)}.parquet`
}

/** A file of rejected rows of an upload, from 0. */
export function rejectedPath(batchId: string, part: number, day: string): string {
  return `${dayPath('rejected_row', day)}${batchId}-${String(part).padStart(5, '0')}.parquet`
}

/** Where a file of records or of rejected rows is named; null for a name that none of ours has. */
export function manifestPathOf(file: string): string | null {
  const [, topic, partition, range] =
    /^event_type=[^/]+\/.*\/([^/]+)-(p\d{3,})-(\d{16}-\d{16})\.parquet$/.exec(file) ?? []
  if (range !== undefined) return `${streamsPrefix}${topic}/${partition}/entries/${range}.json`
  const [, batchId] = /^event_type=rejected_row\/.*\/([^/]+)-\d{5,}\.parquet$/.exec(file) ?? []
  return batchId === undefined ? null : uploadPath(batchId)
}

const dayMs = 86_400_000
const known = { day: Number.NaN, iso: '' }

/** A day of UTC. Times that follow one another are mostly of one day. */
export function dayOf(ms: number): string {
  const day = Math.floor(ms / dayMs)
  if (day !== known.day) {
    known.iso = new Date(ms).toISOString().slice(0, 10)
    known.day = day
  }
  return known.iso
}

function dayPath(eventType: EventType, day: string): string {
  const [year, month, date] = day.split('-')
  return `event_type=${eventType}/year=${year}/month=${month}/day=${date}/`
}

function partitionName(partition: number): string {
  return `p${String(partition).padStart(3, '0')}`
}

function rangeName({ from, next }: OffsetRange): string {
  return [from, next - 1].map(offsetName).join('-')
}

/** Offsets have up to 16 digits. */
function offsetName(offset: number): string {
  return String(offset).padStart(16, '0')
}
