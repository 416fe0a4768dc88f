import { encodersOf } from '#schemas/encoder.ts'
import { registerAll } from '#schemas/registry.ts'
import { type Topics, topicsOf } from '#schemas/topics.ts'
import type { ClassifierLoader } from '#streams/classifier/classifier.ts'
import { type CrashHook, noCrash } from '#streams/core/hooks.ts'
import type { RuntimeObserver, StepReport } from '#streams/core/observer.ts'
import type { TaskSettings } from '#streams/runtime/settings.ts'
import { Worker } from '#streams/runtime/worker.ts'
import { MemoryStateStore } from '#streams/state/memory-state-store.ts'
import type { StateStore } from '#streams/state/state-store.ts'
import type { LoyaltyContext } from '#streams/topologies/context.ts'
import { loyaltyTopology, taskTopicsOf } from '#streams/topologies/loyalty.ts'
import { eventually } from '../eventually.ts'
import { MemoryLog } from '../memory-log.ts'
import { MemoryRegistry } from '../memory-registry.ts'
import { checkInvariants, type Outcome } from './invariants.ts'
import { Publisher } from './publisher.ts'
import { ruleLoader } from './rule-classifier.ts'
import type { World } from './world.ts'

export interface DriverOptions {
  readonly partitions?: number
  readonly classifiers?: ClassifierLoader
  readonly settings?: Partial<TaskSettings>
  readonly nowMs?: () => number
  /** After what time a model that could not be loaded is tried again; default: that of the topology. */
  readonly modelRetryMs?: number
  /** Beside noting the warning; what it throws is thrown in the fold of control. */
  readonly onControlIgnored?: (offset: number) => void
}

export interface WorkerOptions {
  /** Models as the process of this worker has them; default: the driver's. */
  readonly classifiers?: ClassifierLoader
  readonly crash?: CrashHook
  /** A further connection to the log, as another process has; default: the driver's own. */
  readonly log?: MemoryLog
  /** Stores of this worker, by partition; default: the driver's. */
  readonly stores?: Map<number, StateStore>
}

/**
 * The loyalty topology without a broker: the real worker, tasks and topology over a log, a registry and stores in memory,
 * with a clock of the test's own.
 */
export class TopologyDriver implements World {
  readonly log: MemoryLog
  readonly topics: Topics = topicsOf('loyalty')
  readonly registry = new MemoryRegistry()
  readonly classifiers: ClassifierLoader
  readonly publisher: Publisher
  readonly warnings: { code: string; message: string }[] = []
  readonly steps: StepReport[] = []
  readonly stopped: { partition: number; code: string }[] = []
  /** What was said of each of them. */
  readonly stopMessages: string[] = []
  readonly #stores = new Map<number, StateStore>()
  readonly #options: DriverOptions
  readonly #workers = new Map<Worker<LoyaltyContext>, { close(): Promise<void> }>()

  private constructor(log: MemoryLog, publisher: Publisher, registry: MemoryRegistry, options: DriverOptions) {
    this.log = log
    this.publisher = publisher
    this.registry = registry
    this.classifiers = options.classifiers ?? ruleLoader()
    this.#options = options
  }

  static async open(options: DriverOptions = {}): Promise<TopologyDriver> {
    const log = new MemoryLog(options.nowMs === undefined ? {} : { nowMs: options.nowMs })
    const registry = new MemoryRegistry()
    const publisher = await Publisher.open(log, registry, topicsOf('loyalty'), options.partitions ?? 2)
    return new TopologyDriver(log, publisher, registry, options)
  }

  async startWorker(options: WorkerOptions = {}): Promise<Worker<LoyaltyContext>> {
    const ids = await registerAll(this.registry, this.topics)
    const topology = loyaltyTopology({
      registry: this.registry,
      encoders: encodersOf(ids),
      schemaIds: ids,
      classifiers: options.classifiers ?? this.classifiers,
      inputTopic: this.topics.transactions,
      cacheBytes: 1_000_000,
      onModelFailure: (model, error) =>
        this.warnings.push({ code: error.code, message: `${model.version}: ${error.message}` }),
      onControlIgnored: (offset, detail) => {
        this.warnings.push({ code: 'control_ignored', message: detail })
        this.#options.onControlIgnored?.(offset)
      },
      onClassified: () => {},
      ...(this.#options.modelRetryMs === undefined ? {} : { modelRetryMs: this.#options.modelRetryMs }),
    })
    const { topics } = this
    const worker = new Worker<LoyaltyContext>({
      log: options.log ?? this.log,
      topology,
      topics: taskTopicsOf(topics),
      group: 'processor',
      observer: this.#observer(),
      crash: options.crash ?? noCrash,
      settings: {
        lingerMs: 0,
        maxLingerMs: 0,
        maxGatherMs: 0,
        backoffMs: 1,
        maxBackoffMs: 20,
        ...this.#options.settings,
      },
      openStore: (partition) => storeOf(options.stores ?? this.#stores, partition),
    })
    this.#workers.set(worker, topology)
    await worker.start()
    return worker
  }

  /** Forgets the state of a partition, as a lost disk would. */
  loseStore(partition: number): void {
    this.#stores.delete(partition)
  }

  /** Resolves once the tasks of these workers have taken in everything, no sweep runs, and all partitions are owned. */
  async settled(...workers: Worker<LoyaltyContext>[]): Promise<void> {
    await eventually(async () => {
      // Positions first: a step that one of them counts in may have passed records on to another partition.
      const running = workers.flatMap(({ tasks }) => tasks.filter(({ state }) => state === 'running'))
      const positions = new Map(running.map(({ partition, position }) => [partition, position]))
      const ends = await this.log.admin.endOffsets(this.topics.transactions)
      const control = (await this.log.admin.endOffsets(this.topics.control))[0]!
      return ends.every((end, partition) => {
        const position = positions.get(partition)
        return (
          position != null && position.transactions >= end && position.control >= control && position.sweep === null
        )
      })
    })
  }

  check(): Promise<Outcome> {
    return checkInvariants(this, this.#stores)
  }

  async close(): Promise<void> {
    for (const [worker, topology] of this.#workers) {
      await worker.close()
      await topology.close()
    }
  }

  #observer(): RuntimeObserver {
    return {
      stepped: (report) => this.steps.push(report),
      transition() {},
      restoring() {},
      deadLetter() {},
      warning: (code, message) => this.warnings.push({ code, message }),
      stopped: (partition, code, message) => {
        this.stopped.push({ partition, code })
        this.stopMessages.push(message)
      },
    }
  }
}

function storeOf(stores: Map<number, StateStore>, partition: number): StateStore {
  let store = stores.get(partition)
  if (store === undefined) {
    store = new MemoryStateStore()
    stores.set(partition, store)
  }
  return store
}
