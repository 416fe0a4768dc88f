import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { openRegistry } from '#schemas/registry.ts'
import { type Topics, topicsOf } from '#schemas/topics.ts'
import { havePassed, haveSettled, recordEnds, untilDecided } from '#services/ingest/completion.ts'
import { type RunningRegistry, startRegistry } from '#services/registry/program.ts'
import type { ClassifierLoader } from '#streams/classifier/classifier.ts'
import { fileClassifierLoader, listModelCards } from '#streams/classifier/file-classifier-loader.ts'
import { featureNames } from '#streams/domain/features.ts'
import { segmentIds } from '#streams/domain/segments.ts'
import { openKafkaLog } from '#streams/log/kafka/kafka-log.ts'
import type { Log } from '#streams/log/log.ts'
import { openPostgresLog } from '#streams/log/postgres/postgres-log.ts'
import { readPositions } from '#streams/runtime/position.ts'
import { eventually } from '../eventually.ts'
import { Publisher } from './publisher.ts'
import type { World } from './world.ts'

/** Where a log is: what the programs are told by environment. */
export type LogPlace = { readonly kafka: string[] } | { readonly postgres: string }

const models = join(import.meta.dirname, '../../../models')

/** A programme of its own on a real log, with a real registry: everything the processor needs around it. */
export class StreamWorld implements World {
  readonly log: Log
  readonly topics: Topics
  readonly registry: World['registry']
  readonly classifiers: ClassifierLoader
  readonly publisher: Publisher
  /** Environment of the programs. */
  readonly env: Readonly<Record<string, string>>
  readonly #server: RunningRegistry

  private constructor(
    parts: Pick<StreamWorld, 'log' | 'topics' | 'registry' | 'classifiers' | 'publisher' | 'env'>,
    server: RunningRegistry,
  ) {
    this.log = parts.log
    this.topics = parts.topics
    this.registry = parts.registry
    this.classifiers = parts.classifiers
    this.publisher = parts.publisher
    this.env = parts.env
    this.#server = server
  }

  /** Topics, schemas, programme and the default model; no date yet. */
  static async open(place: LogPlace, options: { partitions?: number; currency?: string } = {}): Promise<StreamWorld> {
    const prefix = `t${randomBytes(5).toString('hex')}`
    const topics = topicsOf(prefix)
    const log =
      'kafka' in place
        ? openKafkaLog({ brokers: place.kafka, clientId: 'test' })
        : openPostgresLog({ url: place.postgres })
    const server = await startRegistry({ log, topic: topics.schemas, port: 0 })
    const registry = openRegistry({ url: server.url, timeoutMs: 30_000 })
    const publisher = await Publisher.open(log, registry, topics, options.partitions ?? 2)
    await publisher.programme({ currency: options.currency ?? 'GBP' })
    const [card] = await listModelCards(models)
    await publisher.control('ModelActivated', {
      model_id: card!.id,
      model_version: card!.version,
      sha256: card!.sha256,
      activated_at: 0,
    })
    const classifiers = fileClassifierLoader({
      directory: models,
      knownFeatures: new Set(featureNames),
      knownSegments: new Set(segmentIds),
    })
    const env = {
      LOYALTY_TOPIC_PREFIX: prefix,
      LOYALTY_REGISTRY_URL: server.url,
      LOYALTY_STEP_RECORDS: '20',
      ...('kafka' in place
        ? { LOYALTY_LOG: 'kafka', LOYALTY_KAFKA_BROKERS: place.kafka.join(',') }
        : { LOYALTY_LOG: 'postgres', LOYALTY_POSTGRES_URL: place.postgres }),
    }
    return new StreamWorld({ log, topics, registry, classifiers, publisher, env }, server)
  }

  /** Resolves once all tasks have committed past everything published so far, with no sweep running. */
  async settled(timeoutMs = 60_000): Promise<void> {
    const control = (await this.log.admin.endOffsets(this.topics.control))[0]!
    const ending = async () => {
      await untilDecided(this.log, this.topics.transactions)
      return recordEnds(this.log, this.topics.transactions)
    }
    let ends = await ending()
    const passed = async () => {
      const positions = await readPositions(this.log, this.topics.accepted)
      return havePassed(positions, ends) && haveSettled(positions, control)
    }
    await eventually(
      async () => {
        if (!(await passed())) return false
        // What was passed on from one partition to another has to be taken in there, too.
        ends = await ending()
        return passed()
      },
      { timeoutMs, everyMs: 100, what: 'all tasks past everything published' },
    )
  }

  async close(): Promise<void> {
    await this.#server.close()
    await this.log.close()
  }
}
