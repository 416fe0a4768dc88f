import { join } from 'node:path'
import { encodersOf } from '#schemas/encoder.ts'
import { type Registry, registerAll } from '#schemas/registry.ts'
import type { Topics } from '#schemas/topics.ts'
import type { ClassifierLoader } from '#streams/classifier/classifier.ts'
import { type CrashHook, noCrash } from '#streams/core/hooks.ts'
import type { Log } from '#streams/log/log.ts'
import type { TaskSettings } from '#streams/runtime/settings.ts'
import { Worker } from '#streams/runtime/worker.ts'
import type { StateStore } from '#streams/state/state-store.ts'
import type { LoyaltyContext } from '#streams/topologies/context.ts'
import { loyaltyTopology, taskTopicsOf } from '#streams/topologies/loyalty.ts'
import type { Logger } from '../platform/logging.ts'
import type { Metrics } from '../platform/metrics.ts'
import type { TaskHost } from './hosts.ts'
import { LagMeter } from './lag.ts'
import { describeTask, type TaskFault } from './task-view.ts'
import { observeRuntime } from './telemetry.ts'

export interface TaskHostDependencies {
  readonly log: Log
  readonly topics: Topics
  readonly registry: Registry
  readonly classifiers: ClassifierLoader
  readonly logger: Logger
  /** Of this host alone. */
  readonly metrics: Metrics
  /** A directory per task is made below it. */
  readonly stateDir: string
  openStore(directory: string): StateStore
  /** Memory for decoded clients, as if all partitions were here; default 128 MiB. */
  readonly cacheBytes?: number
  readonly settings?: Partial<TaskSettings>
  /** After what time a model that could not be loaded is tried again; default 10 s. */
  readonly modelRetryMs?: number
  readonly sessionTimeoutMs?: number
  readonly crash?: CrashHook
}

const defaultCacheBytes = 128 * 1024 * 1024
const lagEveryMs = 1_000

/** The host that runs its tasks on this thread. The topics exist already; the log is the caller's to close. */
export function taskHost(deps: TaskHostDependencies): TaskHost {
  const meter = new LagMeter(deps.log, deps.topics, deps.metrics)
  let prepared: Prepared | null = null
  let lag: NodeJS.Timeout | undefined
  let closing: Promise<void> | undefined

  async function close(): Promise<void> {
    clearInterval(lag)
    const ending = prepared
    await ending?.worker.close()
    prepared = null
    await ending?.topology.close()
  }

  return {
    async prepare() {
      prepared = await prepare(deps)
    },
    async start() {
      const { worker } = prepared ?? {}
      if (worker === undefined || closing !== undefined) return
      // While the log is away the metrics stay as they were; the log's own failures are told elsewhere.
      lag = setInterval(() => void meter.measure(worker.tasks).catch(() => {}), lagEveryMs)
      await worker.start()
    },
    async view() {
      if (prepared === null) return { joined: false, tasks: [] }
      const { worker, faults } = prepared
      const describe = (task: (typeof worker.tasks)[number]) =>
        describeTask(task, meter.of(task.partition), faults.get(task.partition))
      return { joined: worker.joined, tasks: worker.tasks.map(describe) }
    },
    metrics: () => deps.metrics.registry.getMetricsAsJSON(),
    close() {
      closing ??= close()
      return closing
    },
  }
}

interface Prepared {
  readonly topology: ReturnType<typeof loyaltyTopology>
  readonly worker: Worker<LoyaltyContext>
  /** Why tasks of a partition were stopped, the last time. */
  readonly faults: ReadonlyMap<number, TaskFault>
}

async function prepare(deps: TaskHostDependencies): Promise<Prepared> {
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
  const faults = new Map<number, TaskFault>()
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
  return { topology, worker, faults }
}
