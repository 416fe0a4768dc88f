import type { LoyaltyError } from '../../core/error.ts'
import type { LogBatch, LogRecord } from '../log.ts'
import type { FetchedPartition } from './fetch-request.ts'
import { type AbortedTransaction, completeBatches, decodeBatches } from './record-batch.ts'

/** The answer to one fetch, not yet given out. */
interface Chunk {
  readonly bytes: Buffer
  readonly aborted: readonly AbortedTransaction[]
  readonly nextOffset: number
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
    this.#chunks.push({ bytes: answer.bytes.subarray(0, length), aborted: answer.aborted, nextOffset })
    this.#bytes += length
    this.fetchPosition = nextOffset
  }

  /** Decodes what waits, answer by answer, until `maxBytes` are reached; at least one. Errors: those of decodeBatches. */
  take(maxBytes: number): LogBatch {
    const records: LogRecord[] = []
    let position = this.position
    let bytes = 0
    let taken = 0
    while (taken < this.#chunks.length && (taken === 0 || bytes < maxBytes)) {
      const chunk = this.#chunks[taken++]!
      decodeBatches(chunk.bytes, position, chunk.aborted, records)
      bytes += chunk.bytes.length
      position = chunk.nextOffset
    }
    this.#chunks.splice(0, taken)
    this.#bytes -= bytes
    this.position = position
    const endOffset = Math.max(this.#endOffset, position)
    return { topic: this.topic, partition: this.partition, records, nextOffset: position, endOffset }
  }
}
