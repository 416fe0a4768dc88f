import { LoyaltyError } from '#streams/core/error.ts'
import type {
  GroupMembership,
  GroupOffsets,
  GroupOptions,
  Log,
  LogAdmin,
  LogBatch,
  LogReader,
  LogRecord,
  LogWriter,
  NewRecord,
  ReaderOptions,
  TransactionalWriter,
} from '#streams/log/log.ts'
import { type Appends, copyOf, MemoryBroker } from './memory-broker.ts'
import { MemoryGroup } from './memory-group.ts'

/** What a test may do to a transactional writer at its commit. */
export interface CommitHooks {
  /** Before anything became visible; a throw is what `commit` throws, and nothing does. */
  before?: (transactionalId: string) => void
  /** After everything became visible; throw `log_commit_unknown` here to lose the reply. */
  after?: (transactionalId: string) => void
}

/**
 * The log port in memory, for tests without an engine. `connect()` makes a further connection to the same records, as a
 * second process would; the object itself is the first one. It keeps what a test needs to look at or to break.
 */
export class MemoryLog implements Log {
  readonly broker: MemoryBroker
  readonly commitHooks: CommitHooks
  readonly #groups: Map<string, MemoryGroup>
  readonly #closers = new Set<() => Promise<void>>()
  readonly admin: LogAdmin

  constructor(options: { nowMs?: () => number } = {}, shared?: MemoryLog) {
    this.broker = shared?.broker ?? new MemoryBroker(options.nowMs ?? Date.now)
    this.commitHooks = shared?.commitHooks ?? {}
    this.#groups = shared === undefined ? new Map() : shared.#groups
    this.admin = adminOf(this.broker)
  }

  connect(): MemoryLog {
    return new MemoryLog({}, this)
  }

  /** Every committed record of a topic, or of one of its partitions, in offset order per partition. */
  records(topic: string, partition?: number): LogRecord[] {
    const { partitions } = this.broker.topics.get(topic) ?? { partitions: [] }
    return partition === undefined ? partitions.flatMap((each) => each.records) : (partitions[partition]?.records ?? [])
  }

  /** Drops older records per key, as compaction would; newest ones keep their offsets. */
  compact(topic: string): void {
    for (const partition of this.broker.topic(topic).partitions) {
      const newest = new Map(
        partition.records.map((record) => [record.key && Buffer.from(record.key).toString('hex'), record.offset]),
      )
      const kept = partition.records.filter(
        (record) => newest.get(record.key && Buffer.from(record.key).toString('hex')) === record.offset,
      )
      partition.records.splice(0, partition.records.length, ...kept)
    }
  }

  /** Drops records below an offset, as retention would. */
  deleteBefore(topic: string, partition: number, offset: number): void {
    const target = this.broker.partition(topic, partition)
    target.startOffset = Math.max(target.startOffset, offset)
    target.records.splice(0, target.records.length, ...target.records.filter((record) => record.offset >= offset))
  }

  /** The group's hooks: evict members, force a rebalance. */
  group(name: string, topic: string): MemoryGroup {
    const key = JSON.stringify([name, topic])
    let group = this.#groups.get(key)
    if (group === undefined) {
      group = new MemoryGroup(this.broker.topic(topic).partitions.length)
      this.#groups.set(key, group)
    }
    return group
  }

  reader(options: ReaderOptions = {}): LogReader {
    const reader = new MemoryReader(this.broker, options.maxBytesPerPartition ?? 4 * 1024 * 1024)
    this.#closers.add(() => reader.close())
    return reader
  }

  writer(): LogWriter {
    const { broker } = this
    return {
      async append(topic, partition, records) {
        return broker.append([{ topic, partition, records }], { transactional: false })[0]!
      },
      async appendMany(batches) {
        broker.append(batches, { transactional: false })
      },
      async close() {},
    }
  }

  transactionalWriter(transactionalId: string): TransactionalWriter {
    return new MemoryTransactionalWriter(this.broker, transactionalId, this.commitHooks)
  }

  async join(options: GroupOptions): Promise<GroupMembership> {
    this.broker.checkAvailable()
    const membership = this.group(options.group, options.topic).join(options)
    this.#closers.add(() => membership.leave())
    return membership
  }

  async close(): Promise<void> {
    const closers = [...this.#closers]
    this.#closers.clear()
    await Promise.all(closers.map((close) => close()))
  }
}

class MemoryReader implements LogReader {
  readonly #broker: MemoryBroker
  readonly #maxBytes: number
  readonly #positions = new Map<string, { topic: string; partition: number; offset: number; paused: boolean }>()
  #closed = false

  constructor(broker: MemoryBroker, maxBytes: number) {
    this.#broker = broker
    this.#maxBytes = maxBytes
  }

  seek(topic: string, partition: number, offset: number): void {
    const key = `${topic}/${partition}`
    this.#positions.set(key, { topic, partition, offset, paused: this.#positions.get(key)?.paused ?? false })
    this.#broker.wake()
  }

  unassign(topic: string, partition: number): void {
    this.#positions.delete(`${topic}/${partition}`)
  }

  pause(topic: string, partition: number): void {
    const position = this.#positions.get(`${topic}/${partition}`)
    if (position !== undefined) position.paused = true
  }

  resume(topic: string, partition: number): void {
    const position = this.#positions.get(`${topic}/${partition}`)
    if (position !== undefined) position.paused = false
    this.#broker.wake()
  }

  async poll(maxWaitMs: number): Promise<LogBatch[]> {
    const deadline = performance.now() + maxWaitMs
    for (;;) {
      if (this.#closed) throw new LoyaltyError('log_closed', 'this reader was closed')
      this.#broker.checkAvailable()
      const batches = this.#take()
      const waitMs = deadline - performance.now()
      if (batches.length > 0 || waitMs <= 0) return batches
      await this.#broker.nextAppend(waitMs)
    }
  }

  async close(): Promise<void> {
    this.#closed = true
    this.#broker.wake()
  }

  #take(): LogBatch[] {
    const batches: LogBatch[] = []
    for (const position of this.#positions.values()) {
      if (position.paused) continue
      const batch = this.#takeOf(position.topic, position.partition, position.offset)
      if (batch === null) continue
      position.offset = batch.nextOffset
      batches.push(batch)
    }
    return batches
  }

  #takeOf(topic: string, index: number, offset: number): LogBatch | null {
    const { records, startOffset, nextOffset: endOffset } = this.#broker.partition(topic, index)
    if (offset < startOffset || offset > endOffset)
      throw new LoyaltyError('log_offset_out_of_range', `${topic}[${index}] has no offset ${offset}`, {
        details: { topic, partition: index, offset, startOffset, endOffset },
      })
    if (offset === endOffset) return null
    const from = firstAtOrAfter(records, offset)
    let to = from
    for (let bytes = 0; to < records.length && (to === from || bytes < this.#maxBytes); to++)
      bytes += (records[to]!.key?.length ?? 0) + (records[to]!.value?.length ?? 0)
    const nextOffset = to === records.length ? endOffset : records[to]!.offset
    const taken = records.slice(from, to).map((record) => ({ ...record, ...copyOf(record) }))
    const bytes = taken.reduce((sum, { key, value }) => sum + (key?.length ?? 0) + (value?.length ?? 0), 0)
    const size = { count: taken.length, bytes }
    return { topic, partition: index, records: taken, ...size, fromOffset: offset, nextOffset, endOffset }
  }
}

class MemoryTransactionalWriter implements TransactionalWriter {
  readonly #broker: MemoryBroker
  readonly #id: string
  readonly #hooks: CommitHooks
  #epoch = 0
  #open: { topic: string; partition: number; records: readonly NewRecord[] }[] = []
  #closed = false

  constructor(broker: MemoryBroker, id: string, hooks: CommitHooks) {
    this.#broker = broker
    this.#id = id
    this.#hooks = hooks
  }

  async fence(): Promise<void> {
    this.#epoch = this.#broker.raiseEpoch(this.#id)
  }

  async append(topic: string, partition: number, records: readonly NewRecord[]): Promise<void> {
    await this.#guarded(() => {
      const batch = { topic, partition, records: records.map(copyOf) }
      this.#broker.check(batch)
      this.#open.push(batch)
    })
  }

  async commit(groupOffsets?: GroupOffsets): Promise<void> {
    await this.#guarded(() => {
      this.#hooks.before?.(this.#id)
      this.#check()
      const batches: Appends = this.#open
      this.#open = []
      this.#broker.append(batches, { transactional: true })
      if (groupOffsets !== undefined) this.#broker.setGroupOffsets(groupOffsets)
      this.#hooks.after?.(this.#id)
    })
  }

  async abort(): Promise<void> {
    const batches = this.#open
    this.#open = []
    if (batches.length > 0) this.#broker.spendAborted(batches)
  }

  async close(): Promise<void> {
    this.#closed = true
    this.#open = []
  }

  #check(): void {
    this.#broker.checkAvailable()
    if (this.#closed)
      throw new LoyaltyError('log_writer_closed', `the writer of ${this.#id} was closed; make a new one`)
    if (this.#epoch !== this.#broker.epoch(this.#id) || this.#epoch === 0)
      throw new LoyaltyError('log_fenced', `another writer took over ${this.#id}`, { details: { id: this.#id } })
  }

  /** After any error a writer is done for, as the port says. */
  async #guarded(run: () => void): Promise<void> {
    try {
      this.#check()
      run()
    } catch (error) {
      this.#closed = true
      throw error
    }
  }
}

function adminOf(broker: MemoryBroker): LogAdmin {
  return {
    async ensureTopics(specs) {
      for (const spec of specs) broker.ensureTopic(spec)
    },
    async partitions(topic) {
      broker.checkAvailable()
      return broker.topics.get(topic)?.partitions.length ?? null
    },
    async topics() {
      broker.checkAvailable()
      return [...broker.topics.keys()]
    },
    writtenEnds: async (topic) => broker.topic(topic).partitions.map((partition) => partition.nextOffset),
    endOffsets: async (topic) => broker.topic(topic).partitions.map((partition) => partition.nextOffset),
    startOffsets: async (topic) => broker.topic(topic).partitions.map((partition) => partition.startOffset),
    groupOffsets: async (group, topic) => new Map(broker.groupOffsets(group, topic)),
    setGroupOffsets: async (offsets) => broker.setGroupOffsets(offsets),
    async deleteTopics(topics) {
      for (const topic of topics) broker.topics.delete(topic)
    },
  }
}

function firstAtOrAfter(records: readonly LogRecord[], offset: number): number {
  let low = 0
  let high = records.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if (records[middle]!.offset < offset) low = middle + 1
    else high = middle
  }
  return low
}
