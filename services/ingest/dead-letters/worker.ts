import { setTimeout as sleep } from 'node:timers/promises'
import { LoyaltyError, messageOf } from '#streams/core/error.ts'
import type { Logger } from '../../platform/logging.ts'
import type { ActionRunner } from './runner.ts'
import type { ActionStore } from './store.ts'

const idleMs = 1_000

/** Looks for actions to work on, until it is stopped; one under way is left to the next start. */
export class DeadLetterWorker {
  readonly #runner: ActionRunner
  readonly #store: ActionStore
  readonly #logger: Logger
  readonly #stop = new AbortController()
  #wake = new AbortController()
  #running: Promise<void> | null = null

  constructor(runner: ActionRunner, store: ActionStore, logger: Logger) {
    this.#runner = runner
    this.#store = store
    this.#logger = logger
  }

  start(): void {
    this.#running ??= this.#run()
  }

  /** There is a new action: no need to wait for the next look. */
  wake(): void {
    this.#wake.abort()
  }

  async stop(): Promise<void> {
    this.#stop.abort(new LoyaltyError('stopping', 'ingest is stopping', { retriable: true }))
    await this.#running
  }

  async #run(): Promise<void> {
    const { signal } = this.#stop
    while (!signal.aborted) {
      this.#wake = new AbortController()
      try {
        if (await this.#store.anyOpen()) await this.#runner.work(signal)
      } catch (error) {
        if (signal.aborted) return
        this.#logger.warn({ error }, `the work on dead letters pauses: ${messageOf(error)}`)
      }
      await sleep(idleMs, undefined, { signal: AbortSignal.any([this.#wake.signal, signal]) }).catch(() => {})
    }
  }
}
