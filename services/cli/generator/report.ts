import type { Pace } from './pace.ts'
import type { GeneratorCounts, TransactionGenerator } from './transactions.ts'

/** How events are let go, and who hears of it. */
export interface Run {
  /** Events per second; absent: as fast as they are taken. */
  readonly ratePerSecond?: number | undefined
  /** Hears how many are out. */
  readonly onProgress?: ((events: number) => void) | undefined
  /** Ends the run early: what was begun is finished, and reported. */
  readonly signal?: AbortSignal | undefined
}

export const never = new AbortController().signal

export interface GenerateReport extends GeneratorCounts {
  /** Events that are out, repetitions included. */
  readonly events: number
  readonly seconds: number
  readonly per_second: number
  /** True where the run was ended before all events were out. */
  readonly interrupted: boolean
}

export function reportOf(
  { counts }: TransactionGenerator,
  { events, pace, wanted }: { readonly events: number; readonly pace: Pace; readonly wanted: number },
): GenerateReport {
  const seconds = Math.round(pace.seconds * 1_000) / 1_000
  const perSecond = seconds > 0 ? Math.round(events / seconds) : events
  return { events, ...counts, seconds, per_second: perSecond, interrupted: events < wanted }
}
