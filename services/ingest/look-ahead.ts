import { setTimeout as sleep } from 'node:timers/promises'
import { LoyaltyError, messageOf } from '#streams/core/error.ts'
import type { Logger } from '../platform/logging.ts'
import type { UploadTask } from './store/uploads.ts'
import type { Hindrance } from './stream-watch.ts'

export interface LookAheadDeps {
  /** The upload whose turn it is. */
  readonly first: UploadTask
  /** Takes the oldest open task but for those named; null where there is none. */
  readonly claim: (passingOver: readonly string[]) => Promise<UploadTask | null>
  /** Gets a task as far as it may come before its turn. Rejects with a retriable error where it is worth trying again. */
  readonly getReady: (task: UploadTask) => Promise<void>
  /** Says what a task waits for that has been got ready. */
  readonly tell: (task: UploadTask, hindrance: Hindrance) => Promise<void>
  /** Asked while there is nothing to get ready. */
  readonly idle: () => Promise<void>
  readonly logger: Logger
  readonly signal: AbortSignal
}

const idleMs = 500

/**
 * Uploads end one after the other: the clock, and the calibration at a programme's beginning, need them whole and in order.
 * So while one waits for a stream that does not get on, those behind it are only got ready, each once; their turn comes
 * when it has ended.
 */
export class LookAhead {
  readonly #deps: LookAheadDeps
  readonly #seen: string[]
  readonly #ended = new AbortController()
  #hindrance: Hindrance | null = null
  #running: Promise<void> | null = null

  constructor(deps: LookAheadDeps) {
    this.#deps = deps
    this.#seen = [deps.first.taskId]
  }

  /** Begins when something hinders the first upload, and takes no further one once nothing does. */
  hindered(hindrance: Hindrance | null): void {
    this.#hindrance = hindrance
    if (hindrance === null || this.#ended.signal.aborted) return
    this.#running ??= this.#run().finally(() => {
      this.#running = null
    })
  }

  /** Resolves once no upload is being got ready: the next may have its turn. */
  async end(): Promise<void> {
    this.#ended.abort()
    await this.#running
  }

  async #run(): Promise<void> {
    const { logger, signal } = this.#deps
    const over = AbortSignal.any([signal, this.#ended.signal])
    while (this.#hindrance !== null && !over.aborted) {
      let busy = false
      try {
        busy = await this.#next(this.#hindrance)
      } catch (error) {
        if (!signal.aborted) logger.warn({ error }, `an upload could not be got ready: ${messageOf(error)}`)
      }
      if (!busy) await sleep(idleMs, undefined, { signal: over }).catch(() => {})
    }
  }

  /** False where there was nothing to do. */
  async #next(hindrance: Hindrance): Promise<boolean> {
    const { first, claim, getReady, tell, idle } = this.#deps
    const task = await claim(this.#seen)
    if (task === null) {
      await idle()
      return false
    }
    await getReady(task)
    this.#seen.push(task.taskId)
    await tell(
      task,
      new LoyaltyError(
        'upload_waits',
        `uploads end one after the other, and ${first.fileName} (task ${first.taskId}) is before this one: ${hindrance.message}`,
        { retriable: true, details: { task_id: first.taskId, code: hindrance.code } },
      ),
    )
    return true
  }
}
