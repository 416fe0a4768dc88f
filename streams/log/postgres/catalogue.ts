import type { Connections } from './connections.ts'
import { topicMissing } from './errors.ts'

/** What the log knows of a topic. */
export interface TopicInfo {
  readonly id: number
  readonly topic: string
  /** Qualified, quoted name of the table with its records. */
  readonly table: string
  readonly partitions: number
  readonly compacted: boolean
  readonly retentionMs: number | null
  readonly maxRecordBytes: number
}

/** Topics by name, remembered until something says that they changed. */
export class Catalogue {
  private readonly connections: Connections
  private known = new Map<string, TopicInfo>()

  constructor(connections: Connections) {
    this.connections = connections
  }

  /** Errors: `log_topic_missing`. */
  async topic(topic: string, partition = 0): Promise<TopicInfo> {
    const info = await this.find(topic)
    if (info === null) throw topicMissing(topic)
    if (!(partition >= 0 && partition < info.partitions)) throw topicMissing(topic, partition)
    return info
  }

  async find(topic: string): Promise<TopicInfo | null> {
    return this.known.get(topic) ?? (await this.all()).find((info) => info.topic === topic) ?? null
  }

  /** Reads all topics anew. */
  async all(): Promise<TopicInfo[]> {
    const rows = await this.connections.query<Omit<TopicInfo, 'table'> & { tableName: string }>(
      `SELECT id, topic, table_name AS "tableName", partitions, compacted, retention_ms AS "retentionMs",
              max_record_bytes AS "maxRecordBytes"
       FROM ${this.connections.table('topics')} ORDER BY topic`,
    )
    const topics = rows.map(({ tableName, ...rest }) => ({ ...rest, table: this.connections.table(tableName) }))
    this.known = new Map(topics.map((info) => [info.topic, info]))
    return topics
  }

  /** Forgets what is known: a topic turned out to be gone, or was made. */
  forget(): void {
    this.known.clear()
  }
}
