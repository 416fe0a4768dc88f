import type { LoyaltyError } from '../../core/error.ts'
import type { LogBatch, LogRecord } from '../log.ts'
import type { FetchedPartition } from './fetch-request.ts'
import { type CommittedBatch, committedBatches, completeBatches, decodeBatch } from './record-batch.ts'

/** The answer to one fetch, as far as it was not given out yet. */
interface Chunk {
  readonly batches: Iterator<CommittedBatch, undefined>
  readonly nextOffset: number
  /** Bytes not given out. */
  bytes: number
}

/** Bytes given out at a time, so that whoever decodes them need not do so for all that was fetched. */
const givenBytes = 256 * 1024

/** What was fetched of a partition, decoded when its records are asked for. */
class FetchedBatch implements LogBatch {
  readonly topic: string
  readonly partition: number
  readonly count: number
  readonly bytes: number
  readonly fromOffset: number
  readonly nextOffset: number
  readonly endOffset: number
  readonly #batches: readonly CommittedBatch[]

  constructor(place: PartitionCursor, batches: readonly CommittedBatch[], nextOffset: number, endOffset: number) {
    this.topic = place.topic
    this.partition = place.partition
    this.#batches = batches
    this.fromOffset = place.position
    this.count = batches.reduce((sum, { count }) => sum + count, 0)
    this.bytes = batches.reduce((sum, { heldBytes }) => sum + heldBytes, 0)
    this.nextOffset = nextOffset
    this.endOffset = endOffset
  }

  get records(): readonly LogRecord[] {
    const records: LogRecord[] = []
    for (const batch of this.#batches) decodeBatch(batch, this.fromOffset, records)
    return records
  }
}

/** Where a reader stands in one partition, and what it has fetched beyond. A seek makes a new one. */
export class PartitionCursor {
  readonly topic: string
  readonly partition: number
  /** Next offset to give out. */
  position: number
  /** Next offset to fetch: the one after everything that lies here. */
  fetchPosition: number
  paused = false
  /** Node id of the leader, null while it is not known. */
  leader: number | null = null
  /** Reported by every poll until the partition is moved or dropped. */
  failure: LoyaltyError | null = null
  #endOffset = 0
  readonly #chunks: Chunk[] = []
  #bytes = 0

  constructor(topic: string, partition: number, offset: number) {
    this.topic = topic
    this.partition = partition
    this.position = offset
    this.fetchPosition = offset
  }

  /** Bytes that wait to be given out. */
  get bytes(): number {
    return this.#bytes
  }

  add(answer: FetchedPartition): void {
    this.#endOffset = answer.lastStableOffset
    const { length, nextOffset } = completeBatches(answer.bytes)
    if (nextOffset === null || nextOffset <= this.fetchPosition) return
    const batches = committedBatches(answer.bytes.subarray(0, length), answer.aborted)
    this.#chunks.push({ batches, bytes: length, nextOffset })
    this.#bytes += length
    this.fetchPosition = nextOffset
  }

  /** Gives out what waits up to a bound of bytes; at least a batch. Errors: those of committedBatches. */
  take(): LogBatch {
    const batches: CommittedBatch[] = []
    let bytes = 0
    let position = this.position
    while (this.#chunks.length > 0 && bytes < givenBytes) {
      const chunk = this.#chunks[0]!
      const { value: batch } = chunk.batches.next()
      if (batch === undefined) {
        position = chunk.nextOffset
        this.#bytes -= chunk.bytes
        this.#chunks.shift()
      } else {
        batches.push(batch)
        bytes += batch.heldBytes
        position = batch.nextOffset
        chunk.bytes -= batch.size
        this.#bytes -= batch.size
      }
    }
    const taken = new FetchedBatch(this, batches, position, Math.max(this.#endOffset, position))
    this.position = position
    return taken
  }
}
