import { LoyaltyError, messageOf } from '../../core/error.ts'
import type { NewRecord } from '../log.ts'
import { ByteWriter } from './byte-writer.ts'
import { delay, type KafkaClient } from './client.ts'
import { topicMissing, unavailable } from './errors.ts'
import { type BatchToSend, type Produced, produceRequest } from './produce-request.ts'
import { type BatchProducer, batchHeaderBytes, recordSize } from './record-batch.ts'

/**
 * Largest batch: below `max.message.bytes`, whose default is 1,048,588. A record that is larger by itself is sent alone
 * and meets the limit of its topic.
 */
const batchBytes = 1_000_000
const requestBytes = 16 * 1024 * 1024

/** What a caller wants appended, and how far that has come. */
interface Entry {
  readonly records: readonly NewRecord[]
  sent: number
  firstOffset: number
  readonly enqueuedAt: number
  readonly resolve: (firstOffset: number) => void
  readonly reject: (error: unknown) => void
}

interface Batch extends BatchToSend {
  /** Records of each entry in the batch, in order. */
  readonly shares: readonly { readonly entry: Entry; readonly count: number }[]
  readonly bytes: number
  readonly lane: Lane
}

/** One partition: its entries in the order they came, and the batch that is under way, kept as it is until answered. */
interface Lane {
  readonly topic: string
  readonly partition: number
  entries: Entry[]
  batch: Batch | null
  sequence: number
}

export interface ProduceQueueOptions {
  readonly transactionalId: string | null
  /** The producer's identity; called before each round. */
  readonly identify: () => Promise<BatchProducer>
  /** Called before batches for partitions are sent. */
  readonly beforeSend?: (batches: readonly BatchToSend[]) => Promise<void>
  /** Whether a batch whose fate is unknown is sent again (the broker drops what it has). */
  readonly resendUnknown: boolean
  /** Milliseconds after which an append that does not succeed is given up. */
  readonly giveUpAfterMs: number
  /** The order of sequence numbers is lost: a new identity is needed. */
  readonly onLost: (error: LoyaltyError) => void
}

/**
 * Sends what is appended, one request per broker at a time; what is appended meanwhile travels in the next one. So calls
 * made together share a round trip, and the order per partition is that of the calls.
 */
export class ProduceQueue {
  readonly #client: KafkaClient
  readonly #options: ProduceQueueOptions
  readonly #lanes = new Map<string, Lane>()
  readonly #buffers = new Map<number, ByteWriter>()
  #running: Promise<void> | null = null

  constructor(client: KafkaClient, options: ProduceQueueOptions) {
    this.#client = client
    this.#options = options
  }

  /** Resolves with the offset of the first record when all are acknowledged. */
  append(topic: string, partition: number, records: readonly NewRecord[]): Promise<number> {
    const key = `${topic}/${partition}`
    let lane = this.#lanes.get(key)
    if (lane === undefined) {
      lane = { topic, partition, entries: [], batch: null, sequence: 0 }
      this.#lanes.set(key, lane)
    }
    const { entries } = lane
    const appended = new Promise<number>((resolve, reject) => {
      entries.push({ records, sent: 0, firstOffset: -1, enqueuedAt: performance.now(), resolve, reject })
    })
    // Not in this turn: appends made together travel together.
    this.#running ??= Promise.resolve().then(() => this.#run())
    return appended
  }

  /** Resolves when nothing is left to send. */
  async idle(): Promise<void> {
    while (this.#running !== null) await this.#running
  }

  /** Refuses everything that waits. */
  rejectAll(error: LoyaltyError): void {
    for (const lane of this.#lanes.values()) {
      for (const entry of lane.entries) entry.reject(error)
      lane.entries = []
      lane.batch = null
      lane.sequence = 0
    }
  }

  async #run(): Promise<void> {
    let waitMs = 10
    try {
      for (;;) {
        const batches = this.#collect()
        if (batches.length === 0) return
        const clean = await this.#round(batches)
        waitMs = clean ? 10 : Math.min(waitMs * 2, 200)
        if (!clean) await delay(waitMs)
      }
    } catch (error) {
      // A record that cannot be encoded; whose it is nobody can tell here.
      const refused = new LoyaltyError('log_invalid', `a record cannot be encoded: ${messageOf(error)}`, {
        cause: error,
      })
      this.#options.onLost(refused)
      this.rejectAll(refused)
    } finally {
      this.#running = null
    }
  }

  #collect(): Batch[] {
    const batches: Batch[] = []
    let bytes = 0
    for (const lane of this.#lanes.values()) {
      if (lane.entries.length === 0 || bytes >= requestBytes) continue
      lane.batch ??= fill(lane)
      batches.push(lane.batch)
      bytes += lane.batch.bytes
    }
    return batches
  }

  /** True when everything was accepted. */
  async #round(batches: readonly Batch[]): Promise<boolean> {
    let byLeader: Map<number, Batch[]>
    let producer: BatchProducer
    try {
      producer = await this.#options.identify()
      byLeader = await this.#byLeader(batches)
      await this.#options.beforeSend?.(batches)
    } catch (error) {
      // Nothing was sent.
      if (error instanceof LoyaltyError && !error.retriable) this.#give(batches, error, false)
      else this.#again(batches, error, false)
      return false
    }
    const answers = await Promise.all([...byLeader].map(([leader, ofLeader]) => this.#send(leader, producer, ofLeader)))
    return answers.every((clean) => clean)
  }

  async #byLeader(batches: readonly Batch[]): Promise<Map<number, Batch[]>> {
    const byLeader = new Map<number, Batch[]>()
    for (const batch of batches) {
      const leader = (await this.#client.leaders(batch.topic))[batch.partition]
      if (leader === undefined) throw topicMissing(`${batch.topic}[${batch.partition}]`)
      const others = byLeader.get(leader)
      if (others === undefined) byLeader.set(leader, [batch])
      else others.push(batch)
    }
    return byLeader
  }

  async #send(leader: number, producer: BatchProducer, batches: readonly Batch[]): Promise<boolean> {
    const out = this.#buffers.get(leader) ?? new ByteWriter()
    this.#buffers.set(leader, out)
    let sent = false
    try {
      const broker = await this.#client.broker(leader)
      sent = true
      const request = produceRequest(out, this.#options.transactionalId, producer, batches)
      const produced = await this.#client.send(broker, request)
      return produced.map((answer) => this.#answered(batches, answer)).every((clean) => clean)
    } catch (error) {
      for (const { topic } of batches) this.#client.forgetLeaders(topic)
      this.#again(batches, error, sent)
      return false
    }
  }

  #answered(batches: readonly Batch[], answer: Produced): boolean {
    const batch = batches.find((sent) => sent.topic === answer.topic && sent.partition === answer.partition)
    if (batch === undefined) return true
    const { errorCode, topic, partition } = answer
    if (errorCode === 0 || errorCode === codes.duplicateSequence) {
      accept(batch, answer.baseOffset)
      return true
    }
    const what = `append to ${topic}[${partition}]`
    if (codes.retriable.has(errorCode)) {
      this.#client.forgetLeaders(topic)
      this.#again([batch], new Error(`error ${errorCode}`), false)
      return false
    }
    if (errorCode === codes.tooLarge || errorCode === codes.recordListTooLarge) {
      const message = `a record for ${topic} is larger than the topic takes; make it smaller or raise max.message.bytes`
      this.#give([batch], new LoyaltyError('log_record_too_large', message, { details: { topic, partition } }), false)
    } else if (codes.fenced.has(errorCode)) {
      this.#give([batch], fencedError(what, errorCode), true)
    } else {
      this.#give([batch], unavailable(what, new Error(`error ${errorCode}`)), true)
    }
    return false
  }

  /** Leaves the batches to be sent again, or gives up those that have waited too long. */
  #again(batches: readonly Batch[], cause: unknown, maybeWritten: boolean): void {
    const { giveUpAfterMs, resendUnknown } = this.#options
    for (const batch of batches) {
      const { topic, partition, shares } = batch
      const waitedMs = performance.now() - shares[0]!.entry.enqueuedAt
      const resend = (resendUnknown || !maybeWritten) && waitedMs < giveUpAfterMs && !this.#client.closed
      if (resend) continue
      const error = cause instanceof LoyaltyError ? cause : unavailable(`append to ${topic}[${partition}]`, cause)
      this.#give([batch], error, true)
    }
  }

  /** Refuses the callers of these batches. With `lost` the broker's idea of the next sequence number is unknown. */
  #give(batches: readonly Batch[], error: LoyaltyError, lost: boolean): void {
    for (const { lane, shares } of batches) {
      for (const { entry } of shares) entry.reject(error)
      const refused = new Set(shares.map(({ entry }) => entry))
      lane.entries = lane.entries.filter((entry) => !refused.has(entry))
      lane.batch = null
    }
    if (lost || this.#options.transactionalId !== null) this.#options.onLost(error)
  }
}

/** Error codes of a produce answer, https://kafka.apache.org/protocol#protocol_error_codes */
const codes = {
  tooLarge: 10,
  recordListTooLarge: 18,
  duplicateSequence: 46,
  retriable: new Set([3, 5, 6, 7, 9, 19, 20, 51, 56, 74, 75, 78]),
  fenced: new Set([47, 49, 90]),
}

function fencedError(what: string, errorCode: number): LoyaltyError {
  const message = `could not ${what}: another writer with this transactional id took over; close this one`
  return new LoyaltyError('log_fenced', message, { details: { errorCode } })
}

/** The next batch of a lane: records of its entries in order, as many as fit. */
function fill(lane: Lane): Batch {
  const shares: { entry: Entry; count: number }[] = []
  let bytes = batchHeaderBytes
  let total = 0
  fitting: for (const entry of lane.entries) {
    let count = 0
    for (let i = entry.sent; i < entry.records.length; i++) {
      const size = recordSize(entry.records[i]!, total + count)
      if (bytes + size > batchBytes && total + count > 0) {
        if (count > 0) shares.push({ entry, count })
        break fitting
      }
      bytes += size
      count++
    }
    shares.push({ entry, count })
    total += count
  }
  const { topic, partition, sequence } = lane
  const only = shares.length === 1 ? shares[0]! : null
  const { records, from, to } =
    only !== null
      ? { records: only.entry.records, from: only.entry.sent, to: only.entry.sent + only.count }
      : joined(shares)
  return { topic, partition, records, from, to, sequence, shares, bytes, lane }
}

function joined(shares: readonly { entry: Entry; count: number }[]) {
  const records = shares.flatMap(({ entry, count }) => entry.records.slice(entry.sent, entry.sent + count))
  return { records, from: 0, to: records.length }
}

function accept(batch: Batch, baseOffset: number): void {
  const { lane } = batch
  // Given up meanwhile, because the identity under which it was sent was lost.
  if (lane.batch !== batch) return
  let offset = baseOffset
  for (const { entry, count } of batch.shares) {
    if (entry.firstOffset < 0) entry.firstOffset = offset
    offset += count
    entry.sent += count
    if (entry.sent === entry.records.length) entry.resolve(entry.firstOffset)
  }
  lane.entries = lane.entries.filter((entry) => entry.sent < entry.records.length)
  lane.batch = null
  // Sequence numbers go round after 2^31 - 1.
  lane.sequence = (lane.sequence + (batch.to - batch.from)) % 0x8000_0000
}
