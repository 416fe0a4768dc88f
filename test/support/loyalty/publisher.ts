import { type Encodable, EventEncoder } from '#schemas/encoder.ts'
import type { EventName } from '#schemas/events.ts'
import { type Registry, registerAll } from '#schemas/registry.ts'
import { type Topics, topicSpecs } from '#schemas/topics.ts'
import { partitionOf } from '#streams/core/partitioner.ts'
import type { Log, LogWriter, NewRecord } from '#streams/log/log.ts'

export const programmeId = '6f1c1f5e-8d0f-4f1f-9d5e-2f5d1c3a7b10'

export interface ProgrammeOptions {
  readonly partitions?: number
  readonly ledgerCap?: number
  readonly currency?: string
}

/** Everything a test says to the stream: transactions, and the control events of the platform. */
export class Publisher {
  readonly topics: Topics
  readonly partitions: number
  readonly #writer: LogWriter
  readonly #ids: Readonly<Record<EventName, number>>

  private constructor(topics: Topics, partitions: number, writer: LogWriter, ids: Readonly<Record<EventName, number>>) {
    this.topics = topics
    this.partitions = partitions
    this.#writer = writer
    this.#ids = ids
  }

  /** Creates the topics and registers the schemas. */
  static async open(log: Log, registry: Registry, topics: Topics, partitions: number): Promise<Publisher> {
    await log.admin.ensureTopics(topicSpecs(topics, partitions))
    return new Publisher(topics, partitions, log.writer(), await registerAll(registry, topics))
  }

  async control<N extends 'ProgrammeConfigured' | 'DayStarted' | 'CutPointsPublished' | 'ModelActivated'>(
    name: N,
    event: Encodable<N>,
  ): Promise<void> {
    const value = new EventEncoder(name, this.#ids[name]).encode(event)
    await this.#writer.append(this.topics.control, 0, [{ key: null, value }])
  }

  async programme(options: ProgrammeOptions = {}): Promise<void> {
    await this.control('ProgrammeConfigured', {
      programme_id: programmeId,
      currency: options.currency ?? 'GBP',
      time_zone: 'Etc/UTC',
      offsets: [],
      clock: 'events',
      monetary_basis: 'net',
      partitions: options.partitions ?? this.partitions,
      ledger_cap: options.ledgerCap ?? 4096,
      configured_at: 0,
    })
  }

  async day(date: number): Promise<void> {
    await this.control('DayStarted', { date, started_at: 0 })
  }

  async model(version: string): Promise<void> {
    const model = { model_id: 'rule', model_version: version, sha256: version.padStart(64, '0'), activated_at: 0 }
    await this.control('ModelActivated', model)
  }

  async cutPoints(
    recency: number[],
    frequency: number[],
    monetary: number[],
    basis: 'net' | 'gross' = 'net',
  ): Promise<void> {
    await this.control('CutPointsPublished', {
      recency_days: recency,
      frequency,
      monetary_minor: monetary,
      basis,
      calibrated_as_of: null,
      published_at: 0,
    })
  }

  encode(event: Encodable<'TransactionRecorded'>): NewRecord {
    const value = Buffer.from(new EventEncoder('TransactionRecorded', this.#ids.TransactionRecorded).encode(event))
    return { key: Buffer.from(event.client_id), value }
  }

  async transactions(events: readonly Encodable<'TransactionRecorded'>[]): Promise<void> {
    const byPartition = Array.from({ length: this.partitions }, (): NewRecord[] => [])
    for (const event of events) {
      const record = this.encode(event)
      byPartition[partitionOf(record.key!, this.partitions)]!.push(record)
    }
    await this.#writer.appendMany(
      byPartition
        .map((records, partition) => ({ topic: this.topics.transactions, partition, records }))
        .filter(({ records }) => records.length > 0),
    )
  }

  /** To the partition behind the right one, as a till with another partitioner would. */
  async misplaced(events: readonly Encodable<'TransactionRecorded'>[]): Promise<void> {
    for (const event of events) {
      const record = this.encode(event)
      await this.raw((partitionOf(record.key!, this.partitions) + 1) % this.partitions, record)
    }
  }

  async profile(event: Encodable<'ClientProfileChanged'>): Promise<void> {
    const value = new EventEncoder('ClientProfileChanged', this.#ids.ClientProfileChanged).encode(event)
    await this.#toClient(event.client_id, value)
  }

  /** A client's profile is to be forgotten. */
  async erase(clientId: string): Promise<void> {
    await this.#toClient(clientId, null)
  }

  async #toClient(clientId: string, value: Buffer | null): Promise<void> {
    const key = Buffer.from(clientId)
    await this.#writer.append(this.topics.clients, partitionOf(key, this.partitions), [{ key, value }])
  }

  /** A record as it is, where the codec would not let it pass. */
  async raw(partition: number, record: NewRecord): Promise<void> {
    await this.#writer.append(this.topics.transactions, partition, [record])
  }
}

let serial = 0

/** A sale with what a test does not care about filled in. */
export function sale(
  clientId: string,
  fields: Partial<Encodable<'TransactionRecorded'>> = {},
): Encodable<'TransactionRecorded'> {
  serial += 1
  return {
    transaction_id: `t${serial}`,
    client_id: clientId,
    kind: 'SALE',
    occurred_at: Date.UTC(2024, 0, 10, 12),
    amount_minor: 1_000,
    currency: 'GBP',
    source: 'pos:test',
    ...fields,
  }
}
