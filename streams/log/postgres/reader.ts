import { LoyaltyError } from '../../core/error.ts'
import type { LogBatch, LogReader, ReaderOptions } from '../log.ts'
import type { Catalogue } from './catalogue.ts'
import type { Connections } from './connections.ts'
import { fetchBatch } from './fetch.ts'
import type { Notifications } from './notifications.ts'

/** One partition being read. Replaced, not changed, when its position is moved: a fetch for the old one goes nowhere. */
interface Cursor {
  readonly topic: string
  readonly partition: number
  position: number
  paused: boolean
  /** The topic's id once a fetch has told it. */
  topicId: number | undefined
  /** Where the partition is known to end; undefined: ask. */
  end: number | undefined
  fetching: boolean
  /** Fetched ahead, not handed out yet. */
  ready: LogBatch | undefined
  failure: LoyaltyError | undefined
  /** Bytes of a record on average, as last read; undefined until records were. */
  recordBytes: number | undefined
  /** When it may be fetched again, of what `performance.now()` counts: until then records gather. */
  dueAt: number
}

/** Records that are fetched without asking the server to bound their bytes, by what is known of their size. */
const mostTailRecords = 10_000

/**
 * Fetches one batch ahead per partition, so that the next poll finds it. At rest it asks nothing: a partition is read
 * again when a notification tells of a later end; one that was read to its end no sooner than the records that come may
 * gather, so that the first of them waits for nothing.
 */
export class PostgresReader implements LogReader {
  private readonly connections: Connections
  private readonly catalogue: Catalogue
  private readonly notifications: Notifications
  private readonly maxBytes: number
  private readonly gatherMs: number
  private readonly cursors = new Map<string, Cursor>()
  private readonly stopListening: () => void
  private wake: (() => void) | undefined
  private closed = false

  constructor(connections: Connections, catalogue: Catalogue, notifications: Notifications, options: ReaderOptions) {
    this.connections = connections
    this.catalogue = catalogue
    this.notifications = notifications
    this.maxBytes = options.maxBytesPerPartition ?? 4 * 1024 * 1024
    this.gatherMs = options.gatherMs ?? 0
    this.stopListening = notifications.onAppend((topicId, partition, end) => this.heardOf(topicId, partition, end))
  }

  seek(topic: string, partition: number, offset: number): void {
    const old = this.cursors.get(keyOf(topic, partition))
    this.cursors.set(keyOf(topic, partition), {
      topic,
      partition,
      position: offset,
      paused: old?.paused ?? false,
      topicId: old?.topicId,
      end: undefined,
      fetching: false,
      ready: undefined,
      failure: undefined,
      recordBytes: undefined,
      dueAt: 0,
    })
    this.wake?.()
  }

  unassign(topic: string, partition: number): void {
    this.cursors.delete(keyOf(topic, partition))
  }

  pause(topic: string, partition: number): void {
    const cursor = this.cursors.get(keyOf(topic, partition))
    if (cursor !== undefined) cursor.paused = true
  }

  resume(topic: string, partition: number): void {
    const cursor = this.cursors.get(keyOf(topic, partition))
    if (cursor === undefined) return
    cursor.paused = false
    this.wake?.()
  }

  async poll(maxWaitMs: number): Promise<LogBatch[]> {
    const deadline = performance.now() + maxWaitMs
    for (;;) {
      if (this.closed) throw new LoyaltyError('log_closed', 'this reader was closed')
      const gatheringMs = this.fetchWhatIsThere()
      const batches = this.take()
      if (batches.length > 0) {
        this.fetchWhatIsThere()
        return batches
      }
      const left = deadline - performance.now()
      if (left <= 0) return []
      await this.news(Math.min(left, gatheringMs))
    }
  }

  async close(): Promise<void> {
    this.closed = true
    this.stopListening()
    this.cursors.clear()
    this.wake?.()
  }

  private take(): LogBatch[] {
    const batches: LogBatch[] = []
    for (const cursor of this.cursors.values()) {
      if (cursor.paused) continue
      if (cursor.failure !== undefined && batches.length === 0) {
        const { failure } = cursor
        cursor.failure = undefined
        throw failure
      }
      if (cursor.ready === undefined) continue
      cursor.position = cursor.ready.nextOffset
      batches.push(cursor.ready)
      cursor.ready = undefined
    }
    return batches
  }

  /** Answers after how many milliseconds to call it again because records will have gathered. */
  private fetchWhatIsThere(): number {
    const now = performance.now()
    let gatheringMs = Number.POSITIVE_INFINITY
    for (const cursor of this.cursors.values()) {
      const idle = !cursor.paused && !cursor.fetching && cursor.ready === undefined && cursor.failure === undefined
      if (!idle || (cursor.end !== undefined && cursor.position >= cursor.end)) continue
      if (cursor.dueAt <= now) void this.fetch(cursor)
      else gatheringMs = Math.min(gatheringMs, cursor.dueAt - now)
    }
    return gatheringMs
  }

  private async fetch(cursor: Cursor): Promise<void> {
    const { topic, partition, position } = cursor
    cursor.fetching = true
    cursor.dueAt = performance.now() + this.gatherMs
    try {
      const knownEnd = this.knownToBeLittle(cursor)
      const { maxBytes } = this
      const from = { topic, partition, offset: position, maxBytes, knownEnd }
      const { topicId, batch } = await fetchBatch(this.connections, this.catalogue, from)
      if (batch.count > 0) cursor.recordBytes = batch.bytes / batch.count
      cursor.topicId = topicId
      // An append may have been announced between the fetch's snapshot and now.
      cursor.end = Math.max(batch.endOffset, this.notifications.endOf(topicId, partition))
      if (batch.nextOffset > position) cursor.ready = batch
      if (batch.nextOffset < batch.endOffset) cursor.dueAt = 0
    } catch (error) {
      cursor.end = undefined
      cursor.failure = error as LoyaltyError
    } finally {
      cursor.fetching = false
      this.wake?.()
    }
  }

  /** The end that was heard of, where what lies before it is less than a batch by the size of the records read last. */
  private knownToBeLittle({ end, position, recordBytes }: Cursor): number | null {
    if (end === undefined || recordBytes === undefined || !Number.isFinite(end)) return null
    return (end - position) * recordBytes * 2 <= this.maxBytes && end - position <= mostTailRecords ? end : null
  }

  private heardOf(topicId: number, partition: number, end: number): void {
    let news = false
    for (const cursor of this.cursors.values())
      if (
        cursor.topicId === topicId &&
        cursor.partition === partition &&
        cursor.end !== undefined &&
        end > cursor.end
      ) {
        cursor.end = end
        news = true
      }
    if (news) this.wake?.()
  }

  private news(withinMs: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(() => this.wake?.(), withinMs)
      this.wake = () => {
        clearTimeout(timer)
        this.wake = undefined
        resolve()
      }
    })
  }
}

function keyOf(topic: string, partition: number): string {
  return `${topic}/${partition}`
}
