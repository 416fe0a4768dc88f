import type { Broker } from 'kafkajs/src/cluster/index.js'
import { hasCode, LoyaltyError, messageOf } from '../../core/error.ts'
import type { LogBatch, LogReader, ReaderOptions } from '../log.ts'
import { delay, type KafkaClient } from './client.ts'
import { topicMissing, unavailable } from './errors.ts'
import { type FetchedPartition, fetchRequest } from './fetch-request.ts'
import { listOffsets } from './offsets.ts'
import { PartitionCursor } from './partition-cursor.ts'

/** How long the broker holds a fetch that finds nothing; broken off when another partition is to be read meanwhile. */
const idleWaitMs = 500
/** The same while some partition is left out because enough of it lies here unread. */
const busyWaitMs = 5
/** So much is worth an answer also to a reader that likes to wait. */
const gatheredBytes = 1024 * 1024
const maxResponseBytes = 16 * 1024 * 1024
/** A topic unknown to the broker for so long is missing; before, the news of it may be under way. */
const missingAfterMs = 1_500

/** Trouble that lasts for so long is reported; before, it mostly is a leader that moves or a broker that restarts. */
const reportAfterMs = 2_000

const errorOffsetOutOfRange = 1

/** A fetch that the broker has not answered yet. `at` holds the partitions asked for with their state at that time. */
interface Fetch {
  readonly asked: ReadonlySet<PartitionCursor>
  readonly waitMs: number
  broker: Broker | null
}

/**
 * Reads partitions by fetch requests of its own, without a group. One fetch is under way per broker; what comes in is kept
 * undecoded until it is polled, up to `maxBytesPerPartition` ahead, so that the next fetch runs while a batch is worked on.
 */
export class KafkaReader implements LogReader {
  readonly #client: KafkaClient
  readonly #maxBytes: number
  readonly #gatherMs: number
  readonly #partitions = new Map<string, PartitionCursor>()
  readonly #fetches = new Map<number, Fetch>()
  /** Nodes not to be asked before their timer has gone off. */
  readonly #backOff = new Map<number, NodeJS.Timeout>()
  #resolving = false
  readonly #missingSince = new Map<string, number>()
  /** The trouble that there has been since `since` without a good answer. */
  #trouble: { readonly since: number; cause: unknown } | null = null
  #failures = 0
  /** Answers in a row in which the broker refused some partition. */
  #refusals = 0
  #rotation = 0
  #wake: (() => void) | null = null
  #closed = false

  constructor(client: KafkaClient, options: ReaderOptions = {}) {
    this.#client = client
    this.#maxBytes = options.maxBytesPerPartition ?? 4 * 1024 * 1024
    this.#gatherMs = options.gatherMs ?? 0
  }

  seek(topic: string, partition: number, offset: number): void {
    // A new object, so that an answer to an earlier fetch finds nobody at home.
    const known = this.#partitions.get(keyOf(topic, partition))
    const moved = new PartitionCursor(topic, partition, offset)
    moved.paused = known?.paused ?? false
    moved.leader = known?.leader ?? null
    this.#partitions.set(keyOf(topic, partition), moved)
    this.#pump()
  }

  unassign(topic: string, partition: number): void {
    this.#partitions.delete(keyOf(topic, partition))
  }

  pause(topic: string, partition: number): void {
    const found = this.#partitions.get(keyOf(topic, partition))
    if (found !== undefined) found.paused = true
  }

  resume(topic: string, partition: number): void {
    const found = this.#partitions.get(keyOf(topic, partition))
    if (found === undefined || !found.paused) return
    found.paused = false
    this.#pump()
    this.#wake?.()
  }

  async poll(maxWaitMs: number): Promise<LogBatch[]> {
    const deadline = performance.now() + maxWaitMs
    for (;;) {
      if (this.#closed) throw new LoyaltyError('log_closed', 'this reader was closed')
      const batches = this.#take()
      if (batches.length > 0) {
        this.#pump()
        return batches
      }
      const leftMs = deadline - performance.now()
      if (leftMs <= 0) {
        if (this.#trouble === null || performance.now() - this.#trouble.since < reportAfterMs) return []
        throw unavailable('be read', this.#trouble.cause)
      }
      await this.#news(leftMs)
    }
  }

  async close(): Promise<void> {
    this.#closed = true
    for (const timer of this.#backOff.values()) clearTimeout(timer)
    this.#partitions.clear()
    this.#wake?.()
    await this.#client.close()
  }

  #news(timeoutMs: number): Promise<void> {
    return new Promise((resolve) => {
      const done = () => {
        clearTimeout(timer)
        this.#wake = null
        resolve()
      }
      const timer = setTimeout(done, timeoutMs)
      this.#wake = done
    })
  }

  #take(): LogBatch[] {
    const batches: LogBatch[] = []
    for (const partition of this.#partitions.values()) {
      if (partition.paused) continue
      if (partition.failure !== null) throw partition.failure
      if (partition.bytes > 0) batches.push(this.#decode(partition))
    }
    return batches
  }

  #decode(partition: PartitionCursor): LogBatch {
    try {
      return partition.take()
    } catch (error) {
      // Damaged on the way or on disk: what follows is fetched again from the last good place.
      this.seek(partition.topic, partition.partition, partition.position)
      throw error
    }
  }

  /** Starts whatever can be started now: looking up leaders, a fetch per idle broker. Nothing runs when all is idle. */
  #pump(): void {
    if (this.#closed) return
    const wanted = new Map<number, PartitionCursor[]>()
    const full = new Set<number>()
    let unresolved = false
    for (const partition of this.#partitions.values()) {
      if (partition.paused || partition.failure !== null) continue
      if (partition.leader === null) unresolved = true
      else if (partition.bytes >= this.#maxBytes) full.add(partition.leader)
      else wanted.set(partition.leader, [...(wanted.get(partition.leader) ?? []), partition])
    }
    if (unresolved && !this.#resolving) void this.#resolveLeaders()
    for (const [node, partitions] of wanted) {
      const running = this.#fetches.get(node)
      if (running === undefined) {
        if (!this.#backOff.has(node)) void this.#fetch(node, partitions, full.has(node) ? busyWaitMs : this.#idleWaitMs)
      } else if (
        running.broker !== null &&
        running.waitMs > busyWaitMs &&
        partitions.some((p) => !running.asked.has(p))
      ) {
        this.#client.interruptFetch(running.broker)
      }
    }
  }

  async #fetch(node: number, partitions: readonly PartitionCursor[], waitMs: number): Promise<void> {
    const fetch: Fetch = { asked: new Set(partitions), waitMs, broker: null }
    this.#fetches.set(node, fetch)
    try {
      const broker = await this.#client.broker(node)
      fetch.broker = broker
      const fetched = await this.#client.send(broker, this.#request(partitions, waitMs))
      this.#fetches.delete(node)
      this.#failures = 0
      const refused = fetched.filter((answer) => {
        const partition = this.#partitions.get(keyOf(answer.topic, answer.partition))
        return partition !== undefined && fetch.asked.has(partition) && !this.#accept(partition, answer)
      })
      this.#refusals = refused.length === 0 ? 0 : this.#refusals + 1
      if (refused.length === 0) this.#trouble = null
    } catch (error) {
      this.#fetches.delete(node)
      if (messageOf(error).includes('fetch interrupted')) return void setImmediate(() => this.#pump())
      this.#failed(node, error)
    }
    this.#wake?.()
    // The poll that waits takes what came before the next fetch is put together.
    setImmediate(() => this.#pump())
  }

  get #idleWaitMs(): number {
    return this.#gatherMs > 0 ? Math.min(this.#gatherMs, idleWaitMs) : idleWaitMs
  }

  #request(partitions: readonly PartitionCursor[], waitMs: number) {
    // Another one is first each time: the broker sends a batch that is larger than the limit only from the first.
    const turn = this.#rotation++ % partitions.length
    const targets = [...partitions.slice(turn), ...partitions.slice(0, turn)].map(
      ({ topic, partition, fetchPosition }) => ({ topic, partition, offset: fetchPosition }),
    )
    const minBytes = this.#gatherMs > 0 ? gatheredBytes : 1
    const limits = { maxWaitMs: waitMs, minBytes, maxBytes: maxResponseBytes, maxBytesPerPartition: this.#maxBytes }
    return fetchRequest(targets, limits)
  }

  /** Takes an answer in; false where the broker refused the partition. */
  #accept(partition: PartitionCursor, answer: FetchedPartition): boolean {
    if (answer.errorCode === errorOffsetOutOfRange) {
      void this.#outOfRange(partition)
      return true
    }
    if (answer.errorCode !== 0) {
      // Mostly the leader has moved. Whatever else it is, asking for metadata again does no harm.
      partition.leader = null
      this.#client.forgetLeaders(partition.topic)
      const place = `${partition.topic}[${partition.partition}]`
      this.#troubled(new Error(`fetch of ${place} answered error ${answer.errorCode}`))
      return false
    }
    partition.add(answer)
    return true
  }

  #troubled(cause: unknown): void {
    if (this.#trouble === null) this.#trouble = { since: performance.now(), cause }
    else this.#trouble.cause = cause
  }

  async #outOfRange(partition: PartitionCursor): Promise<void> {
    const { topic, position: offset } = partition
    const details = { topic, partition: partition.partition, offset }
    const fail = (range: object, text: string) => {
      const place = `${topic}[${partition.partition}]`
      const message = `offset ${offset} of ${place} is not in the log${text}; seek to an offset that is`
      partition.failure = new LoyaltyError('log_offset_out_of_range', message, { details: { ...details, ...range } })
      this.#wake?.()
    }
    try {
      const [startOffset, endOffset] = await Promise.all([
        listOffsets(this.#client, topic, 'start').then((offsets) => offsets[partition.partition] ?? 0),
        listOffsets(this.#client, topic, 'end').then((offsets) => offsets[partition.partition] ?? 0),
      ])
      fail({ startOffset, endOffset }, ` (${startOffset} to ${endOffset})`)
    } catch (error) {
      this.#troubled(error)
      if (!this.#closed) setTimeout(() => this.#pump(), 100).unref()
    }
  }

  async #resolveLeaders(): Promise<void> {
    this.#resolving = true
    if (this.#refusals > 0) await delay(Math.min(500, 5 * 2 ** this.#refusals))
    const topics = new Set([...this.#partitions.values()].filter((p) => p.leader === null).map((p) => p.topic))
    for (const topic of topics) {
      try {
        const leaders = await this.#client.leaders(topic)
        this.#missingSince.delete(topic)
        for (const partition of this.#partitions.values()) {
          if (partition.topic !== topic) continue
          const leader = leaders[partition.partition]
          if (leader === undefined) partition.failure = topicMissing(`${topic}[${partition.partition}]`)
          else if (leader >= 0) partition.leader = leader
        }
      } catch (error) {
        if (this.#closed) break
        this.#troubled(error)
        if (!hasCode(error, 'log_topic_missing')) continue
        const since = this.#missingSince.get(topic) ?? performance.now()
        this.#missingSince.set(topic, since)
        if (performance.now() - since < missingAfterMs) continue
        this.#missingSince.delete(topic)
        for (const partition of this.#partitions.values()) if (partition.topic === topic) partition.failure = error
      }
    }
    const unresolved = [...this.#partitions.values()].some((p) => p.leader === null && p.failure === null)
    if (unresolved) await delay(this.#nextBackOffMs())
    this.#resolving = false
    this.#wake?.()
    this.#pump()
  }

  #failed(node: number, error: unknown): void {
    if (this.#closed) return
    this.#troubled(error)
    for (const partition of this.#partitions.values()) {
      if (partition.leader !== node) continue
      partition.leader = null
      this.#client.forgetLeaders(partition.topic)
    }
    const timer = setTimeout(() => {
      this.#backOff.delete(node)
      this.#pump()
    }, this.#nextBackOffMs())
    this.#backOff.set(node, timer)
  }

  #nextBackOffMs(): number {
    return Math.min(500, 20 * 2 ** Math.min(this.#failures++, 6))
  }
}

function keyOf(topic: string, partition: number): string {
  return `${topic}/${partition}`
}
