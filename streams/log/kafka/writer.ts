import { LoyaltyError } from '../../core/error.ts'
import type { LogWriter, NewRecord, TopicPartition } from '../log.ts'
import type { KafkaClient } from './client.ts'
import { ProduceQueue } from './produce-queue.ts'
import type { BatchProducer } from './record-batch.ts'

/** An idempotent producer: the broker drops what it is sent twice, so an append whose answer was lost is sent again. */
export class KafkaWriter implements LogWriter {
  readonly #client: KafkaClient
  readonly #queue: ProduceQueue
  #identity: Promise<BatchProducer> | null = null
  #closed = false

  constructor(client: KafkaClient, giveUpAfterMs = 30_000) {
    this.#client = client
    this.#queue = new ProduceQueue(client, {
      transactionalId: null,
      resendUnknown: true,
      giveUpAfterMs,
      identify: () => this.#identify(),
      onLost: (error) => {
        this.#identity = null
        this.#queue.rejectAll(error)
      },
    })
  }

  async append(topic: string, partition: number, records: readonly NewRecord[]): Promise<number> {
    if (this.#closed) throw new LoyaltyError('log_closed', 'this writer was closed')
    if (records.length === 0) throw new LoyaltyError('log_invalid', 'append needs at least one record')
    return this.#queue.append(topic, partition, records)
  }

  async appendMany(batches: readonly (TopicPartition & { readonly records: readonly NewRecord[] })[]): Promise<void> {
    await Promise.all(
      batches
        .filter(({ records }) => records.length > 0)
        .map(({ topic, partition, records }) => this.append(topic, partition, records)),
    )
  }

  async close(): Promise<void> {
    this.#closed = true
    await this.#queue.idle()
    await this.#client.close()
  }

  #identify(): Promise<BatchProducer> {
    this.#identity ??= this.#initialize().catch((error) => {
      this.#identity = null
      throw error
    })
    return this.#identity
  }

  async #initialize(): Promise<BatchProducer> {
    const broker = await this.#client.anyBroker()
    const { producerId, producerEpoch } = await broker.initProducerId({ transactionTimeout: 0 })
    return { id: Number(producerId), epoch: producerEpoch, transactional: false }
  }
}
