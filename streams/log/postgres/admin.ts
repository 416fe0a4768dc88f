import type { PoolClient } from 'pg'
import { LoyaltyError } from '../../core/error.ts'
import type { GroupOffsets, LogAdmin, TopicSpec } from '../log.ts'
import { storeGroupOffsets } from './append.ts'
import type { Catalogue, TopicInfo } from './catalogue.ts'
import { offsetsLock } from './compaction.ts'
import type { Connections } from './connections.ts'
import { topicMissing } from './errors.ts'
import { topicTable } from './schema.ts'

const defaultMaxRecordBytes = 1024 * 1024

export class PostgresAdmin implements LogAdmin {
  private readonly connections: Connections
  private readonly catalogue: Catalogue

  constructor(connections: Connections, catalogue: Catalogue) {
    this.connections = connections
    this.catalogue = catalogue
  }

  async ensureTopics(specs: readonly TopicSpec[]): Promise<void> {
    if (specs.every(isLike(await this.existing(specs)))) return
    await this.connections.transaction('create topics', async (client) => {
      await client.query('SELECT pg_advisory_xact_lock(hashtextextended($1, 0))', [
        `log topics ${this.connections.schema}`,
      ])
      this.catalogue.forget()
      const there = await this.existing(specs)
      for (const spec of specs) {
        if (there.has(spec.topic)) await this.changeSettings(client, spec)
        else await this.create(client, spec)
      }
    })
    this.catalogue.forget()
  }

  async partitions(topic: string): Promise<number | null> {
    return (await this.fresh(topic))?.partitions ?? null
  }

  async topics(): Promise<string[]> {
    return (await this.catalogue.all()).map(({ topic }) => topic)
  }

  endOffsets(topic: string): Promise<number[]> {
    return this.offsets(topic, 'next_offset')
  }

  /** A transaction takes its offsets as it commits, so there is nothing undecided. */
  writtenEnds(topic: string): Promise<number[]> {
    return this.endOffsets(topic)
  }

  startOffsets(topic: string): Promise<number[]> {
    return this.offsets(topic, 'start_offset')
  }

  async groupOffsets(group: string, topic: string): Promise<Map<number, number>> {
    const rows = await this.connections.query<{ partition: number; next: number }>(
      `SELECT partition, next_offset AS next FROM ${this.connections.table('group_offsets')}
       WHERE group_id = $1 AND topic = $2 ORDER BY partition`,
      [group, topic],
    )
    return new Map(rows.map(({ partition, next }) => [partition, next]))
  }

  async setGroupOffsets(offsets: GroupOffsets): Promise<void> {
    const info = await this.catalogue.find(offsets.topic)
    const locks = info?.compacted ? [...offsets.offsets.keys()].map((partition) => offsetsLock(info, partition)) : []
    await this.connections.transaction('store group offsets', async (client) => {
      if (locks.length > 0)
        await client.query(
          'SELECT pg_advisory_xact_lock_shared(hashtextextended(name, 0)) FROM unnest($1::text[]) AS name',
          [locks],
        )
      await storeGroupOffsets(client, this.connections, offsets)
    })
  }

  async deleteTopics(topics: readonly string[]): Promise<void> {
    await this.connections.transaction('delete topics', async (client) => {
      const { rows } = await client.query<{ tableName: string }>(
        `DELETE FROM ${this.connections.table('topics')} WHERE topic = ANY($1) RETURNING table_name AS "tableName"`,
        [topics],
      )
      await client.query(`DELETE FROM ${this.connections.table('group_offsets')} WHERE topic = ANY($1)`, [topics])
      for (const { tableName } of rows) await client.query(`DROP TABLE ${this.connections.table(tableName)}`)
    })
    this.catalogue.forget()
  }

  /** What exists of the wanted topics. Errors: `log_topic_mismatch`, before anything was changed. */
  private async existing(specs: readonly TopicSpec[]): Promise<Map<string, TopicInfo>> {
    const there = new Map((await this.catalogue.all()).map((info) => [info.topic, info]))
    for (const { topic, partitions } of specs) {
      const info = there.get(topic)
      if (info !== undefined && info.partitions !== partitions)
        throw new LoyaltyError(
          'log_topic_mismatch',
          `topic ${topic} has ${info.partitions} partitions, not ${partitions}; the number is fixed for ever`,
          { details: { topic, partitions: info.partitions, wanted: partitions } },
        )
    }
    return there
  }

  private async create(client: PoolClient, spec: TopicSpec): Promise<void> {
    const inserted = await client.query<{ id: number }>(
      `INSERT INTO ${this.connections.table('topics')}
         (topic, table_name, partitions, compacted, retention_ms, max_record_bytes)
       VALUES ($1, '', $2, $3, $4, $5) RETURNING id`,
      [spec.topic, spec.partitions, ...settings(spec)],
    )
    const id = inserted.rows[0]!.id
    const tableName = tableNameOf(id, spec.topic)
    await client.query(`UPDATE ${this.connections.table('topics')} SET table_name = $2 WHERE id = $1`, [id, tableName])
    await client.query(
      `INSERT INTO ${this.connections.table('partitions')} (topic_id, partition)
       SELECT $1, partition FROM generate_series(0, $2::int - 1) AS partition`,
      [id, spec.partitions],
    )
    for (const statement of topicTable(this.connections.table(tableName))) await client.query(statement)
  }

  private async changeSettings(client: PoolClient, spec: TopicSpec): Promise<void> {
    await client.query(
      `UPDATE ${this.connections.table('topics')} SET compacted = $2, retention_ms = $3, max_record_bytes = $4
       WHERE topic = $1`,
      [spec.topic, ...settings(spec)],
    )
  }

  private async fresh(topic: string): Promise<TopicInfo | null> {
    return (await this.catalogue.all()).find((info) => info.topic === topic) ?? null
  }

  private async offsets(topic: string, column: 'next_offset' | 'start_offset'): Promise<number[]> {
    const rows = await this.connections.query<{ value: number }>(
      `SELECT p.${column} AS value FROM ${this.connections.table('partitions')} p
       JOIN ${this.connections.table('topics')} t ON t.id = p.topic_id WHERE t.topic = $1 ORDER BY p.partition`,
      [topic],
    )
    if (rows.length === 0) throw topicMissing(topic)
    return rows.map(({ value }) => value)
  }
}

function settings(spec: TopicSpec): [boolean, number | null, number] {
  return [spec.compacted, spec.retentionMs ?? null, spec.maxRecordBytes ?? defaultMaxRecordBytes]
}

function isLike(there: Map<string, TopicInfo>): (spec: TopicSpec) => boolean {
  return (spec) => {
    const info = there.get(spec.topic)
    if (info === undefined) return false
    const [compacted, retentionMs, maxRecordBytes] = settings(spec)
    return info.compacted === compacted && info.retentionMs === retentionMs && info.maxRecordBytes === maxRecordBytes
  }
}

/** A name that is safe, below PostgreSQL's limit of 63 bytes, never used twice, and still tells the topic. */
function tableNameOf(id: number, topic: string): string {
  return `t${id}_${topic
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, '_')
    .slice(0, 40)}`
}
