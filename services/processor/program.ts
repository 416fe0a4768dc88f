import { join } from 'node:path'
import { Hono } from 'hono'
import { encodersOf } from '#schemas/encoder.ts'
import { type Registry, registerAll } from '#schemas/registry.ts'
import type { Topics } from '#schemas/topics.ts'
import type { ClassifierLoader } from '#streams/classifier/classifier.ts'
import { type CrashHook, noCrash } from '#streams/core/hooks.ts'
import { isoOfDay } from '#streams/domain/calendar.ts'
import type { Log } from '#streams/log/log.ts'
import type { TaskSettings } from '#streams/runtime/settings.ts'
import { Worker } from '#streams/runtime/worker.ts'
import type { StateStore } from '#streams/state/state-store.ts'
import type { LoyaltyContext } from '#streams/topologies/context.ts'
import { loyaltyTopology, taskTopicsOf } from '#streams/topologies/loyalty.ts'
import { modelName } from '#streams/topologies/models.ts'
import { equipServer, listen, type ReadinessCheck } from '../platform/http.ts'
import type { Logger } from '../platform/logging.ts'
import type { Metrics } from '../platform/metrics.ts'
import { LagMeter } from './lag.ts'
import { observeRuntime } from './telemetry.ts'

export interface ProcessorDependencies {
  readonly log: Log
  readonly topics: Topics
  readonly registry: Registry
  readonly classifiers: ClassifierLoader
  readonly logger: Logger
  readonly metrics: Metrics
  readonly bind: string
  /** 0 takes a free port. */
  readonly port: number
  /** A directory per task is made below it. */
  readonly stateDir: string
  openStore(directory: string): StateStore
  /** Memory for decoded clients, all tasks together; default 128 MiB. */
  readonly cacheBytes?: number
  readonly settings?: Partial<TaskSettings>
  /** After what time a model that could not be loaded is tried again; default 10 s. */
  readonly modelRetryMs?: number
  readonly sessionTimeoutMs?: number
  readonly crash?: CrashHook
}

export interface RunningProcessor {
  readonly port: number
  readonly url: string
  close(): Promise<void>
}

const defaultCacheBytes = 128 * 1024 * 1024
const lagEveryMs = 1_000

/**
 * Starts the stream processor: joins the group of its topics and works on the partitions it is given. The topics exist
 * already. Errors: those of the registry (`registry_unavailable`) and the log.
 */
export async function startProcessor(deps: ProcessorDependencies): Promise<RunningProcessor> {
  const { log, topics, registry, logger, metrics } = deps
  const ids = await registerAll(registry, topics)
  const partitions = (await log.admin.partitions(topics.transactions)) ?? 1
  const topology = loyaltyTopology({
    registry,
    encoders: encodersOf(ids),
    schemaIds: ids,
    classifiers: deps.classifiers,
    inputTopic: topics.transactions,
    cacheBytes: (deps.cacheBytes ?? defaultCacheBytes) / partitions,
    ...(deps.modelRetryMs === undefined ? {} : { modelRetryMs: deps.modelRetryMs }),
    onModelFailure: (model, error) =>
      logger.error(
        { model: model.id, version: model.version, code: error.code },
        `the last good model stays in force: ${error.message}`,
      ),
    onControlIgnored: (offset, detail) => logger.error({ offset }, `control record ignored: ${detail}`),
    onClassified: (rows, seconds) => {
      metrics.classifierRows.inc(rows)
      metrics.classifierSeconds.observe(seconds)
    },
  })
  const telemetry = observeRuntime(logger, metrics, topics.transactions)
  const faults: Faults = new Map()
  const worker = new Worker<LoyaltyContext>({
    log,
    topology,
    topics: taskTopicsOf(topics),
    group: `${topics.transactions}-processor`,
    observer: {
      ...telemetry,
      stopped(partition, code, message) {
        faults.set(partition, { code, message })
        telemetry.stopped(partition, code, message)
      },
    },
    crash: deps.crash ?? noCrash,
    openStore: (partition) => deps.openStore(join(deps.stateDir, String(partition))),
    ...(deps.settings === undefined ? {} : { settings: deps.settings }),
    ...(deps.sessionTimeoutMs === undefined ? {} : { sessionTimeoutMs: deps.sessionTimeoutMs }),
  })
  const app = new Hono()
  equipServer(app, { logger, metrics, ready: () => readiness(worker) })
  const meter = new LagMeter(log, topics, metrics)
  app.get('/status', (c) => c.json({ tasks: worker.tasks.map((task) => describe(task, meter, faults)) }))
  const server = await listen(app, { port: deps.port, bind: deps.bind })
  // While the log is away the metrics stay as they were; the log's own failures are told elsewhere.
  const lag = setInterval(() => void meter.measure(worker.tasks).catch(() => {}), lagEveryMs)
  await worker.start()
  return {
    port: server.port,
    url: server.url,
    async close() {
      clearInterval(lag)
      await worker.close()
      await topology.close()
      await server.close()
    },
  }
}

type LoyaltyTask = Worker<LoyaltyContext>['tasks'][number]

/** Ready once every task that was assigned runs; a stopped task needs a person. */
function readiness(worker: Worker<LoyaltyContext>): ReadinessCheck[] {
  const checks = worker.tasks.map((task) => ({
    name: `task ${task.partition}`,
    ok: task.state === 'running' || task.state === 'uncertain',
    message: task.state,
  }))
  return [{ name: 'group', ok: worker.joined, message: worker.joined ? 'joined' : 'joining' }, ...checks]
}

/** Why tasks of a partition were stopped, the last time. */
type Faults = Map<number, { readonly code: string; readonly message: string }>

function describe(task: LoyaltyTask, meter: LagMeter, faults: Faults) {
  const { position, context, stateSize } = task
  const lag = meter.of(task.partition)
  return {
    partition: task.partition,
    state: task.state,
    // What a person has to mend before a restart; null unless the task is stopped.
    fault: task.state === 'stopped' ? (faults.get(task.partition) ?? null) : null,
    position,
    end_offset: Math.max(task.endOffset, lag?.endOffset ?? 0),
    // As of the last second; null before the first measurement.
    lag_records: lag?.records ?? null,
    lag_seconds: lag?.seconds ?? null,
    as_of: context?.domain.asOf.date == null ? null : isoOfDay(context.domain.asOf.date),
    model: context?.domain.model ?? null,
    // Another than `model` while that one cannot be loaded; null before the first date.
    model_in_force: context?.models.find((model) => modelName(model) === position?.evaluatedWith) ?? null,
    state_entries: stateSize?.entries ?? null,
    state_bytes: stateSize?.bytes ?? null,
  }
}
