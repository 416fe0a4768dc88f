import { type EventDecoder, reducedDecoder } from '#schemas/decoder.ts'
import type { Fact, TransactionsAccepted } from '#schemas/events.ts'
import type { Registry } from '#schemas/registry.ts'
import { LoyaltyError } from '#streams/core/error.ts'
import type { Log, LogReader, LogRecord } from '#streams/log/log.ts'
import { readLast } from '#streams/log/range.ts'
import { decodePosition, type TaskPosition } from '#streams/runtime/position.ts'
import { DistinctCount } from './distinct.ts'

/** What the stream made of an upload, summed over the blocks that tell of it. */
export interface BatchOutcome {
  accepted: number
  duplicates: number
  dead: number
  sales: number
  refunds: number
  voids: number
  grossMinor: number
  refundedMinor: number
  readonly clients: DistinctCount
  /** Accepted transactions by day. */
  readonly days: Map<number, number>
  /** Newest day of an accepted transaction; null where there is none. */
  newestDay: number | null
}

type Block = Omit<TransactionsAccepted, 'adjustments'>

/**
 * Follows `accepted` from given offsets: the position of every task, and the outcome of one upload. Blocks are committed
 * with what they tell of, so what was read here is final.
 */
export class AcceptedFollower {
  readonly outcome: BatchOutcome = {
    accepted: 0,
    duplicates: 0,
    dead: 0,
    sales: 0,
    refunds: 0,
    voids: 0,
    grossMinor: 0,
    refundedMinor: 0,
    clients: new DistinctCount(),
    days: new Map(),
    newestDay: null,
  }
  readonly #reader: LogReader
  readonly #decoder: EventDecoder<{ TransactionsAccepted: Block }>
  readonly #batchId: string
  readonly #latest: (TaskPosition | null)[]
  /** Next offset to read, and the end of what was there at the beginning. */
  readonly #readTo: number[]
  readonly #openEnds: readonly number[]

  private constructor(
    reader: LogReader,
    registry: Registry,
    batchId: string,
    start: { latest: (TaskPosition | null)[]; from: readonly number[]; ends: readonly number[] },
  ) {
    this.#reader = reader
    this.#decoder = reducedDecoder(registry, 'TransactionsAccepted', ['adjustments'])
    this.#batchId = batchId
    this.#latest = start.latest
    this.#readTo = [...start.from]
    this.#openEnds = start.ends
  }

  static async open(
    log: Log,
    topic: string,
    registry: Registry,
    batchId: string,
    from: readonly number[],
  ): Promise<AcceptedFollower> {
    const last = await lastBlocks(log, topic)
    const reader = log.reader()
    from.forEach((offset, partition) => {
      reader.seek(topic, partition, offset)
    })
    const latest = last.map((record) => record && decodePosition(record.headers))
    const ends = last.map((record) => (record === null ? 0 : record.offset + 1))
    return new AcceptedFollower(reader, registry, batchId, { latest, from, ends })
  }

  /**
   * Where each task is; null for a task that has not made a step, and as long as blocks that were there at the beginning
   * are still to be read: a position never runs ahead of `outcome`.
   */
  get positions(): readonly (TaskPosition | null)[] {
    return this.#latest.map((position, partition) =>
      this.#readTo[partition]! >= this.#openEnds[partition]! ? position : null,
    )
  }

  /** Reads on until `holds` does, which is asked after every batch. Ends early, with its error, when aborted. */
  async until(holds: () => boolean, signal?: AbortSignal): Promise<void> {
    while (!holds()) {
      signal?.throwIfAborted()
      for (const { partition, records, nextOffset } of await this.#reader.poll(500)) {
        for (const record of records) await this.#take(partition, record)
        this.#readTo[partition] = nextOffset
      }
    }
  }

  async close(): Promise<void> {
    await this.#reader.close()
  }

  async #take(partition: number, record: LogRecord): Promise<void> {
    const position = decodePosition(record.headers)
    const known = this.#latest[partition]
    const decoded = await this.#decoder.read(record.value)
    if (decoded.kind !== 'ok')
      throw new LoyaltyError('block_unreadable', `block ${record.offset} of partition ${partition} cannot be read`, {
        details: { partition, offset: record.offset, reason: decoded.kind },
      })
    this.#add(decoded.event)
    // The last part of a step ends it; what was known at the beginning may be ahead of a block that is read again.
    if (position.part === position.parts && (known == null || position.step >= known.step))
      this.#latest[partition] = position
  }

  #add({ batches, facts }: Block): void {
    const { outcome } = this
    for (const batch of batches) {
      if (batch.batch_id !== this.#batchId) continue
      outcome.accepted += batch.accepted
      outcome.duplicates += batch.duplicates
      outcome.dead += batch.dead
    }
    for (const fact of facts) if (fact.batch_id === this.#batchId) this.#addFact(fact)
  }

  #addFact(fact: Fact): void {
    const { outcome } = this
    if (fact.kind === 'SALE') {
      outcome.sales++
      outcome.grossMinor += fact.amount_minor
    } else if (fact.kind === 'REFUND') {
      outcome.refunds++
      outcome.refundedMinor += fact.amount_minor
    } else outcome.voids++
    outcome.clients.add(fact.client_id)
    outcome.days.set(fact.day, (outcome.days.get(fact.day) ?? 0) + 1)
    if (outcome.newestDay === null || fact.day > outcome.newestDay) outcome.newestDay = fact.day
  }
}

/**
 * The last block of every partition, null where there is none. It tells both where a task is and how far must be read to
 * know all that it did: two looks at the log would let a block committed between them be in the one and not in the other.
 */
async function lastBlocks(log: Log, topic: string): Promise<(LogRecord | null)[]> {
  const partitions = (await log.admin.partitions(topic)) ?? 0
  return Promise.all(Array.from({ length: partitions }, (_, partition) => readLast(log, topic, partition)))
}
