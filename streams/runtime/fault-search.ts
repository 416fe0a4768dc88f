import { LoyaltyError, messageOf } from '../core/error.ts'
import { cursorOf } from './position.ts'
import type { Slice } from './step.ts'
import type { Running, TaskDependencies } from './task-parts.ts'

/** Kinds of work that a step may take: control records, clients of a sweep, records of the input. */
export type Part = 'control' | 'clients' | 'records'

/** A count for each part: what waits, what a step may take at most, or what one took. */
export type Parts = Readonly<Record<Part, number>>

const parts = ['control', 'clients', 'records'] as const satisfies readonly Part[]
const nothing: Parts = { control: 0, clients: 0, records: 0 }

/**
 * Finds what makes steps fail where nothing outside explains it (runtime.md §3): a step that fails again is tried in its
 * parts, one after the other, so that it is known which of them fails; that part is halved until the record or client at
 * fault is alone. After successes steps grow again, and in the end take all parts together.
 */
export class FaultSearch {
  readonly #full: Parts
  readonly #bounds: Record<Part, number>
  #failures = 0
  #apart = false
  /** While apart: whose turn it is, and the parts that have not succeeded alone yet. */
  #turn: Part = 'control'
  readonly #suspects = new Set<Part>()

  constructor(full: Parts) {
    this.#full = full
    this.#bounds = { ...full }
  }

  /** What the next step may take of the work that there is. */
  limits(work: Parts): Parts {
    if (!this.#apart) return { ...this.#bounds }
    const turn = [...parts, ...parts].slice(parts.indexOf(this.#turn)).find((part) => work[part] > 0)
    if (turn === undefined) return nothing
    this.#turn = turn
    return { ...nothing, [turn]: this.#bounds[turn] }
  }

  /** A step failed. Answers the part at fault where it was alone and had nothing left to halve, otherwise null: try again. */
  failed(taken: Parts): Part | null {
    this.#failures += 1
    const mixed = parts.filter((part) => taken[part] > 0)
    const [alone] = mixed
    if (this.#failures === 1 || alone === undefined) return null
    if (mixed.length > 1) {
      this.#apart = true
      this.#turn = alone
      for (const part of mixed) this.#suspects.add(part)
      return null
    }
    if (taken[alone] === 1) return alone
    this.#bounds[alone] = Math.max(1, Math.floor(Math.min(this.#bounds[alone], taken[alone]) / 2))
    return null
  }

  /** A step succeeded: grow back; the next part has its turn. */
  succeeded(taken: Parts): void {
    this.#failures = 0
    for (const part of parts) {
      if (taken[part] === 0) continue
      this.#bounds[part] = Math.min(this.#full[part], this.#bounds[part] * 2)
      this.#suspects.delete(part)
      this.#turn = parts[(parts.indexOf(part) + 1) % parts.length]!
    }
    if (this.#suspects.size === 0 && parts.every((part) => this.#bounds[part] === this.#full[part])) this.#apart = false
  }
}

/** What a step took, or would have: how many clients were left of a sweep is not asked. */
export function takenBy(slice: Slice, sweeping: boolean): Parts {
  return {
    control: slice.control.length,
    // A control record may have begun a sweep in the same step.
    clients: sweeping || slice.control.length > 0 ? slice.clients : 0,
    records: slice.batches.reduce((sum, { count }) => sum + count, 0),
  }
}

/** The error that stops a task for what was found: with the offset, or the client's key. */
export function faultOf<Context>(
  part: Part,
  { topics, partition }: TaskDependencies<Context>,
  running: Running<Context>,
  slice: Slice,
  cause: unknown,
): LoyaltyError {
  const message = messageOf(cause)
  if (part === 'clients') {
    const after = running.position.sweep
    const client = clientBehind(running)
    const who = client === null ? `the client behind key ${after || '(none)'}` : `client ${client}`
    const details = { client, after }
    return new LoyaltyError('client_at_fault', `partition ${partition}, ${who}: ${message}`, { cause, details })
  }
  if (part === 'control') {
    const offset = slice.control[0]?.offset ?? null
    const details = { offset }
    return new LoyaltyError('control_at_fault', `${topics.control}[0] offset ${offset}: ${message}`, { cause, details })
  }
  const offset = slice.batches[0]?.records[0]?.offset ?? null
  const place = `${topics.input}[${partition}] offset ${offset}`
  return new LoyaltyError('record_at_fault', `${place}: ${message}`, { cause, details: { offset } })
}

/** Key of the client that a slice of one takes; null where its state is what cannot be read. */
function clientBehind<Context>({ logic, context, position }: Running<Context>): string | null {
  try {
    const key = logic.begin(context, false).sweep(cursorOf(position.sweep), 1, 'context')
    return key === null ? null : Buffer.from(key).toString()
  } catch {
    return null
  }
}
