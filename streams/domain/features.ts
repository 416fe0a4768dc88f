import type { Context } from './context.ts'
import { minorPerMajor } from './currency.ts'
import { none, type Values } from './values.ts'

/** Stands in a feature for a value that does not exist. No feature is ever NaN or infinite. */
export const substitute = -1

/** A named input of models. */
export interface Feature {
  readonly name: string
  readonly unit: 'days' | 'sales' | 'currency units' | 'share' | 'stores'
  readonly about: string
  /** `minorPerMajor` turns money into units of the programme's currency. */
  readonly read: (values: Values, minorPerMajor: number) => number
}

/**
 * Every feature there is, for inference and training export alike; a model card picks among the names. Values are as of
 * the context's date. Money is in units of the programme's currency, unscaled: a model of trees asks for order only, and
 * people can read it. A day count that does not exist is -1.
 */
export const features: readonly Feature[] = [
  {
    name: 'recency_days',
    unit: 'days',
    about: 'Days since the last counted sale; 0 on the day itself, -1 without one.',
    read: (values) => orSubstitute(values.recencyDays),
  },
  {
    name: 'tenure_days',
    unit: 'days',
    about: 'Days since the first counted sale; -1 without one.',
    read: (values) =>
      values.recencyDays === none ? substitute : values.recencyDays + values.lastPurchaseDay - values.firstPurchaseDay,
  },
  {
    name: 'frequency',
    unit: 'sales',
    about: 'Counted sales: neither voided nor fully refunded.',
    read: (values) => values.frequency,
  },
  {
    name: 'monetary_gross',
    unit: 'currency units',
    about: 'Sum of sales not voided.',
    read: (values, unit) => values.monetaryGrossMinor / unit,
  },
  {
    name: 'monetary_net',
    unit: 'currency units',
    about: 'Gross less refunds; may be negative.',
    read: (values, unit) => values.monetaryNetMinor / unit,
  },
  {
    name: 'mean_receipt',
    unit: 'currency units',
    about: 'Gross per sale not voided; 0 without one.',
    read: (values, unit) => values.meanReceiptMinor / unit,
  },
  {
    name: 'purchases_30d',
    unit: 'sales',
    about: 'Counted sales in the last 30 days, the date included.',
    read: (values) => values.purchases30d,
  },
  {
    name: 'purchases_90d',
    unit: 'sales',
    about: 'Counted sales in the last 90 days.',
    read: (values) => values.purchases90d,
  },
  {
    name: 'purchases_365d',
    unit: 'sales',
    about: 'Counted sales in the last 365 days.',
    read: (values) => values.purchases365d,
  },
  {
    name: 'spend_30d',
    unit: 'currency units',
    about: 'Gross in the last 30 days.',
    read: (values, unit) => values.spend30dMinor / unit,
  },
  {
    name: 'spend_90d',
    unit: 'currency units',
    about: 'Gross in the last 90 days.',
    read: (values, unit) => values.spend90dMinor / unit,
  },
  {
    name: 'spend_365d',
    unit: 'currency units',
    about: 'Gross in the last 365 days.',
    read: (values, unit) => values.spend365dMinor / unit,
  },
  {
    name: 'mean_days_between',
    unit: 'days',
    about: 'Mean days between counted sales; -1 below two.',
    read: (values) => orSubstitute(values.meanDaysBetween),
  },
  {
    name: 'refund_share',
    unit: 'share',
    about: 'Refunds over gross; 0 where gross is 0, above 1 where refunds without an original exceed it.',
    read: (values) => values.refundShare,
  },
  {
    name: 'bonus_earned',
    unit: 'currency units',
    about: 'Bonus credited, less what refunds took back.',
    read: (values, unit) => values.bonusEarnedMinor / unit,
  },
  {
    name: 'bonus_spent',
    unit: 'currency units',
    about: 'Bonus used, less what refunds gave back.',
    read: (values, unit) => values.bonusSpentMinor / unit,
  },
  { name: 'stores', unit: 'stores', about: 'Distinct stores of counted sales.', read: (values) => values.stores },
]

function orSubstitute(value: number): number {
  return value === none ? substitute : value
}

/** Names of all features, in the order of `features`. */
export const featureNames: readonly string[] = features.map(({ name }) => name)

/** Indices into `features` of the named ones, in their order. Errors: RangeError with the names that do not exist. */
export function featureIndices(names: readonly string[]): Int32Array {
  const indices = Int32Array.from(names, (name) => featureNames.indexOf(name))
  const unknown = names.filter((_, i) => indices[i]! < 0)
  if (unknown.length > 0)
    throw new RangeError(`no such feature: ${unknown.join(', ')}; the features are ${featureNames.join(', ')}`)
  return indices
}

/** Writes the chosen features of one client to `out` from `at` on, one number per index. */
export function featuresInto(
  values: Values,
  context: Context,
  indices: Int32Array,
  out: Float32Array,
  at: number,
): void {
  const unit = unitOf(context.programme)
  for (let i = 0; i < indices.length; i++) out[at + i] = features[indices[i]!]!.read(values, unit)
}

let lastProgramme: Context['programme'] = null
let lastUnit = 100

function unitOf(programme: Context['programme']): number {
  if (programme !== null && programme !== lastProgramme) {
    lastProgramme = programme
    lastUnit = minorPerMajor(programme.currency)
  }
  return programme === null ? 100 : lastUnit
}
