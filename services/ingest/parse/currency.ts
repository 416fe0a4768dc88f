const known = new Set(Intl.supportedValuesOf('currency'))

/** True for an ISO 4217 code in capitals. */
export function isCurrency(code: string): boolean {
  return known.has(code)
}

/** Decimal places of a currency's minor unit: 2 for GBP and RUB, 0 for JPY, 3 for KWD. */
export function minorDigits(currency: string): number {
  return new Intl.NumberFormat('en', { style: 'currency', currency }).resolvedOptions().maximumFractionDigits ?? 2
}

const roubles = /^р(уб(л\p{L}*)?)?\.?$/iu

/** Abbreviations that no data about languages has. */
const abbreviations: Readonly<Record<string, RegExp>> = {
  RUB: roubles,
  BYN: roubles,
  UAH: /^(грн|гривн\p{L}*|гривен)\.?$/iu,
  KZT: /^(тг|тенге)\.?$/i,
  CHF: /^s?fr\.?$/i,
  USD: /^us\$$/i,
  INR: /^rs\.?$/i,
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

let allSigns: ReadonlySet<string> | null = null

/** True where a text may stand for some currency. */
export function isUnit(unit: string): boolean {
  if (isCurrency(unit) || /^\p{Sc}$/u.test(unit)) return true
  allSigns ??= new Set([...known].flatMap((currency) => [...signsOf(currency)]))
  return allSigns.has(unit) || Object.values(abbreviations).some((pattern) => pattern.test(unit))
}
