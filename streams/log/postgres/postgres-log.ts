import type {
  GroupMembership,
  GroupOptions,
  Log,
  LogAdmin,
  LogReader,
  LogWriter,
  ReaderOptions,
  TransactionalWriter,
} from '../log.ts'
import { PostgresAdmin } from './admin.ts'
import { Catalogue } from './catalogue.ts'
import { type CompactionOptions, type CompactionReport, compactTopics } from './compaction.ts'
import { Connections } from './connections.ts'
import { PostgresMembership } from './membership.ts'
import { Notifications } from './notifications.ts'
import { PostgresReader } from './reader.ts'
import { PostgresTransactionalWriter } from './transactional-writer.ts'
import { PostgresWriter } from './writer.ts'

export interface PostgresLogOptions {
  /** `postgres://…`; the user may create the schema, or finds it created. */
  readonly url: string
  /** Schema of the log's tables; default `log`. Logs in different schemas know nothing of each other. */
  readonly schema?: string
  /** Connections for appends and administration; default 4. */
  readonly writeConnections?: number
  /** Connections for reading; default 4. */
  readonly readConnections?: number
  /** A stopped writer's open transaction is ended by the server after this; default 10,000 ms. */
  readonly stoppedWriterMs?: number
  /** A connection that does not answer for so long is given up; default 30,000 ms. */
  readonly answerMs?: number
  /** How often ends of partitions are asked for beside notifications; default 500 ms. */
  readonly pollMs?: number
  /** Compact and expire in the background this often; absent: only when `compact` is called. */
  readonly compactEveryMs?: number
  readonly compaction?: CompactionOptions
  /** Told about failures of background work, which is tried again. */
  readonly onBackgroundError?: (error: unknown) => void
}

export interface PostgresLog extends Log {
  /** Compacts compacted topics and drops what is past its retention, now. */
  compact(options?: CompactionOptions): Promise<CompactionReport>
}

/** The log in PostgreSQL (runtime.md §8). Opens no connection before its first use. */
export function openPostgresLog(options: PostgresLogOptions): PostgresLog {
  return new OpenPostgresLog(options)
}

class OpenPostgresLog implements PostgresLog {
  readonly admin: LogAdmin
  private readonly options: PostgresLogOptions
  private readonly connections: Connections
  private readonly catalogue: Catalogue
  private readonly notifications: Notifications
  private readonly parts = new Set<{ close(): Promise<void> }>()
  private readonly memberships = new Set<PostgresMembership>()
  private readonly timer: NodeJS.Timeout | undefined
  private compacting: Promise<unknown> = Promise.resolve()

  constructor(options: PostgresLogOptions) {
    this.options = options
    this.connections = new Connections({
      url: options.url,
      schema: options.schema ?? 'log',
      writeConnections: options.writeConnections ?? 4,
      readConnections: options.readConnections ?? 4,
      stoppedWriterMs: options.stoppedWriterMs ?? 10_000,
      answerMs: options.answerMs ?? 30_000,
    })
    this.catalogue = new Catalogue(this.connections)
    this.notifications = new Notifications(this.connections, options.pollMs ?? 500)
    this.admin = new PostgresAdmin(this.connections, this.catalogue)
    if (options.compactEveryMs !== undefined) this.timer = this.compactEvery(options.compactEveryMs)
  }

  reader(options: ReaderOptions = {}): LogReader {
    return this.kept(new PostgresReader(this.connections, this.catalogue, this.notifications, options))
  }

  writer(): LogWriter {
    return this.kept(new PostgresWriter(this.connections, this.catalogue))
  }

  transactionalWriter(transactionalId: string): TransactionalWriter {
    return new PostgresTransactionalWriter(this.connections, this.catalogue, transactionalId)
  }

  async join(options: GroupOptions): Promise<GroupMembership> {
    const { partitions } = await this.catalogue.topic(options.topic)
    const membership = new PostgresMembership(this.connections, this.notifications, partitions, options)
    await membership.start()
    this.memberships.add(membership)
    return membership
  }

  compact(options: CompactionOptions = {}): Promise<CompactionReport> {
    const run = this.compacting.then(() =>
      compactTopics(this.connections, this.catalogue, { ...this.options.compaction, ...options }),
    )
    this.compacting = run.catch(() => {})
    return run
  }

  async close(): Promise<void> {
    clearInterval(this.timer)
    await Promise.all([...this.memberships].map((membership) => membership.leave()))
    await Promise.all([...this.parts].map((part) => part.close()))
    await this.compacting
    await this.notifications.close()
    await this.connections.close()
  }

  private kept<Part extends { close(): Promise<void> }>(part: Part): Part {
    this.parts.add(part)
    const close = part.close.bind(part)
    part.close = () => {
      this.parts.delete(part)
      return close()
    }
    return part
  }

  private compactEvery(ms: number): NodeJS.Timeout {
    return setInterval(() => {
      this.compact().catch((error: unknown) => this.options.onBackgroundError?.(error))
    }, ms).unref()
  }
}
