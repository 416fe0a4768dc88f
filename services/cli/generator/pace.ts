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
