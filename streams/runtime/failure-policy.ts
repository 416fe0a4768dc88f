import { LoyaltyError } from '../core/error.ts'
import type { TaskSettings } from './settings.ts'

/** Waits between tries, doubling from `backoffMs` to `maxBackoffMs`. */
export class Backoff {
  readonly #settings: Pick<TaskSettings, 'backoffMs' | 'maxBackoffMs'>
  #next: number

  constructor(settings: Pick<TaskSettings, 'backoffMs' | 'maxBackoffMs'>) {
    this.#settings = settings
    this.#next = settings.backoffMs
  }

  /** Milliseconds to wait now. */
  next(): number {
    const wait = this.#next
    this.#next = Math.min(this.#next * 2, this.#settings.maxBackoffMs)
    return wait
  }

  reset(): void {
    this.#next = this.#settings.backoffMs
  }
}

/** Stops a task whose input went bad as a whole: counts dead letters over a sliding window of records. */
export class DeadLetterBreaker {
  readonly #settings: Pick<TaskSettings, 'deadLetterShare' | 'deadLetterWindow'>
  #records = 0
  #dead = 0

  constructor(settings: Pick<TaskSettings, 'deadLetterShare' | 'deadLetterWindow'>) {
    this.#settings = settings
  }

  /** Errors: `too_many_dead_letters` when the share is above the bound over at least a tenth of the window. */
  count(records: number, dead: number): void {
    const { deadLetterShare, deadLetterWindow } = this.#settings
    this.#records += records
    this.#dead += dead
    if (this.#records >= deadLetterWindow / 10 && this.#dead > this.#records * deadLetterShare)
      throw new LoyaltyError(
        'too_many_dead_letters',
        `${this.#dead} of the last ${this.#records} records went to dead letters; mend the source or raise the share, then restart the processor`,
        { details: { records: this.#records, dead: this.#dead, share: deadLetterShare } },
      )
    if (this.#records > deadLetterWindow) {
      this.#dead = Math.floor(this.#dead / 2)
      this.#records = Math.floor(this.#records / 2)
    }
  }
}
