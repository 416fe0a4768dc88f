import type { DeadLetterReason } from '#schemas/dead-letter.ts'
import type { EventDecoder } from '#schemas/decoder.ts'
import type { Topics } from '#schemas/topics.ts'
import type { LogRecord } from '#streams/log/log.ts'
import type { Batch, Delivery, ProjectedEvents, Source } from './projection.ts'

/** A record that cannot be read and never will. */
export interface Rejected {
  readonly source: Source
  readonly topic: string
  readonly partition: number
  readonly record: LogRecord
  readonly reason: Extract<DeadLetterReason, 'undecodable' | 'unknown_schema'>
  readonly detail: string
  readonly schemaId: number | null
}

const eventOf: Readonly<Record<Source, keyof ProjectedEvents>> = {
  clients: 'ClientProfileChanged',
  clientState: 'ClientStateChanged',
  clientReclassified: 'ClientReclassified',
  accepted: 'TransactionsAccepted',
  uploads: 'UploadExamined',
}

/** Decodes records of the topics that projections read, and adds them to batches. */
export class Reading {
  readonly #decoder: EventDecoder<ProjectedEvents>
  readonly #sources: ReadonlyMap<string, Source>

  constructor(decoder: EventDecoder<ProjectedEvents>, topics: Topics) {
    this.#decoder = decoder
    this.#sources = new Map((Object.keys(eventOf) as Source[]).map((source) => [topics[source], source]))
  }

  /**
   * Adds a record to a batch. Answers null when that is done, what is wrong with it when it cannot be read, and a promise
   * when a schema must be fetched first: await it and call again (it fails with `registry_unavailable`).
   */
  deliver(batch: Batch, topic: string, partition: number, record: LogRecord): null | Rejected | Promise<void> {
    const source = this.#sources.get(topic)!
    const about = { source, topic, partition, record }
    if (record.value === null) {
      batch.add({ source, partition, record, name: null, event: null })
      return null
    }
    const decoded = this.#decoder.decode(record.value)
    switch (decoded.kind) {
      case 'ok':
        if (decoded.name !== eventOf[source])
          return { ...about, reason: 'undecodable', detail: `${decoded.name} does not belong here`, schemaId: null }
        batch.add({ source, partition, record, name: decoded.name, event: decoded.event } as Delivery)
        return null
      case 'fetch':
        return this.#decoder.ensure(decoded.schemaId)
      case 'unknown_schema':
        return {
          ...about,
          reason: 'unknown_schema',
          detail: 'the registry has no such schema',
          schemaId: decoded.schemaId,
        }
      default:
        return { ...about, reason: 'undecodable', detail: decoded.detail, schemaId: decoded.schemaId }
    }
  }

  /** As `deliver`, waiting for schemas; records that cannot be read were rejected before and are passed over. */
  async deliverNow(batch: Batch, topic: string, partition: number, record: LogRecord): Promise<void> {
    for (;;) {
      const outcome = this.deliver(batch, topic, partition, record)
      if (!(outcome instanceof Promise)) return
      await outcome
    }
  }
}
