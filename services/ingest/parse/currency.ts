const known = new Set(Intl.supportedValuesOf('currency'))

/** True for an ISO 4217 code in capitals. */
export function isCurrency(code: string): boolean {
  return known.has(code)
}

/** Decimal places of a currency's minor unit: 2 for GBP and RUB, 0 for JPY, 3 for KWD. */
export function minorDigits(currency: string): number {
  return new Intl.NumberFormat('en', { style: 'currency', currency }).resolvedOptions().maximumFractionDigits ?? 2
}
