import type { Phase } from './store/phases.ts'

/** Where each phase begins on the way from 0 to 100; measured on the sample, and no more than a guess for other files. */
const beginnings: readonly (readonly [Phase, number])[] = [
  ['reading', 0],
  ['grouping', 20],
  ['publishing', 35],
  ['streaming', 50],
  ['calibrating', 75],
  ['sweeping', 80],
  ['projecting', 88],
  ['done', 100],
]

const everyMs = 200

/** Turns phases and shares into a percentage, told now and then, and measures how long each phase takes. */
export class ProgressMeter {
  readonly #tell: (phase: Phase, percentage: number) => void
  readonly #seconds = new Map<Phase, number>()
  readonly #startedMs: number
  #phase: Phase | null = null
  #phaseStartedMs = 0
  #toldMs = 0

  /** `elapsedMs`: spent by earlier attempts, and between them. */
  constructor(tell: (phase: Phase, percentage: number) => void, elapsedMs = 0) {
    this.#tell = tell
    this.#startedMs = performance.now() - elapsedMs
  }

  begin(phase: Phase): void {
    this.#endPhase()
    this.#phase = phase
    this.#phaseStartedMs = performance.now()
    this.#toldMs = 0
    this.share(0)
  }

  /** `share` of the current phase, 0 to 1. */
  share(share: number): void {
    const now = performance.now()
    if (this.#phase === null || now - this.#toldMs < everyMs) return
    this.#toldMs = now
    this.#tell(this.#phase, percentageOf(this.#phase, share))
  }

  /** Seconds by phase of this attempt, and in `total` those of all attempts. */
  seconds(): Record<string, number> {
    this.#endPhase()
    const seconds = Object.fromEntries([...this.#seconds].map(([phase, value]) => [phase, rounded(value)]))
    return { ...seconds, total: rounded((performance.now() - this.#startedMs) / 1000) }
  }

  #endPhase(): void {
    if (this.#phase === null) return
    const seconds = (performance.now() - this.#phaseStartedMs) / 1000
    this.#seconds.set(this.#phase, (this.#seconds.get(this.#phase) ?? 0) + seconds)
    this.#phase = null
  }
}

function percentageOf(phase: Phase, share: number): number {
  const index = beginnings.findIndex(([name]) => name === phase)
  const from = beginnings[index]?.[1] ?? 0
  const to = beginnings[index + 1]?.[1] ?? 100
  return Math.min(99, Math.floor(from + (to - from) * Math.min(1, Math.max(0, share))))
}

function rounded(seconds: number): number {
  return Math.round(seconds * 1000) / 1000
}
