import { LoyaltyError } from '#streams/core/error.ts'
import type { GroupOffsets, LogRecord, NewRecord, TopicPartition, TopicSpec } from '#streams/log/log.ts'

export interface MemoryPartition {
  readonly records: LogRecord[]
  startOffset: number
  nextOffset: number
}

export interface MemoryTopic {
  readonly spec: TopicSpec
  readonly partitions: MemoryPartition[]
}

export type Appends = readonly (TopicPartition & { readonly records: readonly NewRecord[] })[]

const defaultMaxRecordBytes = 1024 * 1024

/**
 * What the connections of one memory log share: records, epochs of transactional ids, group offsets. Like a Kafka broker
 * it spends an offset on the mark that ends a transaction in a partition, and on aborted records, so offsets have gaps.
 */
export class MemoryBroker {
  readonly topics = new Map<string, MemoryTopic>()
  readonly #epochs = new Map<string, number>()
  readonly #groupOffsets = new Map<string, Map<number, number>>()
  readonly #waiting = new Set<() => void>()
  readonly #nowMs: () => number
  /** While true every poll, append, fence, commit and admin call fails with `log_unavailable`. */
  unavailable = false

  constructor(nowMs: () => number) {
    this.#nowMs = nowMs
  }

  topic(name: string): MemoryTopic {
    this.checkAvailable()
    const topic = this.topics.get(name)
    if (topic === undefined)
      throw new LoyaltyError('log_topic_missing', `topic ${name} does not exist`, { details: { topic: name } })
    return topic
  }

  partition(name: string, index: number): MemoryPartition {
    const partition = this.topic(name).partitions[index]
    if (partition === undefined)
      throw new LoyaltyError('log_topic_missing', `topic ${name} has no partition ${index}`, {
        details: { topic: name, partition: index },
      })
    return partition
  }

  ensureTopic(spec: TopicSpec): void {
    this.checkAvailable()
    const existing = this.topics.get(spec.topic)
    if (existing !== undefined && existing.partitions.length !== spec.partitions)
      throw new LoyaltyError(
        'log_topic_mismatch',
        `topic ${spec.topic} has ${existing.partitions.length} partitions, not ${spec.partitions}`,
        { details: { topic: spec.topic } },
      )
    if (existing === undefined)
      this.topics.set(spec.topic, {
        spec,
        partitions: Array.from({ length: spec.partitions }, () => ({ records: [], startOffset: 0, nextOffset: 0 })),
      })
  }

  /** Checks everything first, then makes all visible at once. Returns the first offset of each batch. */
  append(batches: Appends, options: { transactional: boolean }): number[] {
    for (const batch of batches) this.check(batch)
    const firsts = batches.map(({ topic, partition: index, records }) => {
      const partition = this.partition(topic, index)
      const first = partition.nextOffset
      const timestampMs = this.#nowMs()
      for (const record of records)
        partition.records.push({ offset: partition.nextOffset++, timestampMs, ...copyOf(record) })
      return first
    })
    if (options.transactional) this.#mark(batches)
    this.wake()
    return firsts
  }

  /** Spends the offsets that records of an aborted transaction and its mark take. */
  spendAborted(batches: Appends): void {
    for (const { topic, partition, records } of batches) this.partition(topic, partition).nextOffset += records.length
    this.#mark(batches)
    this.wake()
  }

  check({ topic, partition, records }: Appends[number]): void {
    this.partition(topic, partition)
    const limit = this.topic(topic).spec.maxRecordBytes ?? defaultMaxRecordBytes
    for (const record of records)
      if ((record.key?.length ?? 0) + (record.value?.length ?? 0) > limit)
        throw new LoyaltyError('log_record_too_large', `a record for ${topic} is larger than ${limit} bytes`, {
          details: { topic, partition },
        })
  }

  /** Raises the epoch of a transactional id and returns it: writers with a lower one are fenced. */
  raiseEpoch(transactionalId: string): number {
    this.checkAvailable()
    const epoch = (this.#epochs.get(transactionalId) ?? 0) + 1
    this.#epochs.set(transactionalId, epoch)
    return epoch
  }

  epoch(transactionalId: string): number {
    return this.#epochs.get(transactionalId) ?? 0
  }

  groupOffsets(group: string, topic: string): Map<number, number> {
    const key = JSON.stringify([group, topic])
    let offsets = this.#groupOffsets.get(key)
    if (offsets === undefined) {
      offsets = new Map()
      this.#groupOffsets.set(key, offsets)
    }
    return offsets
  }

  setGroupOffsets({ group, topic, offsets }: GroupOffsets): void {
    const stored = this.groupOffsets(group, topic)
    for (const [partition, offset] of offsets) stored.set(partition, offset)
  }

  checkAvailable(): void {
    if (this.unavailable)
      throw new LoyaltyError('log_unavailable', 'the memory log is switched off', { retriable: true })
  }

  /** Resolves at the next append, or after `ms`. */
  nextAppend(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const done = () => {
        clearTimeout(timer)
        this.#waiting.delete(done)
        resolve()
      }
      const timer = setTimeout(done, ms)
      this.#waiting.add(done)
    })
  }

  wake(): void {
    for (const done of [...this.#waiting]) done()
  }

  #mark(batches: Appends): void {
    const touched = new Set(batches.map(({ topic, partition }) => this.partition(topic, partition)))
    for (const partition of touched) partition.nextOffset += 1
  }
}

/** Copies, as a network would: a caller may reuse its buffers at once. */
export function copyOf<R extends Pick<NewRecord, 'key' | 'value' | 'headers'>>(record: R) {
  return {
    key: record.key && Buffer.from(record.key),
    value: record.value && Buffer.from(record.value),
    headers: Object.fromEntries(
      Object.entries(record.headers ?? {}).map(([name, bytes]) => [name, Buffer.from(bytes)]),
    ),
  }
}
