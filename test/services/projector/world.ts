import type { ClickHouseClient } from '@clickhouse/client'
import { Pool } from 'pg'
import { type Encodable, encodersOf } from '#schemas/encoder.ts'
import type { Adjustment, ClientReclassified, ClientStateChanged, Fact, TransactionsAccepted } from '#schemas/events.ts'
import { registerAll } from '#schemas/registry.ts'
import { topicSpecs, topicsOf } from '#schemas/topics.ts'
import { createLogger } from '#services/platform/logging.ts'
import { createMetrics, type Metrics } from '#services/platform/metrics.ts'
import type { WriteHook } from '#services/projector/engine.ts'
import { type Projector, startProjector } from '#services/projector/program.ts'
import { readOffsets } from '#services/projector/progress.ts'
import type { RebuildTask } from '#services/projector/rebuild-tasks.ts'
import { partitionOf } from '#streams/core/partitioner.ts'
import { startClickHouse, type TestClickHouse } from '../../support/clickhouse.ts'
import { eventually } from '../../support/eventually.ts'
import { MemoryLog } from '../../support/memory-log.ts'
import { MemoryRegistry } from '../../support/memory-registry.ts'
import { type RunningPostgres, startPostgres } from '../../support/postgres.ts'

export const partitions = 4
export const topics = topicsOf('test')

export interface Stores {
  readonly postgres: RunningPostgres
  readonly clickhouse: TestClickHouse
  stop(): Promise<void>
}

/** The two engines, shared by the tests of a file; every `World` has databases of its own in them. */
export async function startStores(): Promise<Stores> {
  const [postgres, clickhouse] = await Promise.all([startPostgres({ fsync: 'off' }), startClickHouse()])
  return {
    postgres,
    clickhouse,
    async stop() {
      await Promise.all([postgres.stop(), clickhouse.stop()])
    },
  }
}

export const publishedNames = [
  'ClientProfileChanged',
  'ClientStateChanged',
  'ClientReclassified',
  'TransactionsAccepted',
  'UploadExamined',
] as const

let worlds = 0

/** A log in memory with real stores: what the processor would publish, and projectors that read it. */
export class World {
  readonly log = new MemoryLog()
  readonly registry = new MemoryRegistry()
  readonly pool: Pool
  readonly clickhouse: ClickHouseClient
  readonly database: string
  readonly #stores: Stores
  readonly #projectors: Projector[] = []
  #encoders: Awaited<ReturnType<World['encoders']>> | undefined

  private constructor(stores: Stores, database: string) {
    this.#stores = stores
    this.database = database
    const connectionString = stores.postgres.url.replace(/\/[^/]*$/, `/${database}`)
    this.pool = new Pool({ connectionString, max: 12 })
    this.pool.on('error', () => {})
    this.clickhouse = stores.clickhouse.connect(database)
  }

  static async open(stores: Stores): Promise<World> {
    const database = `world_${process.pid}_${++worlds}`
    const admin = new Pool({ connectionString: stores.postgres.url, max: 1 })
    await admin.query(`CREATE DATABASE ${database}`)
    await admin.end()
    const world = new World(stores, database)
    await world.log.admin.ensureTopics(topicSpecs(topics, partitions))
    return world
  }

  async encoders() {
    return encodersOf(await registerAll(this.registry, topics, publishedNames))
  }

  start(
    options: { hook?: WriteHook; lingerMs?: number; clickhouse?: ClickHouseClient; metrics?: Metrics } = {},
  ): Projector {
    const projector = startProjector({
      log: this.log,
      topics,
      registry: this.registry,
      pool: this.pool,
      clickhouse: options.clickhouse ?? this.clickhouse,
      clickhouseAddress: { url: this.#stores.clickhouse.url, database: this.database },
      segments: [{ id: 'new', name: 'Новички', description: 'd', color: '#6A1B9A', minScore: 0, maxScore: 100 }],
      logger: createLogger('projector', 'silent'),
      metrics: options.metrics ?? createMetrics('projector'),
      lagEveryMs: 20,
      lingerMs: options.lingerMs ?? 10,
      reconcileEveryMs: 0,
      backOffMs: { first: 10, longest: 200 },
      ...(options.hook === undefined ? {} : { hook: options.hook }),
    })
    this.#projectors.push(projector)
    return projector
  }

  async close(): Promise<void> {
    await Promise.all(this.#projectors.map((projector) => projector.stop()))
    await this.pool.end()
  }

  /** Appends events to the topic and partition where the processor would put them. */
  async publish<N extends 'ClientProfileChanged' | 'ClientStateChanged' | 'ClientReclassified'>(
    name: N,
    events: readonly Encodable<N>[],
  ): Promise<void> {
    this.#encoders ??= await this.encoders()
    const encoder = this.#encoders[name] as { encode(event: Encodable<N>): Buffer }
    const topic = {
      ClientProfileChanged: 'clients',
      ClientStateChanged: 'clientState',
      ClientReclassified: 'clientReclassified',
    } as const
    const writer = this.log.writer()
    for (const event of events) {
      const key = Buffer.from((event as { client_id: string }).client_id)
      await writer.append(topics[topic[name]], partitionOf(key, partitions), [{ key, value: encoder.encode(event) }])
    }
  }

  async erase(clientId: string): Promise<void> {
    const key = Buffer.from(clientId)
    await this.log.writer().append(topics.clients, partitionOf(key, partitions), [{ key, value: null }])
  }

  /** Appends one block (or part of one) to a partition of `accepted`. */
  async accept(partition: number, block: Partial<TransactionsAccepted>): Promise<void> {
    this.#encoders ??= await this.encoders()
    const value = this.#encoders.TransactionsAccepted.encode({ ...emptyBlock, task: partition, ...block })
    await this.log.writer().append(topics.accepted, partition, [{ key: null, value }])
  }

  /** Appends what was found in an upload. */
  async examined(found: Encodable<'UploadExamined'>): Promise<void> {
    this.#encoders ??= await this.encoders()
    const value = this.#encoders.UploadExamined.encode(found)
    await this.log.writer().append(topics.uploads, 0, [{ key: Buffer.from(found.batch_id), value }])
  }

  /** Waits until every projection that is meant has applied all there is. */
  async applied(...projections: string[]): Promise<void> {
    await eventually(
      async () => {
        const offsets = (await readOffsets(this.pool)).filter(({ projection }) => projections.includes(projection))
        if (new Set(offsets.map(({ projection }) => projection)).size < projections.length) return false
        for (const { topic, partition, nextOffset } of offsets)
          if (nextOffset < ((await this.log.admin.endOffsets(topic))[partition] ?? 0)) return false
        return true
      },
      { timeoutMs: 15_000, what: `applied by ${projections.join(', ')}` },
    )
  }

  async rows<Row = Record<string, unknown>>(sql: string, params: unknown[] = []): Promise<Row[]> {
    return (await this.pool.query(sql, params)).rows as Row[]
  }

  async ask<Row = Record<string, unknown>>(query: string, params: Record<string, unknown> = {}): Promise<Row[]> {
    const result = await this.clickhouse.query({ query, query_params: params, format: 'JSONEachRow' })
    return result.json<Row>()
  }
}

const emptyBlock: TransactionsAccepted = {
  task: 0,
  step: 1,
  part: 1,
  parts: 1,
  from_offset: 0,
  to_offset: 0,
  batches: [],
  facts: [],
  adjustments: [],
  repeats: [],
}

/** Orders a rebuild and waits for its end; fails unless it was done. */
export async function rebuilt(projector: Projector, projection: string): Promise<RebuildTask> {
  const { task } = await projector.orderRebuild(projection)
  return eventually(
    async () => {
      const { state, error, ...rest } = await projector.rebuildTask(task.taskId)
      if (state === 'failed') throw new Error(`the rebuild failed: ${error?.code} ${error?.message}`)
      return state === 'done' && { state, error, ...rest }
    },
    { timeoutMs: 15_000, what: `the rebuild of ${projection}` },
  )
}

/** Eight bytes of a key. */
export function keyOf(n: number | bigint): Buffer {
  const key = Buffer.alloc(8)
  key.writeBigUInt64BE(BigInt(n))
  return key
}

export function factOf(n: number, over: Partial<Fact> = {}): Fact {
  return {
    transaction_id: `t${n}`,
    transaction_key: keyOf(n),
    client_id: `c${n % 10}`,
    kind: 'SALE',
    occurred_at: Date.UTC(2011, 0, 1 + (n % 5), 12),
    day: 14_975 + (n % 5),
    offset: n,
    amount_minor: 100,
    source: 'pos:test',
    batch_id: null,
    store_id: 's1',
    terminal_id: null,
    receipt_number: String(n),
    original_transaction_id: null,
    payment_method: null,
    items_count: 1,
    categories: ['tea', 'чай'],
    discount_minor: 0,
    bonus_earned_minor: 0,
    bonus_spent_minor: 0,
    count_effect: 1,
    gross_effect_minor: 100,
    net_effect_minor: 100,
    purchase_number: 1,
    days_since_previous: null,
    segment_before: null,
    arrived_day: null,
    ...over,
  }
}

export function adjustmentOf(n: number, over: Partial<Adjustment>): Adjustment {
  const { transaction_key, client_id, occurred_at, day } = factOf(n)
  const none = { count_effect: 0, gross_effect_minor: 0, net_effect_minor: 0 }
  return { transaction_key, client_id, occurred_at, day, offset: 1_000 + n, ...none, ...over }
}

export function stateOf(clientId: string, version: number, over: Partial<ClientStateChanged> = {}): ClientStateChanged {
  return {
    client_id: clientId,
    first_purchase_at: Date.UTC(2011, 0, 1),
    last_purchase_at: Date.UTC(2011, 0, 2),
    first_purchase_day: 14_975,
    last_purchase_day: 14_976,
    frequency: version,
    monetary_gross_minor: 100 * version,
    monetary_net_minor: 90 * version,
    refunded_minor: 10 * version,
    mean_receipt_minor: 100,
    purchases_30d: 0,
    purchases_90d: 0,
    purchases_365d: 0,
    spend_30d_minor: 0,
    spend_90d_minor: 0,
    spend_365d_minor: 0,
    mean_days_between: null,
    refund_share: 0.1,
    bonus_earned_minor: 0,
    bonus_spent_minor: 0,
    stores: 1,
    transactions: version,
    waiting: 0,
    flags: 0,
    r_score: 5,
    f_score: 4,
    m_score: 5,
    rfm_score: '545',
    segment: 'loyal',
    loyalty_score: 77,
    model_id: 'm',
    model_version: '1',
    as_of: 14_980,
    version,
    ...over,
  }
}

export function changeOf(
  clientId: string,
  version: number,
  over: Partial<ClientReclassified> = {},
): ClientReclassified {
  return {
    client_id: clientId,
    before: null,
    after: 'new',
    score_before: null,
    score_after: 50,
    cause: 'purchase',
    transaction_ids: ['t1', 'с "кавычками" \\ {}'],
    model_id: 'm',
    model_version: '1',
    as_of: 14_980,
    version,
    ...over,
  }
}
