import { asOf, type Context } from './context.ts'
import { evaluate } from './evaluate.ts'
import type { Ledger } from './ledger.ts'
import { quantileOf } from './scoring.ts'
import type { SegmentId } from './segments.ts'
import { newValues, type Values } from './values.ts'

/** What a client did in the days after a date. */
export interface Horizon {
  /** Counted sales. */
  readonly purchases: number
  /** By how much net monetary grew; negative where refunds prevailed. */
  readonly netMinor: number
}

const after = newValues()

/**
 * What came in the `days` days after the context's date, as known at their end. `before` are the client's values at the
 * date. Errors: RangeError where the context has no date.
 */
export function horizonOf(ledger: Ledger, context: Context, before: Values, days: number): Horizon {
  const { calendar } = context
  const { date } = context.asOf
  if (date === null) throw new RangeError('a horizon begins at a date')
  const fromMs = calendar.startOf(date + 1)
  const end = { ...asOf(calendar, date + days), from30Ms: fromMs, from90Ms: fromMs, from365Ms: fromMs }
  evaluate(ledger, { ...context, asOf: end, cutPoints: null }, after)
  return { purchases: after.purchases30d, netMinor: after.monetaryNetMinor - before.monetaryNetMinor }
}

/** From which net spend on a buyer is in the top fifth; Infinity where nobody bought. */
export function topFifth(horizons: readonly Horizon[]): number {
  const spends = Float64Array.from(
    horizons.filter(({ purchases }) => purchases > 0),
    ({ netMinor }) => netMinor,
  )
  return spends.length === 0 ? Number.POSITIVE_INFINITY : quantileOf(spends)(0.8)
}

/**
 * The segment that a client turned out to belong to, for training. `values` are those at the date, with at least one
 * counted sale; `topFifthMinor` comes from all clients of the same date. A client that is new is new whatever follows.
 */
export function labelOf(values: Values, horizon: Horizon, topFifthMinor: number): SegmentId {
  const tenureDays = values.recencyDays + values.lastPurchaseDay - values.firstPurchaseDay
  if (tenureDays < 30) return 'new'
  if (horizon.purchases > 0) return horizon.netMinor >= topFifthMinor ? 'champions' : 'loyal'
  return values.recencyDays < 180 ? 'at_risk' : 'sleeping'
}
