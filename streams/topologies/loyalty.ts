import { BlockEncoder } from '#schemas/block.ts'
import { decoderOf, type EventDecoder, reducedDecoder } from '#schemas/decoder.ts'
import type { EventEncoder } from '#schemas/encoder.ts'
import type { Registry } from '#schemas/registry.ts'
import type { Topics } from '#schemas/topics.ts'
import type { ClassifierLoader } from '../classifier/classifier.ts'
import { foldVersion } from '../domain/ledger.ts'
import type { TaskLogic, TaskTopics, Topology } from '../runtime/topology.ts'
import { ClientStore } from './client-store.ts'
import { controlEventOf, emptyContext, foldContext, type LoyaltyContext } from './context.ts'
import { Door } from './door.ts'
import { type ClassifierObserver, Evaluator } from './evaluation.ts'
import type { TransactionDecoder } from './intake.ts'
import { type ModelFailure, Models } from './models.ts'
import { RowWriter } from './rows.ts'
import { LoyaltyStep } from './step.ts'
import type { ControlEvents } from './wire.ts'

export interface LoyaltyDependencies {
  readonly registry: Registry
  readonly encoders: {
    readonly ClientReclassified: EventEncoder<'ClientReclassified'>
  }
  /** Ids in the registry. */
  readonly schemaIds: { readonly ClientStateChanged: number; readonly TransactionsAccepted: number }
  readonly classifiers: ClassifierLoader
  /** Topic name that dead letters refer to. */
  readonly inputTopic: string
  /** Memory for decoded clients, per task. */
  readonly cacheBytes: number
  readonly onModelFailure: ModelFailure
  /** After what time a model that could not be loaded is tried again; default 10 s. */
  readonly modelRetryMs?: number
  readonly onControlIgnored: (offset: number, detail: string) => void
  readonly onClassified: ClassifierObserver
}

/** What the tasks of one process share. */
export interface LoyaltyShared extends LoyaltyDependencies {
  readonly transactions: TransactionDecoder
  readonly states: ReturnType<typeof stateDecoder>
  readonly models: Models
  readonly rows: RowWriter
}

/** The part that each of a programme's topics plays for a task. */
export function taskTopicsOf(topics: Topics): TaskTopics {
  return {
    input: topics.transactions,
    control: topics.control,
    rows: topics.clientState,
    reclassifications: topics.clientReclassified,
    blocks: topics.accepted,
    deadLetters: topics.deadLetters,
  }
}

/** Joins the loyalty domain to the stream runtime: ledgers, evaluation, segments (architecture.md D1–D7). */
export function loyaltyTopology(deps: LoyaltyDependencies): Topology<LoyaltyContext> & { close(): Promise<void> } {
  const { registry } = deps
  const control: EventDecoder<ControlEvents> = decoderOf(
    registry,
    'ProgrammeConfigured',
    'DayStarted',
    'CutPointsPublished',
    'ModelActivated',
  )
  const models = new Models(deps.classifiers, deps.onModelFailure, deps.modelRetryMs)
  const shared: LoyaltyShared = {
    ...deps,
    models,
    transactions: reducedDecoder(registry, 'TransactionRecorded', ['attributes']),
    states: stateDecoder(registry),
    rows: new RowWriter(deps.schemaIds.ClientStateChanged),
  }
  return {
    foldVersion,
    initialContext: () => emptyContext,
    async foldControl(context, record) {
      const decoded = await control.read(record.value)
      if (decoded.kind === 'ok') return foldContext(context, controlEventOf(decoded))
      deps.onControlIgnored(
        record.offset,
        decoded.kind === 'undecodable' ? decoded.detail : `schema ${decoded.schemaId} is unknown`,
      )
      return { context, sweep: false }
    },
    programmeOf: ({ domain: { programme } }) =>
      programme && { id: programme.programmeId, partitions: programme.partitions },
    evaluation: {
      // Before the first date nobody is classified.
      known: ({ domain, models: activated }) => (domain.asOf.date === null ? null : models.known(activated)),
      find({ domain, models: activated }, before) {
        if (domain.asOf.date !== null) models.newest(activated, before).catch(() => {})
      },
      watch: (listener) => models.watch(listener),
    },
    openTask(partition, store): TaskLogic<LoyaltyContext> {
      const clients = new ClientStore(store, deps.cacheBytes)
      const evaluator = new Evaluator(deps.onClassified)
      const door = new Door(shared.transactions, partition)
      const block = new BlockEncoder(deps.schemaIds.TransactionsAccepted)
      return {
        begin: (context, restoring) =>
          new LoyaltyStep(shared, { partition, clients, door, evaluator, block }, context, restoring),
        dropCache: () => clients.drop(),
      }
    },
    close: () => models.close(),
  }
}

function stateDecoder(registry: Registry) {
  return decoderOf(registry, 'ClientStateChanged')
}
