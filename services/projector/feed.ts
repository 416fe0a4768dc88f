import { LoyaltyError } from '#streams/core/error.ts'
import type { Log, LogBatch, LogReader, LogRecord } from '#streams/log/log.ts'
import type { Batch, Projection, Range } from './projection.ts'
import type { Reading, Rejected } from './reading.ts'

/** Where reading a partition goes on. */
export interface PartitionOffset {
  readonly topic: string
  readonly partition: number
  readonly nextOffset: number
}

export interface FeedOptions<B extends Batch> {
  readonly log: Log
  readonly reading: Reading
  readonly projection: Pick<Projection<never, B>, 'begin'>
  /** Where to start, and the partitions to read. */
  readonly positions: readonly PartitionOffset[]
  /** How long a batch may wait for more; 0 applies what is there as soon as the batch before is applied. */
  readonly lingerMs: number
  /** The same where applying takes long; default: no longer. */
  readonly mostLingerMs?: number
  readonly maxRows: number
  /** Makes a batch durable together with the offsets after `ranges`. Never called twice at a time. */
  readonly apply: (batch: B, ranges: readonly Range[]) => Promise<void>
  /** A record that cannot be read and never will; it is skipped afterwards. */
  readonly reject: (rejected: Rejected) => Promise<void>
}

interface Gathered<B> {
  readonly batch: B
  readonly ranges: readonly Range[]
}

interface Pending {
  readonly topic: string
  readonly partition: number
  readonly records: readonly LogRecord[]
  index: number
  readonly nextOffset: number
}

/** Marks without records are noted this seldom. */
const marksLingerMs = 1_000
const idlePollMs = 250
const bytesInFlight = 8 * 1024 * 1024

/**
 * Reads partitions in order and hands batches to `apply`: while one batch is applied the next is read and decoded. Holds
 * at most two batches. The first error ends it; whoever runs it starts a new one from the stored offsets.
 */
export class Feed<B extends Batch> {
  readonly #options: FeedOptions<B>
  readonly #reader: LogReader
  /** Next offset to apply, by topic and partition. */
  readonly #applied = new Map<string, number>()
  /** Next offset to take into a batch: ahead of `#applied` by the batch that is being applied. */
  readonly #taken: Map<string, number>
  readonly #queue: Pending[] = []
  #pauses: { held: () => void; fail: (error: Error) => void; resumed: Promise<void> }[] = []
  #stopping = false
  #ended = false
  #oldestPendingMs: number | null = null
  /** How long the last batch took to apply. */
  #applyMs = 0

  constructor(options: FeedOptions<B>) {
    this.#options = options
    const share = Math.floor(bytesInFlight / Math.max(1, options.positions.length))
    const maxBytesPerPartition = Math.min(4 * 1024 * 1024, Math.max(256 * 1024, share))
    this.#reader = options.log.reader({ maxBytesPerPartition, gatherMs: options.lingerMs })
    for (const { topic, partition, nextOffset } of options.positions) {
      this.#applied.set(keyOf(topic, partition), nextOffset)
      this.#reader.seek(topic, partition, nextOffset)
    }
    this.#taken = new Map(this.#applied)
  }

  /** Next offset to apply of a partition. */
  position(topic: string, partition: number): number {
    return this.#applied.get(keyOf(topic, partition)) ?? 0
  }

  /** Next offsets to apply, of every partition. */
  get positions(): readonly PartitionOffset[] {
    return this.#options.positions.map(({ topic, partition }) => {
      return { topic, partition, nextOffset: this.position(topic, partition) }
    })
  }

  /** Arrival of the oldest record that was read and is not applied; null when there is none. */
  get oldestPendingMs(): number | null {
    return this.#oldestPendingMs
  }

  /** Runs until `stop`; throws what reading or applying throws. Closes its reader. */
  async run(): Promise<void> {
    let applying: Promise<void> = Promise.resolve()
    let settled = true
    try {
      while (!this.#stopping) {
        if (this.#pauses.length > 0) {
          await applying
          await this.#holdStill()
          continue
        }
        const gathered = await this.#gather(() => settled)
        await applying
        if (gathered === null) continue
        settled = false
        applying = this.#apply(gathered).finally(() => {
          settled = true
        })
        // Awaited in the next round; until then a failure must not count as unhandled.
        applying.catch(() => {})
      }
      await applying
    } finally {
      await applying.catch(() => {})
      this.#ended = true
      for (const { fail } of this.#pauses.splice(0)) fail(ended())
      await this.#reader.close()
    }
  }

  /** Sum over partitions of the offsets by which this feed is behind another; 0 when it is level or ahead. */
  distanceTo(other: Feed<B>): number {
    let distance = 0
    for (const [key, offset] of other.#applied) distance += Math.max(0, offset - (this.#applied.get(key) ?? 0))
    return distance
  }

  /** Ends `run` after the batch at hand. */
  stop(): void {
    this.#stopping = true
  }

  /**
   * Resolves when nothing is being applied any more, and nothing will be until the answer is called.
   *
   * Errors: `feed_ended` (retriable: another feed is about to take its place).
   */
  async pause(): Promise<() => void> {
    if (this.#ended) throw ended()
    let resume!: () => void
    const resumed = new Promise<void>((resolve) => {
      resume = resolve
    })
    await new Promise<void>((held, fail) => this.#pauses.push({ held, fail, resumed }))
    return resume
  }

  async #holdStill(): Promise<void> {
    const pauses = this.#pauses
    this.#pauses = []
    for (const { held } of pauses) held()
    await Promise.all(pauses.map(({ resumed }) => resumed))
  }

  async #apply({ batch, ranges }: Gathered<B>): Promise<void> {
    const startedAt = performance.now()
    await this.#options.apply(batch, ranges)
    this.#applyMs = performance.now() - startedAt
    for (const { topic, partition, to } of ranges) this.#applied.set(keyOf(topic, partition), to)
    this.#oldestPendingMs = null
  }

  /** A batch that may be applied, or null when there was nothing to take before a pause, a stop, or the poll's end. */
  async #gather(mayEnd: () => boolean): Promise<Gathered<B> | null> {
    const { maxRows, projection } = this.#options
    const lingerMs = this.#lingerMs
    const batch = projection.begin()
    const ranges = new Map<string, Range>()
    let startedAt = 0
    let records = 0
    for (;;) {
      const hurry = this.#stopping || this.#pauses.length > 0
      const waited = startedAt === 0 ? 0 : performance.now() - startedAt
      const due = waited >= (records > 0 ? lingerMs : marksLingerMs) || hurry
      if (!batch.open && startedAt > 0 && (batch.rows >= maxRows || (due && mayEnd()))) break
      if (!batch.open && startedAt === 0 && hurry) return null
      if (this.#queue.length === 0) await this.#poll(startedAt === 0 ? idlePollMs : due ? 5 : lingerMs - waited)
      if (this.#queue.length === 0 && startedAt === 0) return null
      if (this.#queue.length === 0) continue
      if (startedAt === 0) startedAt = performance.now()
      records += await this.#take(batch, ranges)
    }
    for (const { topic, partition, to } of ranges.values()) this.#taken.set(keyOf(topic, partition), to)
    return { batch, ranges: [...ranges.values()] }
  }

  /**
   * Milliseconds to wait for more than what came in, which may have been gathered in the log already. Applying shall take
   * a fifth of the time: a store that is slow per batch rather than per row is given fewer and larger ones.
   */
  get #lingerMs(): number {
    const { lingerMs, mostLingerMs = lingerMs } = this.#options
    return Math.min(mostLingerMs, Math.max(lingerMs, 4 * this.#applyMs))
  }

  async #poll(waitMs: number): Promise<void> {
    const batches: LogBatch[] = await this.#reader.poll(Math.max(0, waitMs))
    for (const { topic, partition, records, nextOffset } of batches)
      this.#queue.push({ topic, partition, records, index: 0, nextOffset })
  }

  /** Moves queued records into the batch until it is full or the queue is empty; answers how many. */
  async #take(batch: B, ranges: Map<string, Range>): Promise<number> {
    let taken = 0
    while (this.#queue.length > 0) {
      const pending = this.#queue[0]!
      const { topic, partition, records } = pending
      let recordMs: number | null = null
      while (pending.index < records.length && (batch.open || batch.rows < this.#options.maxRows)) {
        const record = records[pending.index++]!
        recordMs = record.timestampMs
        this.#oldestPendingMs ??= recordMs
        taken++
        const waiting = this.#deliver(batch, topic, partition, record)
        if (waiting !== undefined) await waiting
      }
      const done = pending.index === records.length
      const key = keyOf(topic, partition)
      const known = ranges.get(key)
      const from = known?.from ?? this.#taken.get(key)!
      const to = done ? pending.nextOffset : records[pending.index]!.offset
      if (to > from) ranges.set(key, { topic, partition, from, to, recordMs: recordMs ?? known?.recordMs ?? null })
      if (!done) return taken
      this.#queue.shift()
    }
    return taken
  }

  /** Resolves when the record is in the batch, or was rejected. Not async itself: most records need no wait. */
  #deliver(batch: B, topic: string, partition: number, record: LogRecord): Promise<void> | undefined {
    const outcome = this.#options.reading.deliver(batch, topic, partition, record)
    if (outcome === null) return undefined
    if (outcome instanceof Promise) return outcome.then(() => this.#deliver(batch, topic, partition, record))
    return this.#options.reject(outcome)
  }
}

function ended(): LoyaltyError {
  return new LoyaltyError('feed_ended', 'the projection is being started again; try once more', { retriable: true })
}

function keyOf(topic: string, partition: number): string {
  return `${topic}/${partition}`
}
