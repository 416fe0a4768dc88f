import { Worker } from 'node:worker_threads'
import { LoyaltyError, messageOf } from '../core/error.ts'
import type { Classification, Classifier } from './classifier.ts'
import type { ModelCard } from './model-card.ts'

/** What the thread is asked: rows to classify. */
export interface ThreadRequest {
  readonly id: number
  readonly rows: Float32Array
  readonly count: number
}

/** An error, taken apart to pass between threads. */
export interface ThreadFault {
  readonly code: string
  readonly message: string
  readonly details: Readonly<Record<string, unknown>>
  readonly retriable: boolean
}

/** What it answers: that it is ready (or refuses the model), then one answer per request, in order. */
export type ThreadAnswer =
  | { readonly kind: 'ready' }
  | { readonly kind: 'refused'; readonly fault: ThreadFault }
  | { readonly kind: 'classified'; readonly id: number; readonly result: Classification }
  | { readonly kind: 'failed'; readonly id: number; readonly fault: ThreadFault }

interface Pending {
  resolve(result: Classification): void
  reject(error: LoyaltyError): void
}

/**
 * The ONNX classifier on a thread of its own: the runtime computes on the thread that calls it, which for a processor is
 * the one that everything waits for. Results are those of `openOnnxClassifier`. Errors: as there; `classifier_failed`
 * (retriable) for what was under way when the thread died.
 */
export async function openThreadedClassifier(card: ModelCard, bytes: Uint8Array): Promise<Classifier> {
  const worker = new Worker(new URL('./onnx-thread.ts', import.meta.url), { workerData: { card, bytes } })
  const classifier = new ThreadedClassifier(card, worker)
  await classifier.started
  return classifier
}

class ThreadedClassifier implements Classifier {
  readonly model: Classifier['model']
  readonly features: readonly string[]
  readonly segments: readonly string[]
  readonly started: Promise<void>
  readonly #worker: Worker
  readonly #pending = new Map<number, Pending>()
  #nextId = 0
  #ended: LoyaltyError | null = null

  constructor(card: ModelCard, worker: Worker) {
    this.model = { id: card.id, version: card.version }
    this.features = card.features
    this.segments = card.segments
    this.#worker = worker
    this.started = new Promise((resolve, reject) => {
      worker.on('message', (answer: ThreadAnswer) => {
        if (answer.kind === 'ready') resolve()
        else if (answer.kind === 'refused') reject(errorOf(answer.fault))
        else this.#settle(answer)
      })
      worker.once('error', (cause) => reject(this.#end(messageOf(cause))))
      worker.once('exit', () => reject(this.#end('its thread ended')))
    })
    // It is waited for by whoever opens; later ends are told to the requests under way.
    this.started.catch(() => {})
  }

  classify(rows: Float32Array, count: number): Promise<Classification> {
    if (this.#ended !== null) return Promise.reject(this.#ended)
    const id = this.#nextId++
    // The caller's memory is used again at once: the thread gets a copy, which moves without another.
    const copy = rows.slice()
    this.#worker.postMessage({ id, rows: copy, count } satisfies ThreadRequest, [copy.buffer])
    return new Promise((resolve, reject) => this.#pending.set(id, { resolve, reject }))
  }

  async close(): Promise<void> {
    this.#end('it was closed')
    await this.#worker.terminate()
  }

  #settle(answer: Extract<ThreadAnswer, { id: number }>): void {
    const pending = this.#pending.get(answer.id)
    this.#pending.delete(answer.id)
    if (answer.kind === 'classified') pending?.resolve(answer.result)
    else pending?.reject(errorOf(answer.fault))
  }

  #end(why: string): LoyaltyError {
    this.#ended ??= new LoyaltyError(
      'classifier_failed',
      `${this.model.id}/${this.model.version} cannot classify: ${why}`,
      {
        retriable: true,
        details: { ...this.model },
      },
    )
    for (const { reject } of this.#pending.values()) reject(this.#ended)
    this.#pending.clear()
    return this.#ended
  }
}

function errorOf({ code, message, details, retriable }: ThreadFault): LoyaltyError {
  return new LoyaltyError(code, message, { details: { ...details }, retriable })
}
