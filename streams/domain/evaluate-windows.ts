import type { Values } from './values.ts'

/** A sale within 365 days; `counted` is 1 or 0. */
export function addToWindows(
  timeMs: number,
  amountMinor: number,
  counted: number,
  from30Ms: number,
  from90Ms: number,
  out: Values,
): void {
  out.purchases365d += counted
  out.spend365dMinor += amountMinor
  if (timeMs < from90Ms) return
  out.purchases90d += counted
  out.spend90dMinor += amountMinor
  if (timeMs < from30Ms) return
  out.purchases30d += counted
  out.spend30dMinor += amountMinor
}
