const known = new Set(Intl.supportedValuesOf('currency'))

/** True for an ISO 4217 code in capitals. */
export function isCurrency(code: string): boolean {
  return known.has(code)
}

/** Decimal places of a currency's minor unit: 2 for GBP and RUB, 0 for JPY, 3 for KWD. */
export function minorDigits(currency: string): number {
  return new Intl.NumberFormat('en', { style: 'currency', currency }).resolvedOptions().maximumFractionDigits ?? 2
}

/** Abbreviations that no data about languages has. */
const abbreviations: Readonly<Record<string, RegExp>> = {
  RUB: /^р(уб|\.)/i,
  BYN: /^р(уб|\.)/i,
  UAH: /^грн/i,
  KZT: /^тг/i,
  CHF: /^s?fr\.?$/i,
}

/** True where a code, a sign or an abbreviation, such as `USD`, `$` or `руб.`, may stand for a currency. */
export function isUnitOf(unit: string, currency: string): boolean {
  if (unit.toUpperCase() === currency || abbreviations[currency]?.test(unit)) return true
  return signsOf(currency).has(unit)
}

const signs = new Map<string, ReadonlySet<string>>()

/** How a currency is written in English, in Russian, and in the language of its country. */
function signsOf(currency: string): ReadonlySet<string> {
  const found =
    signs.get(currency) ?? new Set(['en', 'ru', homeOf(currency)].flatMap((locale) => signsIn(locale, currency)))
  signs.set(currency, found)
  return found
}

/** A code begins with that of the country. */
function homeOf(currency: string): string {
  return new Intl.Locale('und', { region: currency.slice(0, 2) }).maximize().toString()
}

function signsIn(locale: string, currency: string): string[] {
  return (['symbol', 'narrowSymbol'] as const).flatMap((currencyDisplay) =>
    new Intl.NumberFormat(locale, { style: 'currency', currency, currencyDisplay })
      .formatToParts(1)
      .flatMap(({ type, value }) => (type === 'currency' ? [value] : [])),
  )
}

/** No sum is longer. */
const maxSumChars = 64

/** True for a sum that says itself that it is in another currency: `5 USD`, `$5.00`, `€`. */
export function isInOtherCurrency(text: string, currency: string): boolean {
  if (text.length > maxSumChars) return false
  const units = text.match(/[^\d\s.,'\u2019+\u2212-][^\d\s+\u2212-]*/gu) ?? []
  return units.every(isUnit) && units.some((unit) => !isUnitOf(unit, currency))
}

let allSigns: ReadonlySet<string> | null = null

function isUnit(unit: string): boolean {
  if (isCurrency(unit) || /^\p{Sc}$/u.test(unit)) return true
  allSigns ??= new Set([...known].flatMap((currency) => [...signsOf(currency)]))
  return allSigns.has(unit) || Object.values(abbreviations).some((pattern) => pattern.test(unit))
}
