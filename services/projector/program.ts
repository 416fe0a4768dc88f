import { fileURLToPath } from 'node:url'
import type { ClickHouseClient } from '@clickhouse/client'
import type { Pool } from 'pg'
import { deadLetterRecord } from '#schemas/dead-letter.ts'
import { decoderOf } from '#schemas/decoder.ts'
import type { Registry } from '#schemas/registry.ts'
import type { Topics } from '#schemas/topics.ts'
import { LoyaltyError } from '#streams/core/error.ts'
import type { Log } from '#streams/log/log.ts'
import type { Logger } from '../platform/logging.ts'
import type { Metrics } from '../platform/metrics.ts'
import {
  type ClickHouseAddress,
  type MigrationReport,
  migrateClickHouse,
  migratePostgres,
} from '../platform/migrate.ts'
import { clickhouseEngine } from './clickhouse-engine.ts'
import type { Engine, Reconciliation, WriteHook } from './engine.ts'
import { type ProjectionStatus, statusOf } from './lag.ts'
import { postgresEngine } from './postgres-engine.ts'
import { type Batch, projectedEvents } from './projection.ts'
import { clickhouseFacts } from './projections/clickhouse-facts.ts'
import { clickhouseSegments } from './projections/clickhouse-segments.ts'
import { clickhouseState } from './projections/clickhouse-state.ts'
import { clickhouseUploads } from './projections/clickhouse-uploads.ts'
import { postgresProfiles, type SegmentDefinition } from './projections/postgres-profiles.ts'
import { Reading, type Rejected } from './reading.ts'
import { orderRebuild, type RebuildTask, readRebuild } from './rebuild-tasks.ts'
import { ProjectionRunner, type RunnerDeps } from './runner.ts'
import { type ProjectorMetrics, projectorMetrics } from './telemetry.ts'
import { TopicMeter } from './topic-meter.ts'

export interface ProjectorDeps {
  readonly log: Log
  readonly topics: Topics
  readonly registry: Registry
  /** At least seven connections: one per projection is held for as long as it runs. */
  readonly pool: Pool
  readonly clickhouse: ClickHouseClient
  /** The same database, for migrations, which begin before it exists. */
  readonly clickhouseAddress: ClickHouseAddress
  readonly segments: readonly SegmentDefinition[]
  readonly logger: Logger
  readonly metrics: Metrics
  /** How long facts may wait for more; default 250 ms. */
  readonly lingerMs?: number
  /** How often views are compared with facts; default 6 h, 0 never. */
  readonly reconcileEveryMs?: number
  /** How often lags are measured for the metrics by topic; default 5 s. */
  readonly lagEveryMs?: number
  readonly backOffMs?: RunnerDeps['backOffMs']
  readonly hook?: WriteHook
}

export interface Projector {
  /** State and lag of every projection. Errors: those of the log. */
  status(): Promise<ProjectionStatus[]>
  /**
   * Orders to build a projection anew beside and to swap it in. The order is durable when this resolves: the owner of the
   * projection, this process or another, carries it out. While one is open it is that one's task, and `begun` is false.
   *
   * Errors: `projection_unknown`, those of the driver.
   */
  orderRebuild(projection: string): Promise<{ task: RebuildTask; begun: boolean }>
  /** What has become of an order. Errors: `task_not_found`, those of the driver. */
  rebuildTask(taskId: string): Promise<RebuildTask>
  /** Compares views with facts, and makes views anew that differ. Errors: `projection_unknown`, … */
  reconcile(projection?: string): Promise<Reconciliation[]>
  /** Ends after the batches at hand. */
  stop(): Promise<void>
}

/** Brings both stores up to date; used by `migrate` as well. */
export async function migrateProjectorPostgres(pool: Pool): Promise<MigrationReport> {
  return migratePostgres(pool, { schema: 'projector', directory: pathOf('../../migrations/projector') })
}

export async function migrateProjectorClickHouse(address: ClickHouseAddress): Promise<MigrationReport> {
  return migrateClickHouse(address, pathOf('../../clickhouse/migrations'))
}

/**
 * Runs every projection this process can get hold of; for the others it stands by. Each goes its own way: with ClickHouse
 * away the profiles in Postgres follow, and the other way round (except for the offsets, which are in Postgres). Returns
 * at once; nothing that is away at the start is an error.
 */
export function startProjector(deps: ProjectorDeps): Projector {
  const { log, topics, logger } = deps
  deps.pool.on('error', (error) => logger.warn({ error }, 'a connection to PostgreSQL broke'))
  const metrics = projectorMetrics(deps.metrics, () => measure())
  const runnerDeps: RunnerDeps = {
    log,
    topics,
    pool: deps.pool,
    reading: new Reading(decoderOf(deps.registry, ...projectedEvents), topics),
    logger,
    reject: (rejected) => reject(deps, rejected),
    onApplied: (projection, rows, ms) => {
      meter.count()
      metrics.rows.inc({ projection }, rows)
      deps.metrics.batchRecords.observe({ kind: projection }, rows)
      deps.metrics.stepSeconds.observe({ kind: projection }, ms / 1_000)
    },
    ...(deps.backOffMs === undefined ? {} : { backOffMs: deps.backOffMs }),
  }
  const runners = enginesOf(deps).map((engine) => new ProjectionRunner(runnerDeps, engine))
  const meter = new TopicMeter(log, deps.metrics, () =>
    runners.flatMap(({ session }) => (session === null ? [] : [session.feed])),
  )
  const metering = setInterval(() => void meter.measure().catch(() => {}), deps.lagEveryMs ?? 5_000)
  metering.unref()
  for (const runner of runners) runner.start()

  const status = () => Promise.all(runners.map((runner) => statusOf(runner, log, topics, Date.now())))
  async function measure(): Promise<void> {
    const all = await status().catch(() => [])
    for (const { projection, lagRecords, lagSeconds } of all) {
      if (lagRecords !== null) metrics.lagRecords.set({ projection }, lagRecords)
      if (lagSeconds !== null) metrics.lagSeconds.set({ projection }, lagSeconds)
    }
  }
  const named = (projection: string) => {
    const runner = runners.find(({ name }) => name === projection)
    if (runner !== undefined) return runner
    throw new LoyaltyError(
      'projection_unknown',
      `there is no projection ${projection}; there are ${runners.map(({ name }) => name).join(', ')}`,
    )
  }
  async function reconcile(projection?: string): Promise<Reconciliation[]> {
    const reports: Reconciliation[] = []
    for (const runner of projection === undefined ? runners : [named(projection)]) {
      const report = await runner.reconcile()
      if (report !== null) reports.push(report)
    }
    note(metrics, logger, reports)
    return reports
  }
  const everyMs = deps.reconcileEveryMs ?? 6 * 3_600_000
  const timer = everyMs === 0 ? undefined : setInterval(() => void reconcile().catch(() => {}), everyMs)
  timer?.unref()

  return {
    status,
    reconcile,
    async orderRebuild(projection) {
      const runner = named(projection)
      const ordered = await orderRebuild(deps.pool, projection)
      runner.look()
      return ordered
    },
    async rebuildTask(taskId) {
      const task = await readRebuild(deps.pool, taskId)
      if (task !== null) return task
      throw new LoyaltyError('task_not_found', `there is no rebuild ${taskId}`, { details: { taskId } })
    },
    async stop() {
      clearInterval(timer)
      clearInterval(metering)
      await Promise.all(runners.map((runner) => runner.stop()))
    },
  }
}

function enginesOf(deps: ProjectorDeps): Engine<Batch>[] {
  const { pool, clickhouse: client, lingerMs, hook } = deps
  const options = { ...(lingerMs === undefined ? {} : { lingerMs }), ...(hook === undefined ? {} : { hook }) }
  const migrateOnce = inTurn(() => migrateProjectorClickHouse(deps.clickhouseAddress))
  const clickhouse = { pool, client, migrate: migrateOnce, ...options }
  return [
    postgresEngine({
      pool,
      projection: postgresProfiles(deps.segments),
      migrate: () => migrateProjectorPostgres(pool),
    }),
    clickhouseEngine({ ...clickhouse, projection: clickhouseFacts }),
    clickhouseEngine({ ...clickhouse, projection: clickhouseState }),
    clickhouseEngine({ ...clickhouse, projection: clickhouseSegments }),
    clickhouseEngine({ ...clickhouse, projection: clickhouseUploads }),
  ]
}

/** Calls one after the other: ClickHouse migrations have no lock of their own. */
function inTurn<T>(call: () => Promise<T>): () => Promise<T> {
  let last: Promise<unknown> = Promise.resolve()
  return () => {
    const mine = last.then(call, call)
    last = mine.catch(() => {})
    return mine
  }
}

/**
 * What others write (profiles) may be poison and goes to dead letters, at least once. What the processor writes cannot be:
 * there the projection stops and says so, rather than leaving something out.
 */
async function reject(deps: ProjectorDeps, rejected: Rejected): Promise<void> {
  const { source, topic, partition, record, reason, detail, schemaId } = rejected
  if (source !== 'clients')
    throw new LoyaltyError('projection_record_unreadable', `${topic}[${partition}] at ${record.offset}: ${detail}`, {
      details: { topic, partition, offset: record.offset, reason, schemaId },
    })
  const writer = deps.log.writer()
  try {
    const letter = deadLetterRecord({ topic, partition, ...record }, reason, detail, schemaId)
    await writer.append(deps.topics.deadLetters, partition, [letter])
  } finally {
    await writer.close()
  }
  deps.metrics.deadLetters.inc({ reason })
}

function note(metrics: ProjectorMetrics, logger: Logger, reports: readonly Reconciliation[]): void {
  for (const { projection, duplicateRows, differences } of reports) {
    const rows = duplicateRows.reduce((total, table) => total + table.rows - table.identities, 0)
    metrics.duplicateRows.set({ projection }, rows)
    metrics.differences.set({ projection }, differences.length)
    if (rows > 0) logger.warn({ projection, duplicateRows }, 'an insert was repeated outside its deduplication window')
  }
}

function pathOf(relative: string): string {
  return fileURLToPath(new URL(relative, import.meta.url))
}
