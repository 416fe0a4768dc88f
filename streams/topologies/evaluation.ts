import type { Classifier } from '../classifier/classifier.ts'
import { evaluate } from '../domain/evaluate.ts'
import { featureIndices, featuresInto } from '../domain/features.ts'
import { newValues, type Values } from '../domain/values.ts'
import type { Client } from './client.ts'
import type { LoyaltyContext } from './context.ts'
import type { Standing } from './rows.ts'

/** Values of clients in the order they were given, and where they were classified, their standing. */
export interface Evaluation {
  readonly values: readonly Values[]
  readonly standings: readonly (Standing | null)[]
}

/** Told of each batch that the classifier ran. */
export type ClassifierObserver = (rows: number, seconds: number) => void

/** Evaluates clients in batches; keeps its memory between calls, so one per task. */
export class Evaluator {
  readonly #observe: ClassifierObserver
  readonly #pool: Values[] = []
  #rows = new Float32Array(0)
  #plan: { classifier: Classifier; indices: ReturnType<typeof featureIndices> } | null = null

  constructor(observe: ClassifierObserver) {
    this.#observe = observe
  }

  /**
   * Values of each client under the context, and its standing by one batch of the classifier: buyers are classified from
   * the first date on, where there is a model. The result is good until the next call. Errors: those of `classify`.
   */
  async run(clients: readonly Client[], context: LoyaltyContext, classifier: Classifier | null): Promise<Evaluation> {
    const { domain } = context
    const values = this.#valuesFor(clients.length)
    for (let i = 0; i < clients.length; i++) evaluate(clients[i]!.ledger, domain, values[i]!)
    const standings = new Array<Standing | null>(clients.length).fill(null)
    if (classifier === null || domain.asOf.date === null) return { values, standings }
    const indices = this.#indicesOf(classifier)
    const width = classifier.features.length
    if (this.#rows.length < clients.length * width) this.#rows = new Float32Array(clients.length * width)
    const classified: number[] = []
    for (let i = 0; i < clients.length; i++) {
      if (values[i]!.frequency === 0) continue
      featuresInto(values[i]!, domain, indices, this.#rows, classified.length * width)
      classified.push(i)
    }
    if (classified.length === 0) return { values, standings }
    const begunAt = performance.now()
    const result = await classifier.classify(this.#rows.subarray(0, classified.length * width), classified.length)
    this.#observe(classified.length, (performance.now() - begunAt) / 1_000)
    classified.forEach((client, i) => {
      const segment = classifier.segments[result.segmentIndex[i]!]!
      standings[client] = { segment, loyaltyScore: result.score[i]! }
    })
    return { values, standings }
  }

  #valuesFor(count: number): Values[] {
    while (this.#pool.length < count) this.#pool.push(newValues())
    return this.#pool
  }

  #indicesOf(classifier: Classifier): ReturnType<typeof featureIndices> {
    if (this.#plan?.classifier !== classifier) this.#plan = { classifier, indices: featureIndices(classifier.features) }
    return this.#plan.indices
  }
}
