import type { DeadLetterReason } from '#schemas/dead-letter.ts'
import type { LeftReason, Verdict } from './judge.ts'
import type { LetterSelector } from './selector.ts'

/** What became of the letters of an action, or would become of them. */
export interface Tally {
  /** Open letters that were meant; the others below sum to it. */
  selected: number
  replayed: number
  discarded: number
  readonly left: Partial<Record<LeftReason, number>>
  /** Of `left.still_invalid`, by what the stream would say. */
  readonly still_invalid: Partial<Record<DeadLetterReason, number>>
}

/**
 * Of the letters that a selector names by id: how many an action that has ended did not find open, as they are not there,
 * were dealt with before, or are not what the selector says besides. Null where it names none.
 */
export function notOpenOf({ id }: LetterSelector, { selected }: Tally): number | null {
  return id === undefined ? null : new Set(id).size - selected
}

export function emptyTally(): Tally {
  return { selected: 0, replayed: 0, discarded: 0, left: {}, still_invalid: {} }
}

export function countVerdict(tally: Tally, verdict: Verdict): void {
  tally.selected++
  if (verdict.kind === 'replay') {
    tally.replayed++
    return
  }
  tally.left[verdict.why] = (tally.left[verdict.why] ?? 0) + 1
  if (verdict.reason !== null) tally.still_invalid[verdict.reason] = (tally.still_invalid[verdict.reason] ?? 0) + 1
}
