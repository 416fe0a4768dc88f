import type { Platform, ProgramName } from '#services/standalone/platform.ts'
import { commandOf } from '../bench/process-meter.ts'

const victims = ['ingest', 'processor', 'projector'] as const satisfies readonly ProgramName[]
export type Victim = (typeof victims)[number]

/**
 * Kills programs of a platform (SIGKILL) at given points of a run, each of the three before any a second time. The
 * supervisor starts them again.
 */
export class Killer {
  readonly kills: Record<Victim, number> = { ingest: 0, processor: 0, projector: 0 }
  readonly #platform: Platform
  readonly #random: () => number
  #due: number[]

  /** `times`: how often, at points that `random` (0 to 1) chooses, evenly spread over the run. */
  constructor(platform: Platform, times: number, random: () => number) {
    this.#platform = platform
    this.#random = random
    this.#due = Array.from({ length: times }, (_, kill) => (kill + 0.2 + 0.6 * random()) / times)
  }

  /** To be told again and again what share of the run is over; returns whom it killed, if anybody. */
  passed(share: number): Victim | null {
    if (this.#due.length === 0 || share < this.#due[0]!) return null
    const fewest = Math.min(...Object.values(this.kills))
    const candidates = victims.filter((name) => this.kills[name] === fewest && this.#pidOf(name) !== null)
    const victim = candidates[Math.floor(this.#random() * candidates.length)]
    // Nobody to kill: those that were killed are not back yet.
    if (victim === undefined) return null
    process.kill(this.#pidOf(victim)!, 'SIGKILL')
    this.#due.shift()
    this.kills[victim]++
    return victim
  }

  /** Null where it does not run: its number may be somebody else's by now. */
  #pidOf(name: Victim): number | null {
    const pid = this.#platform.pidOf(name)
    return pid !== undefined && commandOf(pid).includes(`services/${name}/main.ts`) ? pid : null
  }
}
