import type { StreamArchive } from './archive.ts'
import type { Stream } from './layout.ts'

/** What an archiver knows of a stream that it owns. */
export interface StreamView {
  readonly stream: Stream
  /** Null until it was found how far the lake has it. */
  archive: StreamArchive | null
  /** End of the log when it was looked at. */
  end?: number
  /** Since when records wait; null where none does. */
  waitingSinceMs?: number | null
  /** What a record takes, as of the last range. */
  recordBytes?: number
  /** Below it are only marks of the log, from the archive's position on. */
  passed?: number
  error?: StreamStatus['error']
}

/** How far a stream is in the lake. */
export interface StreamStatus {
  readonly topic: string
  readonly partition: number
  /** The first offset that is not in the lake; null while that is not known. */
  readonly position: number | null
  readonly end_offset: number | null
  readonly lag_records: number | null
  /** How long records have waited. */
  readonly lag_seconds: number
  readonly error: { readonly code: string; readonly message: string } | null
}

export function streamName({ topic, partition }: Stream): string {
  return `${topic}[${partition}]`
}

export function viewOf({ stream, archive, end, waitingSinceMs, passed, error }: StreamView): StreamStatus {
  const position = archive === null ? null : Math.max(archive.position, passed ?? 0)
  return {
    topic: stream.topic,
    partition: stream.partition,
    position,
    end_offset: end ?? null,
    lag_records: position === null || end === undefined ? null : Math.max(0, end - position),
    lag_seconds: waitingSinceMs ? (Date.now() - waitingSinceMs) / 1_000 : 0,
    error: error ?? null,
  }
}
