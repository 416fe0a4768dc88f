/** Currencies whose minor unit is not the hundredth. Source: ISO 4217, list one. */
const digits: Readonly<Record<string, number>> = {
  ...group(0, 'BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF'),
  ...group(3, 'BHD IQD JOD KWD LYD OMR TND'),
  ...group(4, 'CLF UYW'),
}

function group(places: number, codes: string): Record<string, number> {
  return Object.fromEntries(codes.split(' ').map((code) => [code, places]))
}

/** Minor units in one unit of the currency: 100 for RUB and GBP, 1 for JPY, 1,000 for KWD. */
export function minorPerMajor(currency: string): number {
  return 10 ** (digits[currency] ?? 2)
}
