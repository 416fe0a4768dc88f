import { minorPerMajor } from '#streams/domain/currency.ts'

/** An exact decimal number above 0: `digits` / 10^`places`. */
export interface Rate {
  readonly digits: bigint
  readonly places: number
}

/** Null where the text is no decimal number above 0. */
export function parseRate(text: string): Rate | null {
  const match = /^(\d{1,12})(?:\.(\d{1,12}))?$/.exec(text)
  if (match === null) return null
  const fraction = match[2] ?? ''
  const digits = BigInt(`${match[1]}${fraction}`)
  return digits === 0n ? null : { digits, places: fraction.length }
}

/**
 * An amount in minor units of one currency in minor units of another, by so many units of the second for one of the first;
 * rounded to the nearest, halves away from zero. NaN where it is beyond 2^53.
 */
export function convertMinor(amountMinor: number, from: string, to: string, rate: Rate): number {
  const numerator = BigInt(amountMinor) * rate.digits * BigInt(minorPerMajor(to))
  const denominator = 10n ** BigInt(rate.places) * BigInt(minorPerMajor(from))
  const magnitude = numerator < 0n ? -numerator : numerator
  const rounded = (2n * magnitude + denominator) / (2n * denominator)
  const result = Number(numerator < 0n ? -rounded : rounded)
  return Number.isSafeInteger(result) ? result : Number.NaN
}
