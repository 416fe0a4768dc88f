import { setTimeout as sleep } from 'node:timers/promises'
import { LoyaltyError } from '#streams/core/error.ts'
import type { Missing } from './completion.ts'
import type { StreamStatus, StreamTask } from './ports.ts'

/** Why work waits that goes on by itself once the cause is mended: an error that is told, not thrown. */
export type Hindrance = LoyaltyError

export interface StreamWatchDeps {
  /** Null: nobody can be asked, so nothing is known to be wrong. */
  readonly status: StreamStatus | null
  /** Hears every verdict; null: nothing is known to be wrong. Must not reject. */
  readonly tell: (hindrance: Hindrance | null) => Promise<void>
  /** Between two looks; default 1 s. */
  readonly everyMs?: number | undefined
  /** How long the stream may stand still without an answer of its processor; default 15 s: a restart or a handover is shorter. */
  readonly unreachableAfterMs?: number | undefined
}

/**
 * Committed positions say how far the stream is, but not why it stands still. This looks at the processors while somebody
 * waits for positions, and says what hinders them.
 */
export class StreamWatch {
  readonly #deps: StreamWatchDeps

  constructor(deps: StreamWatchDeps) {
    this.#deps = deps
  }

  /** Watches until `work` ends, and ends as it does. `missing` tells what the work waits for. */
  async during<T>(work: Promise<T>, missing: () => readonly Missing[]): Promise<T> {
    if (this.#deps.status === null) return (await Promise.all([work, this.#deps.tell(null)]))[0]
    const ended = new AbortController()
    const watching = this.#watch(this.#deps.status, missing, ended.signal)
    try {
      return await work
    } finally {
      ended.abort()
      await watching
    }
  }

  async #watch(status: StreamStatus, missing: () => readonly Missing[], signal: AbortSignal): Promise<void> {
    const { tell, everyMs = 1_000, unreachableAfterMs = 15_000 } = this.#deps
    let stand = ''
    let aliveMs = performance.now()
    // An answer may be long in coming (a name server that is away), and nobody waits for it when the work has ended.
    const over = new Promise<null>((resolve) => {
      signal.addEventListener('abort', () => resolve(null))
    })
    while (!signal.aborted) {
      const tasks = await Promise.race([status.tasks(signal), over])
      if (signal.aborted) return
      const waiting = missing()
      const now = performance.now()
      const before = stand
      stand = waiting.map(({ partition, position }) => `${partition}:${position?.step}`).join(' ')
      const unowned = waiting.filter(({ partition }) => !tasks?.some((task) => task.partition === partition))
      if (stand !== before || unowned.length === 0) aliveMs = now
      await tell(
        stoppedAt(waiting, tasks ?? []) ?? (now - aliveMs < unreachableAfterMs ? null : unreachable(unowned, tasks)),
      )
      await sleep(everyMs, undefined, { signal }).catch(() => {})
    }
  }
}

/** A partition that moved is told of twice for a moment; it is stopped when nobody says otherwise. */
function stoppedAt(waiting: readonly Missing[], tasks: readonly StreamTask[]): Hindrance | null {
  const stopped = waiting.flatMap(({ partition, position }) => {
    const told = tasks.filter((task) => task.partition === partition)
    if (told.length === 0 || told.some(({ state }) => state !== 'stopped')) return []
    return [{ partition, offset: position?.transactions ?? null, ...(told[0]!.fault ?? { code: null, message: null }) }]
  })
  if (stopped.length === 0) return null
  const places = stopped.map(({ partition, offset, code, message }) => {
    const place = `partition ${partition}${offset === null ? '' : ` before offset ${offset}`}`
    return code === null ? place : `${place} (${code}: ${message})`
  })
  return new LoyaltyError(
    'processor_stopped',
    `the stream processor has stopped at ${places.join('; ')}. Once the cause is mended and the processor restarted this ` +
      'goes on by itself',
    { retriable: true, details: { stopped } },
  )
}

function unreachable(unowned: readonly Missing[], tasks: readonly StreamTask[] | null): Hindrance {
  const partitions = unowned.map(({ partition }) => partition)
  const who = tasks === null ? 'no stream processor answers' : 'no stream processor that answers has the partition'
  return new LoyaltyError(
    'processor_unreachable',
    `${who}, and nothing is taken in at partition ${partitions.join(', ')}. Start the processor, or set ` +
      'LOYALTY_PROCESSOR_URL to where it is: this goes on by itself then',
    { retriable: true, details: { partitions } },
  )
}
