import type { Worker } from 'node:worker_threads'
import { LoyaltyError, messageOf } from '#streams/core/error.ts'
import { errorOf, type Fault } from '#streams/core/fault.ts'
import type { HostView, TaskHost } from './hosts.ts'

/** What a thread is asked: a call of its host, all of which take nothing and answer plain data. */
export interface ThreadRequest {
  readonly id: number
  readonly call: keyof TaskHost
}

/** What it answers; `failed`, unasked, when an error has reached the top of it. */
export type ThreadAnswer =
  | { readonly kind: 'done'; readonly id: number; readonly result: unknown }
  | { readonly kind: 'fault'; readonly id: number; readonly fault: Fault }
  | { readonly kind: 'failed'; readonly reason: string }

export interface ThreadHostOptions {
  /** Number of the thread, from 1. */
  readonly thread: number
  /** Runs `serveTaskHost`. */
  readonly worker: Worker
  /** Told once, when the thread cannot go on or is gone without having been asked to: the process is to end then. */
  readonly onFailure: (error: LoyaltyError) => void
}

interface Pending {
  resolve(result: unknown): void
  reject(error: LoyaltyError): void
}

/**
 * A host whose tasks run on a thread of its own. Errors: as there; `thread_failed` for what was asked of a thread that
 * is gone.
 */
export class ThreadHost implements TaskHost {
  readonly #options: ThreadHostOptions
  readonly #pending = new Map<number, Pending>()
  readonly #gone: Promise<void>
  #nextId = 0
  #failure: LoyaltyError | null = null
  #closing: Promise<void> | undefined
  #ended = false

  constructor(options: ThreadHostOptions) {
    this.#options = options
    const { worker } = options
    worker.on('message', (answer: ThreadAnswer) => this.#settle(answer))
    worker.on('messageerror', (error) => this.#fail(messageOf(error)))
    worker.on('error', (error) => this.#fail(messageOf(error)))
    this.#gone = new Promise((resolve) => {
      worker.on('exit', (code) => {
        this.#ended = true
        if (this.#closing === undefined) this.#fail(`it ended by itself with code ${code}`)
        this.#rejectAll(failed(options.thread, 'it has ended'))
        resolve()
      })
    })
  }

  async prepare(): Promise<void> {
    await this.#ask('prepare')
  }

  async start(): Promise<void> {
    await this.#ask('start')
  }

  view(): Promise<HostView> {
    return this.#whileThere('view', { joined: false, tasks: [] })
  }

  metrics(): ReturnType<TaskHost['metrics']> {
    return this.#whileThere('metrics', [])
  }

  /** What the thread answers, or `nothing` of one that was closed, also where it ends before it has answered. */
  async #whileThere<T>(call: keyof TaskHost, nothing: T): Promise<T> {
    try {
      return (await this.#ask(call)) as T
    } catch (error) {
      if (!this.#ended || this.#closing === undefined || this.#failure !== null) throw error
      return nothing
    }
  }

  /**
   * Resolves when the thread has ended. It is asked to, never terminated: a thread that is terminated inside a native
   * library takes the whole process along.
   */
  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    if (this.#ended) return
    try {
      await this.#ask('close')
    } catch (error) {
      // Of one that failed before everything is said already.
      if (this.#failure === null) throw error
    }
    await this.#gone
  }

  #ask(call: keyof TaskHost): Promise<unknown> {
    if (this.#ended) return Promise.reject(this.#failure ?? failed(this.#options.thread, 'it has ended'))
    const id = this.#nextId++
    this.#options.worker.postMessage({ id, call } satisfies ThreadRequest)
    return new Promise((resolve, reject) => this.#pending.set(id, { resolve, reject }))
  }

  #settle(answer: ThreadAnswer): void {
    if (answer.kind === 'failed') {
      this.#fail(answer.reason)
      return
    }
    const pending = this.#pending.get(answer.id)
    this.#pending.delete(answer.id)
    if (answer.kind === 'done') pending?.resolve(answer.result)
    else pending?.reject(errorOf(answer.fault))
  }

  #fail(why: string): void {
    if (this.#failure !== null) return
    this.#failure = failed(this.#options.thread, why)
    this.#options.onFailure(this.#failure)
  }

  #rejectAll(error: LoyaltyError): void {
    for (const { reject } of this.#pending.values()) reject(this.#failure ?? error)
    this.#pending.clear()
  }
}

function failed(thread: number, why: string): LoyaltyError {
  return new LoyaltyError('thread_failed', `thread ${thread} of the processor failed: ${why}`, { details: { thread } })
}
