/**
 * The log port: what the product needs of a durable, partitioned, transactional log. Two adapters implement it (kafka/,
 * postgres/) and pass one contract suite. No type of a driver leaks through it.
 *
 * Offsets are integers below 2^53. They grow, but are not dense: an adapter may use some for its own marks.
 */

export type Bytes = Uint8Array

/** One record as read. `value` null is a tombstone. Bytes belong to the fetch buffer: copy what outlives the batch. */
export interface LogRecord {
  readonly offset: number
  /** Time of arrival in the log, epoch milliseconds. */
  readonly timestampMs: number
  readonly key: Bytes | null
  readonly value: Bytes | null
  readonly headers: Readonly<Record<string, Bytes>>
}

/** One record to append. The caller chooses the partition (see core/partitioner.ts); an adapter never does. */
export interface NewRecord {
  readonly key: Bytes | null
  readonly value: Bytes | null
  readonly headers?: Readonly<Record<string, Bytes>>
}

export interface TopicPartition {
  readonly topic: string
  readonly partition: number
}

/** Committed records of one partition, in offset order. */
export interface LogBatch extends TopicPartition {
  /** An adapter may decode them at each access, so that what waits to be worked on waits as bytes: ask once. */
  readonly records: readonly LogRecord[]
  /** How many records there are, at most, and what they take: known without decoding. */
  readonly count: number
  readonly bytes: number
  /** Where reading was; the `nextOffset` of the batch before, or what was sought. */
  readonly fromOffset: number
  /** Where reading goes on; advances past aborted records and marks even when `records` is empty. */
  readonly nextOffset: number
  /** End of what is committed at the time of the fetch (last stable offset): the first offset not yet readable. */
  readonly endOffset: number
}

export interface TopicSpec {
  readonly topic: string
  readonly partitions: number
  /** Newest record per key is kept for ever; older ones may go, below the slowest known reader. */
  readonly compacted: boolean
  /** Milliseconds after which records may go; absent: never. */
  readonly retentionMs?: number
  /** Largest record in bytes; absent: 1 MiB. */
  readonly maxRecordBytes?: number
}

/** Reads chosen partitions from chosen offsets, committed records only. It belongs to no group and commits nothing. */
export interface LogReader {
  /** Starts reading a partition at `offset`, or moves its position there. Takes effect for the next poll. */
  seek(topic: string, partition: number, offset: number): void
  /** Stops reading a partition and drops what was fetched of it. */
  unassign(topic: string, partition: number): void
  /** A paused partition keeps its position and is left out of polls. */
  pause(topic: string, partition: number): void
  resume(topic: string, partition: number): void
  /**
   * Waits at most `maxWaitMs` for records of the unpaused partitions; returns at once when there are some. At most one
   * batch a partition. Never returns a batch of a partition that was moved, paused or dropped meanwhile.
   *
   * Errors: `log_offset_out_of_range` (details: topic, partition, offset, startOffset, endOffset), `log_topic_missing`,
   * `log_unavailable` (retriable; positions are kept), `log_closed`: the reader was closed, or its log, before or while it
   * waited. No later poll will be better: whoever reads for ever ends.
   */
  poll(maxWaitMs: number): Promise<LogBatch[]>
  /** A poll that waits is rejected at once (`log_closed`): whoever closes has said before that the end is wanted. */
  close(): Promise<void>
}

export interface ReaderOptions {
  /** Bytes fetched per partition and poll; default 4 MiB. */
  readonly maxBytesPerPartition?: number
  /**
   * Milliseconds that records may wait in the log for others, where it can keep them back; default 0. For readers that
   * work in large batches: whoever is told of every record asks for every record.
   */
  readonly gatherMs?: number
}

/** Appends outside transactions, durably and in order, at most once per call even when the adapter retries. */
export interface LogWriter {
  /**
   * Resolves when all records are durable. Returns the offset of the first record.
   *
   * Errors: `log_record_too_large`, `log_topic_missing`, `log_unavailable` (retriable: some records may have been written).
   */
  append(topic: string, partition: number, records: readonly NewRecord[]): Promise<number>
  /** As `append`, for several partitions in one round trip where the adapter can. */
  appendMany(batches: readonly (TopicPartition & { readonly records: readonly NewRecord[] })[]): Promise<void>
  close(): Promise<void>
}

export interface GroupOffsets {
  readonly group: string
  readonly topic: string
  /** Partition → next offset to read. */
  readonly offsets: ReadonlyMap<number, number>
}

/**
 * A writer whose appends to several topics, together with group offsets, become visible at once or never. A writer is
 * good for one series of transactions: after any error of `append` or `commit` it is closed and a new one is made.
 */
export interface TransactionalWriter {
  /**
   * Makes this the only writer with its transactional id: an older one can no longer commit, and its open transaction is
   * decided before this resolves. Called once, before anything else.
   */
  fence(): Promise<void>
  /** Adds records to the open transaction, beginning one where there is none. Returns when they are sent. */
  append(topic: string, partition: number, records: readonly NewRecord[]): Promise<void>
  /**
   * Commits the open transaction with `groupOffsets` in it.
   *
   * Errors: `log_fenced` (another writer with this id took over; nothing became visible), `log_commit_unknown` (the
   * outcome is not known: fence again and read), `log_unavailable` (retriable; surely not committed).
   */
  commit(groupOffsets?: GroupOffsets): Promise<void>
  /** Drops the open transaction; does nothing where none is open. */
  abort(): Promise<void>
  /** Closes without settling an open transaction: the next `fence` with this id does. */
  close(): Promise<void>
}

export interface Assignment {
  /** Grows with every change of the group; a member of an older generation has lost everything. */
  readonly generation: number
  readonly partitions: readonly number[]
}

/** Shares the partitions of one topic among the members of a group. Reading is the LogReader's business, not this one's. */
export interface GroupMembership {
  /** True while the group still counts this member in its last assignment; asks the log, does not guess. */
  stillMember(): Promise<boolean>
  /** Leaves at once, so that others need not wait for the session to end. */
  leave(): Promise<void>
}

export interface GroupOptions {
  readonly group: string
  readonly topic: string
  /** Called with everything this member now owns, also when nothing changed; before it, `onRevoked` was awaited. */
  readonly onAssigned: (assignment: Assignment) => void
  /** The assignment is being changed or was lost: nothing may be started under it until `onAssigned`. */
  readonly onRevoked: () => void
  /** Default 10,000 ms: a killed member's partitions are reassigned after that. */
  readonly sessionTimeoutMs?: number
}

export interface LogAdmin {
  /** Creates missing topics; an existing topic with another number of partitions is `log_topic_mismatch`. */
  ensureTopics(specs: readonly TopicSpec[]): Promise<void>
  /** Number of partitions, or null where the topic does not exist. */
  partitions(topic: string): Promise<number | null>
  topics(): Promise<string[]>
  /** Per partition: the end of what is committed (never counts open or aborted transactions as pending records). */
  endOffsets(topic: string): Promise<number[]>
  /**
   * Per partition: the end of what is written, also by transactions that are open or whose end is not yet known there. What
   * was committed by now can be read once `endOffsets` has reached these.
   */
  writtenEnds(topic: string): Promise<number[]>
  startOffsets(topic: string): Promise<number[]>
  /** Partition → committed next offset of a group; missing where none is stored. */
  groupOffsets(group: string, topic: string): Promise<Map<number, number>>
  /** Repairs group offsets outside a transaction; the group must be empty or the caller own the partitions. */
  setGroupOffsets(offsets: GroupOffsets): Promise<void>
  deleteTopics(topics: readonly string[]): Promise<void>
}

/** A connection to one log. */
export interface Log {
  readonly admin: LogAdmin
  reader(options?: ReaderOptions): LogReader
  writer(): LogWriter
  transactionalWriter(transactionalId: string): TransactionalWriter
  join(options: GroupOptions): Promise<GroupMembership>
  /** Ends every connection made through this object. */
  close(): Promise<void>
}
