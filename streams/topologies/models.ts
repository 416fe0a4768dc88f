import type { Classifier, ClassifierLoader } from '../classifier/classifier.ts'
import { hasCode, LoyaltyError, messageOf } from '../core/error.ts'
import type { ActiveModel } from '../domain/context.ts'

/** Tells of a model that could not be loaded; not again while the reason stays the same. */
export type ModelFailure = (model: ActiveModel, error: LoyaltyError) => void

/** A model in force: its name (`modelName`), and what classifies. */
export interface ModelInForce {
  readonly name: string
  readonly classifier: Classifier
}

const defaultRetryAfterMs = 10_000

/** What a position calls a model: two of them are the same only when their files are. */
export function modelName({ id, version, sha256 }: ActiveModel): string {
  return `${id}/${version}/${sha256}`
}

/**
 * Loads classifiers once per process and keeps them. A model that cannot be loaded does not stop the stream: the last good
 * one before it stays in force, and loading is tried again later, also while nothing asks for it, until the newest that
 * was asked for is in force. Lists of models are those activated, newest first.
 */
export class Models {
  readonly #loader: ClassifierLoader
  readonly #onFailure: ModelFailure
  readonly #retryAfterMs: number
  readonly #loaded = new Map<string, Classifier>()
  readonly #loading = new Map<string, Promise<Classifier | null>>()
  /** Why models could not be loaded; those that rest are not tried again before the timer fires. */
  readonly #failures = new Map<string, LoyaltyError>()
  readonly #resting = new Set<string>()
  readonly #listeners = new Set<() => void>()
  /** The longest list asked for: all are parts of one history. */
  #wanted: { readonly models: readonly ActiveModel[]; readonly before: string | null } = { models: [], before: null }
  #timer: NodeJS.Timeout | null = null
  #closed = false

  constructor(loader: ClassifierLoader, onFailure: ModelFailure, retryAfterMs = defaultRetryAfterMs) {
    this.#loader = loader
    this.#onFailure = onFailure
    this.#retryAfterMs = retryAfterMs
  }

  /**
   * The newest of `models` that is good, null where none is. Errors: `model_unavailable` (retriable) where one is out of
   * reach and no older one was in force, in this process or as `before` (a name) says: guessing would take segments away.
   */
  async newest(models: readonly ActiveModel[], before: string | null): Promise<ModelInForce | null> {
    if (models.length >= this.#wanted.models.length) this.#wanted = { models, before }
    let unavailable: LoyaltyError | null = null
    for (const [age, model] of models.entries()) {
      const name = modelName(model)
      const classifier = this.#loaded.get(name) ?? (await this.#load(model))
      if (classifier !== null) return { name, classifier }
      const failure = this.#failures.get(name)
      if (failure?.retriable !== true) continue
      unavailable ??= failure
      const older = models.slice(age + 1).map(modelName)
      if (!older.some((name) => name === before || this.#loaded.has(name))) break
    }
    if (unavailable !== null) throw unavailable
    return null
  }

  /** Name of what `newest` would answer, as far as that is known by now: null for none, undefined while it is not known. */
  known(models: readonly ActiveModel[]): string | null | undefined {
    let unavailable = false
    for (const model of models) {
      const name = modelName(model)
      if (this.#loaded.has(name)) return name
      const failure = this.#failures.get(name)
      if (failure === undefined) return undefined
      unavailable ||= failure.retriable
    }
    return unavailable ? undefined : null
  }

  /** Calls back whenever `known` may answer otherwise than before. Answers how to end that. */
  watch(listener: () => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  async close(): Promise<void> {
    this.#closed = true
    if (this.#timer !== null) clearTimeout(this.#timer)
    this.#listeners.clear()
    await Promise.allSettled(this.#loading.values())
    await Promise.all([...this.#loaded.values()].map((classifier) => classifier.close()))
    this.#loaded.clear()
  }

  async #load(model: ActiveModel): Promise<Classifier | null> {
    if (this.#closed) throw new LoyaltyError('stopping', 'the program is stopping', { retriable: true })
    const name = modelName(model)
    if (this.#resting.has(name)) return null
    let loading = this.#loading.get(name)
    if (loading === undefined) {
      loading = this.#loader
        .load(model)
        .then(
          (classifier) => this.#succeeded(name, classifier),
          (error) => this.#failed(model, error),
        )
        .finally(() => this.#loading.delete(name))
      this.#loading.set(name, loading)
    }
    return loading
  }

  #succeeded(name: string, classifier: Classifier): Classifier {
    this.#loaded.set(name, classifier)
    this.#failures.delete(name)
    this.#tell()
    return classifier
  }

  #failed(model: ActiveModel, cause: unknown): null {
    const name = modelName(model)
    const error = hasCode(cause, 'model_unavailable', 'model_refused') ? cause : unforeseen(model, cause)
    const before = this.#failures.get(name)
    this.#failures.set(name, error)
    this.#resting.add(name)
    this.#retryLater()
    if (before?.message !== error.message) this.#onFailure(model, error)
    if (before?.code !== error.code) this.#tell()
    return null
  }

  #tell(): void {
    for (const listener of this.#listeners) listener()
  }

  #retryLater(): void {
    if (this.#closed || this.#timer !== null) return
    this.#timer = setTimeout(() => {
      this.#timer = null
      this.#resting.clear()
      this.newest(this.#wanted.models, this.#wanted.before).catch(() => {})
    }, this.#retryAfterMs)
    // Nothing is lost when the process ends first.
    this.#timer.unref()
  }
}

/** What a loader should not throw is taken for something that passes: no record is at fault for it. */
function unforeseen({ id, version }: ActiveModel, cause: unknown): LoyaltyError {
  return new LoyaltyError('model_unavailable', `loading model ${id}/${version} failed: ${messageOf(cause)}`, {
    retriable: true,
    cause,
  })
}
