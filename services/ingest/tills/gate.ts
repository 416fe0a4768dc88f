import { LoyaltyError } from '#streams/core/error.ts'

export interface GateLimits {
  readonly requests: number
  readonly bytes: number
}

/** Bounds what is under way at once: requests, and the bytes of their bodies until the log has them. */
export class Gate {
  readonly #limits: GateLimits
  #requests = 0
  #bytes = 0

  constructor(limits: GateLimits) {
    this.#limits = limits
  }

  /** Errors: `too_busy`. */
  enter(): Ticket {
    if (this.#requests >= this.#limits.requests || this.#bytes >= this.#limits.bytes) throw tooBusy()
    this.#requests++
    let held = 0
    let open = true
    return {
      take: (bytes) => {
        // A single request always gets on: what it may hold at most is bounded elsewhere.
        if (this.#bytes > held && this.#bytes + bytes > this.#limits.bytes) throw tooBusy()
        held += bytes
        this.#bytes += bytes
      },
      give: () => {
        this.#bytes -= held
        held = 0
      },
      leave: () => {
        if (!open) return
        open = false
        this.#requests--
        this.#bytes -= held
        held = 0
      },
    }
  }
}

/** A request's share of what may be under way. */
export interface Ticket {
  /** Errors: `too_busy`. */
  take(bytes: number): void
  /** Gives back what was taken so far. */
  give(): void
  /** Gives back everything, and its place. */
  leave(): void
}

function tooBusy(): LoyaltyError {
  return new LoyaltyError('too_busy', 'more is under way than can be held; send it again after Retry-After seconds')
}
