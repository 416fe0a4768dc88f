import { setTimeout as delay } from 'node:timers/promises'

/** Keeps work at a rate: what falls behind catches up, what is ahead waits. */
export class Pace {
  readonly #startMs = performance.now()
  readonly #perSecond: number | null

  /** `perSecond`: null for as fast as it goes. */
  constructor(perSecond: number | null) {
    this.#perSecond = perSecond
  }

  /** Events of one turn: of 10 ms, often enough to look like single tills and seldom enough to cost little. */
  turn(most: number): number {
    return this.#perSecond === null ? most : Math.min(most, Math.max(1, Math.round(this.#perSecond / 100)))
  }

  /** Events to take at once from this number on, from 0: a turn, or all that are overdue by now, so that slow answers cost no rate. */
  take(number: number, most: number): number {
    if (this.#perSecond === null) return most
    return Math.min(most, Math.max(this.turn(most), Math.floor(this.seconds * this.#perSecond) - number))
  }

  /** Resolves when the event with this number, from 0, is due, or `signal` is aborted. */
  async due(number: number, signal: AbortSignal): Promise<void> {
    if (this.#perSecond === null) return
    const waitMs = this.#startMs + (number / this.#perSecond) * 1_000 - performance.now()
    if (waitMs > 0) await delay(waitMs, undefined, { signal }).catch(() => {})
  }

  get seconds(): number {
    return (performance.now() - this.#startMs) / 1_000
  }
}
