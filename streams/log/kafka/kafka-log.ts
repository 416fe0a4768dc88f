import loggers from 'kafkajs/src/loggers/index.js'
import { messageOf } from '../../core/error.ts'
import type {
  GroupMembership,
  GroupOptions,
  Log,
  LogReader,
  LogWriter,
  ReaderOptions,
  TransactionalWriter,
} from '../log.ts'
import { KafkaAdmin } from './admin.ts'
import { type ClientOptions, KafkaClient } from './client.ts'
import { topicMissing } from './errors.ts'
import { KafkaMembership } from './membership.ts'
import { KafkaReader } from './reader.ts'
import { KafkaTransactionalWriter } from './transactional-writer.ts'
import { KafkaWriter } from './writer.ts'

export type KafkaLogger = (
  level: 'error' | 'warn' | 'info',
  message: string,
  details: Readonly<Record<string, unknown>>,
) => void

export interface KafkaLogOptions {
  /** `host:port` of some brokers of the cluster. */
  readonly brokers: readonly string[]
  readonly clientId: string
  /** Replicas of new topics; default -1, the broker's own default. */
  readonly replicationFactor?: number
  /** The broker aborts a transaction that is open for longer; default 30,000 ms. */
  readonly transactionTimeoutMs?: number
  /**
   * Milliseconds after which an append outside transactions that does not succeed is given up; default 30,000. Questions
   * of the admin are given up after as long, but at most 10,000.
   */
  readonly giveUpAfterMs?: number
  /** Takes what kafkajs has to say; default: nobody. */
  readonly logger?: KafkaLogger
  /** TLS and SASL settings as kafkajs takes them. */
  readonly ssl?: unknown
  readonly sasl?: unknown
}

/**
 * The log on Apache Kafka (2.3 to 4.x). Nothing connects before it is used. Every reader, writer and membership has
 * connections of its own, so that a long answer to one never holds up another.
 */
export function openKafkaLog(options: KafkaLogOptions): Log {
  return new KafkaLog(options)
}

class KafkaLog implements Log {
  readonly admin: KafkaAdmin
  readonly #options: KafkaLogOptions
  readonly #clientOptions: ClientOptions
  readonly #members = new Set<KafkaMembership>()
  /** Ends of everything open, by what it ends. */
  readonly #open = new Set<{ close(): Promise<void> }>()

  constructor(options: KafkaLogOptions) {
    this.#options = options
    this.#clientOptions = {
      brokers: options.brokers,
      clientId: options.clientId,
      logger: kafkaJsLogger(options.logger),
      patienceMs: Math.min(options.giveUpAfterMs ?? 10_000, 10_000),
      ssl: options.ssl,
      sasl: options.sasl,
    }
    const client = this.#client()
    this.#open.add(client)
    this.admin = new KafkaAdmin(client, options.replicationFactor ?? -1, (group) => this.#memberOf(group))
  }

  reader(options?: ReaderOptions): LogReader {
    return this.#tracked(new KafkaReader(this.#client(), options))
  }

  writer(): LogWriter {
    return this.#tracked(new KafkaWriter(this.#client(), this.#options.giveUpAfterMs))
  }

  transactionalWriter(transactionalId: string): TransactionalWriter {
    const { transactionTimeoutMs } = this.#options
    return this.#tracked(new KafkaTransactionalWriter(this.#client(), transactionalId, transactionTimeoutMs))
  }

  async join(options: GroupOptions): Promise<GroupMembership> {
    if ((await this.admin.partitions(options.topic)) === null) throw topicMissing(options.topic)
    const member = new KafkaMembership(this.#client(), options, (error) =>
      this.#options.logger?.('warn', `group ${options.group} is joined again: ${messageOf(error)}`, { error }),
    )
    this.#members.add(member)
    void member.left.then(() => this.#members.delete(member))
    return member
  }

  async close(): Promise<void> {
    await Promise.all([...this.#members].map((member) => member.leave()))
    await Promise.all([...this.#open].map((part) => part.close()))
    this.#members.clear()
    this.#open.clear()
  }

  #client(): KafkaClient {
    return new KafkaClient(this.#clientOptions)
  }

  /** Takes a part off the list when it is closed, so that a process that makes one writer per task run does not pile them up. */
  #tracked<T extends { close(): Promise<void> }>(part: T): T {
    const close = part.close.bind(part)
    part.close = () => {
      this.#open.delete(part)
      return close()
    }
    this.#open.add(part)
    return part
  }

  #memberOf(group: string) {
    for (const member of this.#members) if (member.group === group && member.identity !== null) return member.identity
    return null
  }
}

/** kafkajs's warnings and errors, handed on. */
function kafkaJsLogger(logger: KafkaLogger | undefined) {
  return loggers.createLogger({
    level: logger === undefined ? loggers.LEVELS.NOTHING : loggers.LEVELS.INFO,
    logCreator: () => (entry) => {
      const { message, ...details } = entry.log
      const level = entry.label === 'ERROR' ? 'error' : entry.label === 'WARN' ? 'warn' : 'info'
      logger?.(level, message, details)
    },
  })
}
