import { LoyaltyError } from '#streams/core/error.ts'
import type { Log, LogReader } from '#streams/log/log.ts'
import { readFirst } from '#streams/log/range.ts'
import { type Collected, collectRange, identityOf } from './collect.ts'
import { type OffsetRange, recordsPath, type Stream } from './layout.ts'
import {
  begin,
  type FileFacts,
  type ManifestEntry,
  type Progress,
  readBegun,
  readEntry,
  readProgress,
  sha256Of,
  writeEntry,
} from './manifest.ts'
import type { RowWriter } from './rows.ts'
import type { SchemaKeeper } from './schema-keeper.ts'
import type { LakeStore } from './store.ts'

/** Points at which a test kills the program. */
export const archiveCrashPoints = ['after-begun', 'after-file', 'after-entry'] as const
export type ArchiveCrashPoint = (typeof archiveCrashPoints)[number]

export interface ArchiveDeps {
  readonly log: Log
  readonly store: LakeStore
  readonly schemas: SchemaKeeper
  readonly rows: (stream: Stream) => RowWriter
  /** Bytes of keys and values in a range, about. */
  readonly rangeBytes: number
  readonly crash: (point: ArchiveCrashPoint) => void
}

/** Most records in a range: what a row takes in memory is more than its bytes. */
export const rangeRecords = 50_000

/** What one range came to. */
export interface Archived {
  readonly records: number
  /** Keys and values, before they are compressed. */
  readonly rawBytes: number
  readonly files: readonly FileFacts[]
}

/**
 * Archives one stream, range by range. A range is begun by writing down its offsets; then its files are written; then its
 * entry, which makes it count. A range that was begun and has no entry is done again with the same offsets, so its files
 * take the places of those that are there: nothing is in the lake twice, and nothing is passed over. Of two programs that
 * both believe the stream to be theirs, one of them after a pause in the middle, the second one to begin a range at an offset
 * gets that of the first one.
 */
export class StreamArchive {
  readonly stream: Stream
  readonly #deps: ArchiveDeps
  #position = 0
  /** Begun before and not ended. */
  #begun: OffsetRange | null = null

  private constructor(deps: ArchiveDeps, stream: Stream) {
    this.#deps = deps
    this.stream = stream
  }

  /** Finds how far a stream is in the lake. Errors: `lake_log_differs`, those of log and store. */
  static async open(deps: ArchiveDeps, stream: Stream): Promise<StreamArchive> {
    const archive = new StreamArchive(deps, stream)
    const known = (await readProgress(deps.store, stream)) ?? (await readBegun(deps.store, stream, 0))
    if (known !== null) await archive.#resume(known)
    return archive
  }

  /** The first offset that is not in the lake. */
  get position(): number {
    return this.#position
  }

  /** True where a range was begun before and has to be ended. */
  get begun(): boolean {
    return this.#begun !== null
  }

  /**
   * Archives the next range, which ends at `end` at the latest; null where there were no records. `mayWrite` is asked
   * before anything is written. Errors: those of log, store and registry; `lake_owner_lost`.
   */
  async next(reader: LogReader, end: number, mayWrite: () => Promise<boolean>): Promise<Archived | null> {
    const { log, rows, rangeBytes } = this.#deps
    const { topic, partition } = this.stream
    const start = (await log.admin.startOffsets(topic))[partition] ?? 0
    const whole = this.#begun ?? { from: this.#position, next: end }
    const there = { from: Math.min(Math.max(whole.from, start), whole.next), next: whole.next }
    const limits = this.#begun === null ? { bytes: rangeBytes, records: rangeRecords } : undefined
    const collected = await collectRange(reader, this.stream, there, rows(this.stream), limits)
    if (collected.records === 0 && this.#begun === null) return null
    if (!(await mayWrite()))
      throw new LoyaltyError('lake_owner_lost', `${topic}[${partition}] is another program's now`, { retriable: true })
    if (this.#begun === null && !(await this.#begin({ from: whole.from, next: collected.next }, collected)))
      return this.next(reader, end, mayWrite)
    // What the log has dropped before it was archived.
    const lost = there.from === whole.from ? null : { from_offset: whole.from, next_offset: there.from }
    return this.#write(collected, { from: whole.from, next: this.#begun?.next ?? collected.next }, lost)
  }

  /** False where somebody had begun another range there, which is to be done now. */
  async #begin(range: OffsetRange, { last }: Collected): Promise<boolean> {
    if (last === null) return true
    const mine = { ...range, last: { offset: last.offset, sha256: identityOf(last) } }
    const { from, next } = await begin(this.#deps.store, this.stream, mine)
    this.#begun = { from, next }
    return next === range.next
  }

  async #write(collected: Collected, range: OffsetRange, lost: ManifestEntry['lost']): Promise<Archived> {
    const { store, schemas, crash } = this.#deps
    const { stream } = this
    const { records, rawBytes, withheld } = collected
    crash('after-begun')
    const { known, unknown } = await schemas.keep(collected.schemaIds)
    const files: FileFacts[] = []
    for (const { day, rows, content } of collected.rows.files()) {
      const path = recordsPath(stream, day, range)
      await store.put(path, content)
      files.push({ path, day, rows, bytes: content.length, sha256: sha256Of(content) })
      crash('after-file')
    }
    await writeEntry(store, stream, {
      ...{ topic: stream.topic, partition: stream.partition, from_offset: range.from, next_offset: range.next },
      ...{ records, lost, withheld, schema_ids: known, unknown_schema_ids: unknown, files },
      written_at: new Date().toISOString(),
    })
    crash('after-entry')
    this.#position = range.next
    this.#begun = null
    return { records, rawBytes, files }
  }

  /** `known` may have been begun long ago: what was begun behind it is looked through. */
  async #resume(known: Progress): Promise<void> {
    const { store } = this.#deps
    let last = known
    for (let begun: Progress | null = known; begun !== null; begun = await readBegun(store, this.stream, last.next)) {
      last = begun
      const { from, next } = begun
      const ended = (await readEntry(store, this.stream, begun)) !== null
      this.#position = ended ? next : from
      this.#begun = ended ? null : { from, next }
      if (!ended) break
    }
    await this.#check(last)
  }

  /** The log must be the one that was archived: offsets of another one mean other records. */
  async #check({ next, last }: Progress): Promise<void> {
    const { log, store } = this.#deps
    const { topic, partition } = this.stream
    const end = (await log.admin.endOffsets(topic))[partition] ?? 0
    const start = (await log.admin.startOffsets(topic))[partition] ?? 0
    if (end >= next && start > last.offset) return
    const there = end < next ? null : await readFirst(log, topic, partition, last.offset, last.offset + 1)
    if (there !== null && identityOf(there) === last.sha256) return
    throw new LoyaltyError(
      'lake_log_differs',
      `the lake ${store.where} has ${topic}[${partition}] up to offset ${last.offset} of another log than this one; ` +
        'give LOYALTY_LAKE a new place, and keep the old one for what it has',
      { details: { topic, partition, offset: last.offset } },
    )
  }
}
