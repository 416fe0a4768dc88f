import { Worker } from 'node:worker_threads'
import { LoyaltyError, messageOf } from '../core/error.ts'
import { errorOf, type Fault } from '../core/fault.ts'
import type { Classification, Classifier } from './classifier.ts'
import type { ModelCard } from './model-card.ts'

/** What the thread is asked: rows to classify, or to end. */
export type ThreadRequest =
  | { readonly kind: 'classify'; readonly id: number; readonly rows: Float32Array; readonly count: number }
  | { readonly kind: 'close' }

/** What it answers: that it is ready (or refuses the model), then one answer per request, in order. */
export type ThreadAnswer =
  | { readonly kind: 'ready' }
  | { readonly kind: 'refused'; readonly fault: Fault }
  | { readonly kind: 'classified'; readonly id: number; readonly result: Classification }
  | { readonly kind: 'failed'; readonly id: number; readonly fault: Fault }

/** Starts the thread of a model. */
export type StartThread = (card: ModelCard, bytes: Uint8Array) => Worker

const startOnnxThread: StartThread = (card, bytes) =>
  new Worker(new URL('./onnx-thread.ts', import.meta.url), { workerData: { card, bytes } })

/**
 * The ONNX classifier on a thread of its own: the runtime computes on the thread that calls it, which for a processor is
 * the one that everything waits for. Results are those of `openOnnxClassifier`. A thread that dies fails what was under
 * way; the next call opens another one.
 *
 * Errors: as there; `classifier_failed` (retriable) for what was under way when the thread died.
 */
export async function openThreadedClassifier(
  card: ModelCard,
  bytes: Uint8Array,
  start: StartThread = startOnnxThread,
): Promise<Classifier> {
  const classifier = new ThreadedClassifier(card, () => start(card, bytes))
  await classifier.open()
  return classifier
}

class ThreadedClassifier implements Classifier {
  readonly model: Classifier['model']
  readonly features: readonly string[]
  readonly segments: readonly string[]
  readonly #start: () => Worker
  #thread: ModelThread | null = null
  #closed = false

  constructor(card: ModelCard, start: () => Worker) {
    this.model = { id: card.id, version: card.version }
    this.features = card.features
    this.segments = card.segments
    this.#start = start
  }

  async open(): Promise<void> {
    await this.#living().ready
  }

  async classify(rows: Float32Array, count: number): Promise<Classification> {
    if (this.#closed) throw failed(this.model, 'it was closed')
    // The caller's memory is used again at once: the thread gets a copy, which moves without another.
    return this.#living().classify(rows.slice(), count)
  }

  async close(): Promise<void> {
    this.#closed = true
    await this.#thread?.close()
  }

  /** The thread in use, or a new one where it has died. */
  #living(): ModelThread {
    if (this.#thread === null || this.#thread.ended) this.#thread = new ModelThread(this.model, this.#start())
    return this.#thread
  }
}

interface Pending {
  resolve(result: Classification): void
  reject(error: LoyaltyError): void
}

/** One life of the thread. Requests may be sent before it is ready: they wait in its inbox. */
class ModelThread {
  readonly ready: Promise<void>
  readonly #model: Classifier['model']
  readonly #worker: Worker
  readonly #pending = new Map<number, Pending>()
  #nextId = 0
  #ended: LoyaltyError | null = null
  #gone = false

  constructor(model: Classifier['model'], worker: Worker) {
    this.#model = model
    this.#worker = worker
    this.ready = new Promise((resolve, reject) => {
      worker.on('message', (answer: ThreadAnswer) => {
        if (answer.kind === 'ready') resolve()
        else if (answer.kind === 'refused') reject(this.#end(errorOf(answer.fault)))
        else this.#settle(answer)
      })
      worker.on('error', (cause) => reject(this.#end(failed(this.#model, messageOf(cause)))))
      worker.on('exit', () => {
        this.#gone = true
        reject(this.#end(failed(this.#model, 'its thread ended')))
      })
    })
    // It is waited for by whoever opens; other ends are told to the requests under way.
    this.ready.catch(() => {})
  }

  get ended(): boolean {
    return this.#ended !== null
  }

  /** `rows` moves to the thread. */
  classify(rows: Float32Array, count: number): Promise<Classification> {
    const id = this.#nextId++
    const request: ThreadRequest = { kind: 'classify', id, rows, count }
    this.#worker.postMessage(request, [rows.buffer as ArrayBuffer])
    return new Promise((resolve, reject) => this.#pending.set(id, { resolve, reject }))
  }

  /**
   * Fails what is under way and resolves when the thread has ended. It is asked to end, not terminated: a thread that is
   * terminated inside a run of the native library takes the whole process along.
   */
  async close(): Promise<void> {
    if (this.#gone) return
    const gone = new Promise((resolve) => this.#worker.once('exit', resolve))
    this.#end(failed(this.#model, 'it was closed'))
    this.#worker.postMessage({ kind: 'close' } satisfies ThreadRequest)
    await gone
  }

  #settle(answer: Extract<ThreadAnswer, { id: number }>): void {
    const pending = this.#pending.get(answer.id)
    this.#pending.delete(answer.id)
    if (answer.kind === 'classified') pending?.resolve(answer.result)
    else pending?.reject(errorOf(answer.fault))
  }

  /** Fails every request under way; the first reason stays. */
  #end(why: LoyaltyError): LoyaltyError {
    this.#ended ??= why
    for (const { reject } of this.#pending.values()) reject(this.#ended)
    this.#pending.clear()
    return this.#ended
  }
}

function failed(model: Classifier['model'], why: string): LoyaltyError {
  return new LoyaltyError('classifier_failed', `${model.id}/${model.version} cannot classify: ${why}`, {
    retriable: true,
    details: { ...model },
  })
}
