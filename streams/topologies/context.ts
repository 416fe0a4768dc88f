import type { Decoded } from '#schemas/decoder.ts'
import type { ReclassificationCause } from '#schemas/events.ts'
import type { Classifier, ClassifierLoader } from '../classifier/classifier.ts'
import type { LoyaltyError } from '../core/error.ts'
import { hasCode } from '../core/error.ts'
import { type ActiveModel, type Context, type ControlEvent, evolve, initialContext } from '../domain/context.ts'
import type { ControlEvents } from './wire.ts'

/** Context of the loyalty topology: the domain's, what last changed it, and the models activated, newest first. */
export interface LoyaltyContext {
  readonly domain: Context
  readonly cause: ReclassificationCause
  readonly models: readonly ActiveModel[]
}

export const emptyContext: LoyaltyContext = { domain: initialContext(), cause: 'time', models: [] }

/**
 * Folds a decoded control event. A sweep is due when rows may differ under the new context: never before the first date,
 * because until then nothing depends on it.
 */
export function foldContext(context: LoyaltyContext, event: ControlEvent): { context: LoyaltyContext; sweep: boolean } {
  const domain = evolve(context.domain, event)
  if (domain === context.domain) return { context, sweep: false }
  const models = event.type === 'model_activated' ? [event.model, ...context.models] : context.models
  return { context: { domain, cause: causeOf(event), models }, sweep: domain.asOf.date !== null }
}

function causeOf(event: ControlEvent): ReclassificationCause {
  if (event.type === 'model_activated') return 'model'
  return event.type === 'cut_points_published' ? 'cut_points' : 'time'
}

/** The domain's view of a control event. */
export function controlEventOf(decoded: Extract<Decoded<ControlEvents>, { kind: 'ok' }>): ControlEvent {
  switch (decoded.name) {
    case 'ProgrammeConfigured': {
      const { event } = decoded
      return {
        type: 'programme_configured',
        programme: {
          programmeId: event.programme_id,
          currency: event.currency,
          timeZone: event.time_zone,
          offsets: event.offsets.map(({ from, offset_minutes }) => ({ fromMs: from, offsetMinutes: offset_minutes })),
          clock: event.clock,
          monetaryBasis: event.monetary_basis,
          partitions: event.partitions,
          ledgerCap: event.ledger_cap,
        },
      }
    }
    case 'DayStarted':
      return { type: 'day_started', day: decoded.event.date }
    case 'CutPointsPublished': {
      const { recency_days, frequency, monetary_minor, basis } = decoded.event
      const cutPoints = { recencyDays: recency_days, frequency, monetaryMinor: monetary_minor, basis }
      return { type: 'cut_points_published', cutPoints }
    }
    case 'ModelActivated': {
      const { model_id, model_version, sha256 } = decoded.event
      return { type: 'model_activated', model: { id: model_id, version: model_version, sha256 } }
    }
  }
}

/** Tells of a model that could not be loaded. */
export type ModelFailure = (model: ActiveModel, error: LoyaltyError) => void

const retryAfterMs = 10_000

/**
 * Loads classifiers once per process and keeps them. A model that cannot be loaded does not stop the stream: the last good
 * one before it stays in force, and loading is tried again later.
 */
export class Models {
  readonly #loader: ClassifierLoader
  readonly #onFailure: ModelFailure
  readonly #loaded = new Map<string, Classifier>()
  readonly #loading = new Map<string, Promise<Classifier>>()
  readonly #failedAt = new Map<string, number>()
  /** Why a model is out of reach; a refused one is not. */
  readonly #unavailable = new Map<string, LoyaltyError>()

  constructor(loader: ClassifierLoader, onFailure: ModelFailure) {
    this.#loader = loader
    this.#onFailure = onFailure
  }

  /**
   * The newest of `models` that is good, null where none is. Errors: `model_unavailable` (retriable) where one is out of
   * reach and no older one was in force in this process: guessing would take segments away.
   */
  async newest(models: readonly ActiveModel[]): Promise<Classifier | null> {
    for (const [age, model] of models.entries()) {
      const classifier = this.#loaded.get(model.sha256) ?? (await this.#load(model))
      if (classifier !== null) return classifier
      const unavailable = this.#unavailable.get(model.sha256)
      if (unavailable === undefined) continue
      const lastGood = models.slice(age + 1).find(({ sha256 }) => this.#loaded.has(sha256))
      if (lastGood === undefined) throw unavailable
    }
    return null
  }

  async close(): Promise<void> {
    await Promise.all([...this.#loaded.values()].map((classifier) => classifier.close()))
    this.#loaded.clear()
  }

  async #load(model: ActiveModel): Promise<Classifier | null> {
    const failedAt = this.#failedAt.get(model.sha256)
    if (failedAt !== undefined && performance.now() - failedAt < retryAfterMs) return null
    let loading = this.#loading.get(model.sha256)
    if (loading === undefined) {
      loading = this.#loader.load(model).finally(() => this.#loading.delete(model.sha256))
      this.#loading.set(model.sha256, loading)
    }
    try {
      const classifier = await loading
      this.#loaded.set(model.sha256, classifier)
      this.#unavailable.delete(model.sha256)
      return classifier
    } catch (error) {
      if (!hasCode(error, 'model_unavailable', 'model_refused')) throw error
      this.#failedAt.set(model.sha256, performance.now())
      if (error.retriable) this.#unavailable.set(model.sha256, error)
      this.#onFailure(model, error)
      return null
    }
  }
}
