import { isUnit, isUnitOf } from './currency.ts'
import { type Decimal, type NumberFormat, parseDecimal } from './decimal.ts'

/** Sums that have their currency beside them: `$1,037.01`, `-5 USD`, `10,00 руб.`. */

/** No sum is longer. */
const maxSumChars = 64

/**
 * A minus before or behind the unit, the unit with a sign of a currency at its end or the point of an abbreviation, the
 * digits with their marks, another unit. The point of `Rs.500` is the unit's, that of `$.50` the number's.
 */
const besideUnits =
  /^\s*([+\u2212-]?)\s*([^\d\s+\u2212-]*\p{Sc}|[^\d\s+\u2212.,'\u2019-][^\d\s+\u2212-]*)?\s*([+\u2212-]?)\s*([.,]?\d(?:.*\d)?)\s*([^\d+\u2212-]*?)\s*$/u

interface Parts {
  /** As it would stand alone. */
  readonly number: string
  /** One or two. */
  readonly units: readonly string[]
}

/** A number and what stands beside it; null where nothing does. */
function partsOf(text: string): Parts | null {
  if (text.length > maxSumChars) return null
  const [, outer = '', before = '', inner = '', digits = '', behind = ''] = besideUnits.exec(text) ?? []
  const units = [before, behind].filter((unit) => unit !== '')
  if (units.length === 0 || (outer !== '' && inner !== '')) return null
  // 5K may be five thousand, K5 is five kyats.
  return /^[a-z]$/i.test(behind) ? null : { number: `${outer}${inner}${digits}`, units }
}

/** As `parseDecimal`; the sign, code or abbreviation of the currency may stand on either side. */
export function parseAmount(text: string, format: NumberFormat, currency: string, into: Decimal): boolean {
  if (parseDecimal(text, format, into)) return true
  const parts = partsOf(text)
  return parts?.units.every((unit) => isUnitOf(unit, currency)) === true && parseDecimal(parts.number, format, into)
}

/** A number apart from the currencies that stand beside it, whichever; null where something else or nothing does. */
export function apartFromCurrency(text: string): Parts | null {
  const parts = partsOf(text)
  return parts?.units.every(isUnit) === true ? parts : null
}

/** True for a sum that says itself that it is in another currency: `5 USD`, `$5.00`, `€`. */
export function isInOtherCurrency(text: string, currency: string): boolean {
  if (text.length > maxSumChars) return false
  const units =
    text.match(/[^\d\s.,'\u2019+\u2212-][^\d\s+\u2212-]*\p{Sc}|\p{Sc}|[^\d\s.,'\u2019+\u2212-][^\d\s+\u2212-]*/gu) ?? []
  return units.every(isUnit) && units.some((unit) => !isUnitOf(unit, currency))
}
