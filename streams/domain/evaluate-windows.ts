import type { AsOf } from './context.ts'
import type { Values } from './values.ts'

/** Adds sales of one time, which lies within 365 days, to the windows that they fall into. */
export function addToWindows(timeMs: number, counted: number, grossMinor: number, asOf: AsOf, out: Values): void {
  out.purchases365d += counted
  out.spend365dMinor += grossMinor
  if (timeMs < asOf.from90Ms) return
  out.purchases90d += counted
  out.spend90dMinor += grossMinor
  if (timeMs < asOf.from30Ms) return
  out.purchases30d += counted
  out.spend30dMinor += grossMinor
}
