import { Hono } from 'hono'
import { Counter } from 'prom-client'
import type { Registry, SchemaTexts } from '#schemas/registry.ts'
import type { Topics } from '#schemas/topics.ts'
import type { Log } from '#streams/log/log.ts'
import { equipServer, listen, type ReadinessCheck, type RunningServer } from '../platform/http.ts'
import type { Logger } from '../platform/logging.ts'
import type { Metrics } from '../platform/metrics.ts'
import type { ArchiveCrashPoint, Archived } from './archive.ts'
import { Archiver } from './archiver.ts'
import type { Stream } from './layout.ts'
import { RejectedArchive, type RejectedSource } from './rejected.ts'
import { rowWriters } from './rows.ts'
import { SchemaKeeper } from './schema-keeper.ts'
import type { LakeStore } from './store.ts'
import type { StreamStatus } from './stream-view.ts'

export interface LakeDeps {
  readonly log: Log
  readonly topics: Topics
  readonly topicPrefix: string
  readonly registry: Registry & SchemaTexts
  readonly store: LakeStore
  readonly rejected: RejectedSource | null
  readonly rangeBytes: number
  readonly waitMs: number
  readonly logger: Logger
  readonly metrics: Metrics
  readonly bind: string
  /** 0 takes a free port. */
  readonly port: number
  readonly sessionTimeoutMs?: number
  readonly lookMs?: number
  readonly crash?: (point: ArchiveCrashPoint) => void
}

/**
 * Starts the archive of raw input: it follows the log as a group of its own, and serves health, metrics and GET /status.
 * What is away is waited for. Closing it archives what waits. Errors: `port_in_use`.
 */
export async function startLake(deps: LakeDeps): Promise<RunningServer> {
  const { log, topics, topicPrefix, registry, store, metrics, logger, waitMs, rangeBytes } = deps
  const counted = lakeMetrics(metrics)
  const rejected =
    deps.rejected &&
    new RejectedArchive(store, deps.rejected, Math.min(waitMs, 30_000), (rows) => counted.rejectedRows.inc(rows))
  const archiver = new Archiver({
    ...{ log, topics, topicPrefix, store, rangeBytes, waitMs, logger, rejected },
    schemas: new SchemaKeeper(registry, store),
    rows: rowWriters(registry, topics),
    crash: deps.crash ?? (() => {}),
    onArchived: (stream, archived, ms) => {
      metrics.records.inc({ topic: stream.topic }, archived.records)
      metrics.batchRecords.observe({ kind: stream.eventType }, archived.records)
      metrics.stepSeconds.observe({ kind: stream.eventType }, ms / 1_000)
      count(counted, stream, archived)
    },
    onStatus: (streams) => tellLag(metrics, streams),
    ...(deps.sessionTimeoutMs === undefined ? {} : { sessionTimeoutMs: deps.sessionTimeoutMs }),
    ...(deps.lookMs === undefined ? {} : { lookMs: deps.lookMs }),
  })
  const app = new Hono()
  equipServer(app, { logger, metrics, ready: () => readiness(archiver) })
  app.get('/status', (c) => c.json({ lake: store.where, streams: archiver.streams }))
  const server = await listen(app, { port: deps.port, bind: deps.bind })
  archiver.start()
  return {
    ...server,
    async close() {
      await archiver.close()
      await server.close()
    },
  }
}

function lakeMetrics({ registry }: Metrics) {
  const registers = [registry]
  const labelNames = ['event_type'] as const
  return {
    files: new Counter({ name: 'loyalty_lake_files_total', help: 'Files written to the lake', labelNames, registers }),
    bytes: new Counter({ name: 'loyalty_lake_bytes_total', help: 'Bytes of these files', labelNames, registers }),
    rejectedRows: new Counter({
      name: 'loyalty_lake_rejected_rows_total',
      help: 'Rejected rows of uploads written to the lake',
      registers,
    }),
  }
}

function count({ files, bytes }: ReturnType<typeof lakeMetrics>, stream: Stream, archived: Archived): void {
  const labels = { event_type: stream.eventType }
  files.inc(labels, archived.files.length)
  bytes.inc(
    labels,
    archived.files.reduce((sum, file) => sum + file.bytes, 0),
  )
}

function tellLag({ lagRecords, lagSeconds }: Metrics, streams: readonly StreamStatus[]): void {
  lagRecords.reset()
  lagSeconds.reset()
  for (const { topic, partition, lag_records, lag_seconds } of streams) {
    if (lag_records !== null) lagRecords.set({ topic, partition }, lag_records)
    lagSeconds.set({ topic, partition }, lag_seconds)
  }
}

function readiness({ joined, error }: Archiver): ReadinessCheck[] {
  return [
    { name: 'group', ok: joined, message: joined ? 'joined' : 'joining' },
    { name: 'lake', ok: error === null, ...(error === null ? {} : { message: `${error.message} (${error.code})` }) },
  ]
}
