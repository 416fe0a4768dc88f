import { setTimeout as delay } from 'node:timers/promises'
import type { Topics } from '#schemas/topics.ts'
import { hasCode, LoyaltyError, messageOf } from '#streams/core/error.ts'
import type { Assignment, GroupMembership, LogReader } from '#streams/log/log.ts'
import type { Logger } from '../platform/logging.ts'
import { type ArchiveDeps, type Archived, rangeRecords, StreamArchive } from './archive.ts'
import { archivedTopics, type LogEventType, type Stream } from './layout.ts'
import { claimLake } from './manifest.ts'
import type { RejectedArchive } from './rejected.ts'
import { type StreamStatus, type StreamView, streamName, viewOf } from './stream-view.ts'

export interface ArchiverDeps extends ArchiveDeps {
  readonly topics: Topics
  readonly topicPrefix: string
  readonly logger: Logger
  /** How long records may wait for others. */
  readonly waitMs: number
  /** Null where there is no upload to ask for. */
  readonly rejected: RejectedArchive | null
  /** How often the log is looked at; default 1 s. */
  readonly lookMs?: number
  readonly sessionTimeoutMs?: number
  readonly onArchived: (stream: Stream, archived: Archived, ms: number) => void
  readonly onStatus: (status: readonly StreamStatus[]) => void
}

/** What records of a stream take, until some were seen. */
const firstRecordBytes = 300
const backoffMs = { first: 1_000, most: 30_000 }
/** Of the 15 s that a program has to stop. */
const flushMs = 10_000
const revokedMs = 50

/**
 * Follows the log and archives what this member of the group owns: a stream is looked at every second, and written when
 * a file's worth of records waits or the first has waited long enough. Nothing waits in memory: what is not in the lake yet
 * is in the log.
 */
export class Archiver {
  readonly #deps: ArchiverDeps
  readonly #reader: LogReader
  #views = new Map<string, StreamView>()
  #owned: ReadonlySet<number> = new Set()
  #generation = 0
  #membership: GroupMembership | null = null
  #joined = false
  /** While the group changes. */
  #revoked = false
  #error: { readonly code: string; readonly message: string } | null = null
  readonly #stopping = new AbortController()
  #looping: Promise<void> | null = null

  constructor(deps: ArchiverDeps) {
    this.#deps = deps
    this.#reader = deps.log.reader()
  }

  /** True once the first assignment has come, even of nothing. */
  get joined(): boolean {
    return this.#joined
  }

  /** What it waits for, null while all is well. */
  get error(): { readonly code: string; readonly message: string } | null {
    return this.#error
  }

  get streams(): readonly StreamStatus[] {
    return [...this.#views.values()].map(viewOf)
  }

  /** Returns at once; what is away is waited for. */
  start(): void {
    this.#looping = this.#loop()
  }

  /** Archives what waits, within ten seconds, and leaves the group. */
  async close(): Promise<void> {
    this.#stopping.abort()
    await this.#looping
    const deadline = performance.now() + flushMs
    // A member that ends before this one changes what is ours: then it is looked through again.
    for (let generation = -1; generation !== this.#generation && performance.now() < deadline; ) {
      if (this.#revoked) {
        await delay(revokedMs)
        continue
      }
      generation = this.#generation
      await this.#flush(deadline)
    }
    await this.#membership?.leave().catch(() => {})
    await this.#reader.close()
  }

  async #flush(deadline: number): Promise<void> {
    await this.#round(() => performance.now() < deadline).catch((error: unknown) => {
      this.#deps.logger.warn({ error }, `what waits is archived after the next start: ${messageOf(error)}`)
    })
  }

  async #loop(): Promise<void> {
    const { signal } = this.#stopping
    let failing = backoffMs.first
    while (!signal.aborted) {
      try {
        await this.#join()
        await this.#round(null)
        this.#error = null
        failing = backoffMs.first
        await delay(this.#deps.lookMs ?? 1_000, undefined, { signal }).catch(() => {})
      } catch (error) {
        this.#error = told(error)
        // What another member does now is no failure.
        if (!hasCode(error, 'lake_owner_lost'))
          this.#deps.logger.warn({ error }, `the lake cannot be written: ${messageOf(error)}`)
        await delay(failing, undefined, { signal }).catch(() => {})
        failing = Math.min(backoffMs.most, failing * 2)
      }
    }
  }

  async #join(): Promise<void> {
    if (this.#membership !== null) return
    const { log, topics, topicPrefix, store, sessionTimeoutMs } = this.#deps
    const partitions = await log.admin.partitions(topics.transactions)
    if (partitions === null)
      throw new LoyaltyError('log_topic_missing', `there is no topic ${topics.transactions} yet`, { retriable: true })
    await claimLake(store, { topic_prefix: topicPrefix, partitions })
    this.#membership = await log.join({
      group: this.#group,
      topic: topics.transactions,
      onAssigned: (assignment) => this.#assigned(assignment),
      onRevoked: () => {
        this.#generation++
        this.#owned = new Set()
        this.#views = new Map()
        this.#revoked = true
      },
      ...(sessionTimeoutMs === undefined ? {} : { sessionTimeoutMs }),
    })
  }

  get #group(): string {
    return `${this.#deps.topicPrefix}-lake`
  }

  #assigned({ partitions }: Assignment): void {
    this.#generation++
    this.#owned = new Set(partitions)
    this.#revoked = false
    this.#joined = true
    this.#views = new Map(
      this.#streams().map((stream) => [streamName(stream), { stream, archive: null } as StreamView]),
    )
  }

  /** Partition 0 stands for what has no partitions. */
  #streams(): Stream[] {
    const topics = Object.entries(archivedTopics(this.#deps.topics)) as [LogEventType, string][]
    return topics.flatMap(([eventType, topic]) =>
      [...this.#owned]
        .filter((partition) => eventType !== 'control' || partition === 0)
        .map((partition) => ({ eventType, topic, partition })),
    )
  }

  /** Looks at every stream once. `flush`: writes all that waits, for as long as it says so. */
  async #round(flush: (() => boolean) | null): Promise<void> {
    const { log, rejected } = this.#deps
    const generation = this.#generation
    const goesOn = () => this.#generation === generation && (flush === null ? !this.#stopping.signal.aborted : flush())
    const ends = new Map<string, number[]>()
    let failure: unknown = null
    for (const view of [...this.#views.values()]) {
      if (!goesOn()) break
      const { topic, partition } = view.stream
      try {
        if (!ends.has(topic)) ends.set(topic, await log.admin.endOffsets(topic))
        await this.#look(view, ends.get(topic)?.[partition] ?? 0, flush !== null, goesOn)
        view.error = null
      } catch (error) {
        view.error = told(error)
        failure ??= error
      }
    }
    this.#deps.onStatus(this.streams)
    if (failure !== null) throw failure
    if (this.#owned.has(0) && goesOn()) await rejected?.look(flush !== null, goesOn)
  }

  async #look(view: StreamView, end: number, flush: boolean, goesOn: () => boolean): Promise<void> {
    const { waitMs, rangeBytes } = this.#deps
    view.archive ??= await StreamArchive.open(this.#deps, view.stream)
    const { archive } = view
    view.end = end
    const reached = () => Math.max(archive.position, view.passed ?? 0)
    if (reached() >= end) view.waitingSinceMs = null
    else view.waitingSinceMs ??= Date.now()
    const due = () =>
      flush ||
      archive.begun ||
      Date.now() - (view.waitingSinceMs ?? Date.now()) >= waitMs ||
      end - reached() >= rangeRecords ||
      (end - reached()) * (view.recordBytes ?? firstRecordBytes) >= rangeBytes
    while (reached() < end && due() && goesOn()) {
      const startedMs = performance.now()
      const archived = await archive.next(this.#reader, end, async () => goesOn() && (await this.#isMember()))
      if (archived === null) view.passed = end
      if (reached() >= end) view.waitingSinceMs = null
      if (archived === null) return
      view.recordBytes = Math.max(1, archived.rawBytes / Math.max(1, archived.records))
      this.#deps.onArchived(view.stream, archived, performance.now() - startedMs)
      await this.#tellGroup(view.stream, archive.position)
    }
  }

  async #isMember(): Promise<boolean> {
    return this.#membership === null || (await this.#membership.stillMember())
  }

  /** For tools that show how far a group is; the lake itself says where it goes on. */
  async #tellGroup({ topic, partition }: Stream, next: number): Promise<void> {
    const offsets = { group: this.#group, topic, offsets: new Map([[partition, next]]) }
    await this.#deps.log.admin.setGroupOffsets(offsets).catch((error: unknown) => {
      this.#deps.logger.debug({ error }, `the offset of the group was not stored: ${messageOf(error)}`)
    })
  }
}

function told(error: unknown): { code: string; message: string } {
  return { code: error instanceof LoyaltyError ? error.code : 'internal_error', message: messageOf(error) }
}
