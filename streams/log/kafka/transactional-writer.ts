import type { Broker } from 'kafkajs/src/cluster/index.js'
import { LoyaltyError } from '../../core/error.ts'
import type { GroupOffsets, NewRecord, TransactionalWriter } from '../log.ts'
import type { KafkaClient } from './client.ts'
import { isFenced, isRefusedForNow, unavailable } from './errors.ts'
import { ProduceQueue } from './produce-queue.ts'
import type { BatchToSend } from './produce-request.ts'
import type { BatchProducer } from './record-batch.ts'

/** How long a coordinator that is away, or ends an older transaction, is asked again. */
const patienceMs = 30_000

/**
 * One producer with a transactional id. Kafka's transactions by hand rather than by kafkajs's producer, which retries
 * neither AddOffsetsToTxn nor EndTxn, looks the coordinator up before each and stays in "committing" for ever after a
 * failure. Any error ends the writer's use: a late EndTxn could otherwise settle the transaction after it.
 */
export class KafkaTransactionalWriter implements TransactionalWriter {
  readonly #client: KafkaClient
  readonly #id: string
  readonly #timeoutMs: number
  readonly #queue: ProduceQueue
  #producer: BatchProducer | null = null
  /** Topic/partition of everything that is part of the open transaction. */
  readonly #enlisted = new Set<string>()
  #open = false
  #failure: LoyaltyError | null = null

  constructor(client: KafkaClient, transactionalId: string, timeoutMs = 30_000) {
    this.#client = client
    this.#id = transactionalId
    this.#timeoutMs = timeoutMs
    this.#queue = new ProduceQueue(client, {
      transactionalId,
      resendUnknown: false,
      giveUpAfterMs: 10_000,
      identify: async () => this.#identity(),
      beforeSend: (batches) => this.#enlist(batches),
      onLost: (error) => this.#fail(error),
    })
  }

  async fence(): Promise<void> {
    if (this.#producer !== null) throw new LoyaltyError('log_invalid', 'fence is called once per writer')
    try {
      const { producerId, producerEpoch } = await this.#ask('fence', true, (coordinator) =>
        coordinator.initProducerId({ transactionalId: this.#id, transactionTimeout: this.#timeoutMs }),
      )
      this.#producer = { id: Number(producerId), epoch: producerEpoch, transactional: true }
    } catch (error) {
      throw this.#fail(this.#mapped('fence', error))
    }
  }

  async append(topic: string, partition: number, records: readonly NewRecord[]): Promise<void> {
    this.#identity()
    if (records.length === 0) return
    this.#open = true
    await this.#queue.append(topic, partition, records)
  }

  async commit(groupOffsets?: GroupOffsets): Promise<void> {
    this.#identity()
    await this.#queue.idle()
    this.#identity()
    try {
      if (groupOffsets !== undefined && groupOffsets.offsets.size > 0) await this.#addOffsets(groupOffsets)
    } catch (error) {
      throw this.#fail(this.#mapped('add group offsets to the transaction', error))
    }
    if (this.#open) await this.#end(true)
  }

  async abort(): Promise<void> {
    if (this.#failure !== null || !this.#open) return
    await this.#queue.idle()
    if (this.#failure === null) await this.#end(false)
  }

  async close(): Promise<void> {
    this.#fail(new LoyaltyError('log_closed', 'this writer was closed'))
    await this.#client.close()
  }

  #identity(): BatchProducer {
    if (this.#failure !== null) throw this.#failure
    if (this.#producer === null) throw new LoyaltyError('log_invalid', 'call fence before anything else')
    return this.#producer
  }

  /** The producer as the coordinator's requests name it. */
  #self() {
    const { id, epoch } = this.#identity()
    return { transactionalId: this.#id, producerId: id, producerEpoch: epoch }
  }

  async #enlist(batches: readonly BatchToSend[]): Promise<void> {
    const fresh = batches.filter(({ topic, partition }) => !this.#enlisted.has(`${topic}/${partition}`))
    if (fresh.length === 0) return
    const topics = [...Map.groupBy(fresh, ({ topic }) => topic)].map(([topic, ofTopic]) => ({
      topic,
      partitions: ofTopic.map(({ partition }) => partition),
    }))
    try {
      await this.#ask('add partitions', true, (coordinator) =>
        coordinator.addPartitionsToTxn({ ...this.#self(), topics }),
      )
    } catch (error) {
      throw this.#fail(this.#mapped('add partitions to the transaction', error))
    }
    for (const { topic, partition } of fresh) this.#enlisted.add(`${topic}/${partition}`)
  }

  async #addOffsets({ group, topic, offsets }: GroupOffsets): Promise<void> {
    this.#open = true
    await this.#ask('add offsets', true, (coordinator) =>
      coordinator.addOffsetsToTxn({ ...this.#self(), groupId: group }),
    )
    const partitions = [...offsets].map(([partition, offset]) => ({ partition, offset: String(offset) }))
    const options = { what: 'commit group offsets', repeatable: true, withinMs: patienceMs }
    await this.#client.askCoordinator(
      'group',
      group,
      (coordinator) =>
        coordinator.txnOffsetCommit({ ...this.#self(), groupId: group, topics: [{ topic, partitions }] }),
      options,
    )
  }

  async #end(commit: boolean): Promise<void> {
    const what = commit ? 'commit' : 'abort'
    let sent = false
    try {
      // Never repeated when its fate is unknown: it might then settle the transaction after this one.
      await this.#ask(what, false, (coordinator) => {
        sent = true
        return coordinator.endTxn({ ...this.#self(), transactionResult: commit })
      })
      this.#open = false
      this.#enlisted.clear()
    } catch (error) {
      const undecided = commit && sent && !surelyRefused(error)
      throw this.#fail(undecided ? this.#commitUnknown(error) : this.#mapped(what, error))
    }
  }

  #ask<T>(what: string, repeatable: boolean, ask: (coordinator: Broker) => Promise<T>): Promise<T> {
    const options = { what: `${what} (transactional id ${this.#id})`, repeatable, withinMs: patienceMs }
    return this.#client.askCoordinator('transaction', this.#id, ask, options)
  }

  #fail(error: LoyaltyError): LoyaltyError {
    if (this.#failure === null) {
      this.#failure = error
      this.#queue.rejectAll(error)
    }
    return this.#failure
  }

  #mapped(what: string, error: unknown): LoyaltyError {
    if (error instanceof LoyaltyError) return error
    if (!isFenced(error)) return unavailable(`${what} (transactional id ${this.#id})`, error)
    const message = `another writer with transactional id ${this.#id} took over, or the transaction took too long; nothing of it became visible`
    return new LoyaltyError('log_fenced', message, { details: { transactionalId: this.#id }, cause: error })
  }

  #commitUnknown(cause: unknown): LoyaltyError {
    const message = `it is not known whether the transaction of ${this.#id} was committed; fence again and read the log`
    return new LoyaltyError('log_commit_unknown', message, { details: { transactionalId: this.#id }, cause })
  }
}

/** Answers to EndTxn that say for certain that it was not carried out. */
function surelyRefused(error: unknown): boolean {
  if (error instanceof LoyaltyError || isFenced(error)) return true
  return isRefusedForNow(error)
}
