import { apartFromCurrency } from '../parse/amount.ts'
import { type NumberFormat, parseDecimal, withAlikeMarks } from '../parse/decimal.ts'

/** How numbers are written, by looking at them. */

export interface NumbersFound {
  readonly format: NumberFormat
  /** True where what was seen allows no other reading. */
  readonly settled: boolean
  readonly why: string
}

/** The format of columns of numbers, taken together: one file writes them one way. */
export function numbersOf(columns: readonly (readonly string[])[]): NumbersFound {
  const seen = { ',': 0, '.': 0, apostrophes: false }
  /** Marks before groups of three digits, by being certain or not. */
  const grouping = { certain: new Set<string>(), open: new Set<string>() }
  for (const value of columns.flat()) {
    if (/['\u2019]/.test(value)) seen.apostrophes = true
    const { decimal, thousands, open } = marksOf(bareSum(value))
    if (decimal !== null) seen[decimal]++
    if (thousands !== null) grouping.certain.add(thousands)
    if (open !== null) grouping.open.add(open)
  }
  const decimal = decimalOf(seen, grouping)
  const other = decimal === ',' ? '.' : ','
  const thousands = [
    // Nothing else can be meant by a space, and large sums may stand behind the first rows.
    ' ',
    seen.apostrophes ? "'" : '',
    grouping.certain.has(other) || grouping.open.has(other) ? other : '',
  ].join('')
  const format: NumberFormat = { decimal, thousands }
  const refuse = (why: string) => ({ format, settled: false, why })
  if (seen[','] > 0 && seen['.'] > 0)
    return refuse(`${seen[',']} numbers have a decimal comma, ${seen['.']} a decimal point`)
  if (seen[','] + seen['.'] + grouping.certain.size === 0 && grouping.open.size > 0)
    return refuse(`in numbers such as 1${[...grouping.open][0]}234 the mark may be a decimal sign or divide thousands`)
  const sign = decimal === ',' ? 'comma' : 'point'
  const why = seen[decimal] === 0 ? 'no number has decimals' : `${seen[decimal]} numbers have a decimal ${sign}`
  return { format, settled: true, why }
}

function decimalOf(
  seen: { ',': number; '.': number },
  grouping: { certain: ReadonlySet<string>; open: ReadonlySet<string> },
): ',' | '.' {
  if (seen[','] !== seen['.']) return seen[','] > seen['.'] ? ',' : '.'
  return grouping.certain.has('.') ? ',' : '.'
}

interface Marks {
  readonly decimal: ',' | '.' | null
  readonly thousands: ',' | '.' | null
  /** A mark that is one or the other. */
  readonly open: ',' | '.' | null
}

const nothing: Marks = { decimal: null, thousands: null, open: null }

/** What one number shows of the meaning of commas and points. */
function marksOf(value: string): Marks {
  const commas = value.split(',').length - 1
  const points = value.split('.').length - 1
  if (commas + points === 0) return nothing
  if (commas > 0 && points > 0)
    return value.lastIndexOf(',') > value.lastIndexOf('.')
      ? { ...nothing, decimal: ',', thousands: '.' }
      : { ...nothing, decimal: '.', thousands: ',' }
  const mark = commas > 0 ? ',' : '.'
  if (commas + points > 1) return { ...nothing, thousands: mark }
  const [whole = '', tail = ''] = value.trim().split(mark)
  // 1,234 may be either; 0,234 and 12 345,678 have decimals.
  const isOpen = /^\d{3}$/.test(tail) && /^[+\u2212-]?[1-9]\d{0,2}$/.test(whole)
  return isOpen ? { ...nothing, open: mark } : { ...nothing, decimal: mark }
}

const scratch = { mantissa: 0, scale: 0 }

/** Share of values, 0 to 1, that are numbers by a format; 0 where there are none. */
export function shareOfNumbers(values: readonly string[], format: NumberFormat): number {
  if (values.length === 0) return 0
  const alike = withAlikeMarks(format)
  return values.filter((value) => parseDecimal(bareSum(value), alike, scratch)).length / values.length
}

const permissive = /^\s*[+\u2212-]?\d[\d .,\u00a0\u202f\u2009'\u2019]*\s*$|^\s*[+\u2212-]?[.,]\d+\s*$/

/** True where a text could be a number by some format. */
export function looksLikeNumber(text: string): boolean {
  return permissive.test(text) && !/^\s*\d{1,4}[.]\d{1,2}[.]\d{1,4}\s*$/.test(text)
}

/** A sum without the currency that stands beside it; any other text as it is. */
function bareSum(text: string): string {
  return looksLikeNumber(text) ? text : (apartFromCurrency(text)?.number ?? text)
}

/** True where a text could be a number by some format, also with a currency beside it. */
export function looksLikeSum(text: string): boolean {
  return looksLikeNumber(bareSum(text))
}

/** What stands beside sums: `$`, `руб.`, `USD`, each once. */
export function unitsBeside(texts: readonly string[]): string[] {
  return [...new Set(texts.flatMap((text) => (looksLikeNumber(text) ? [] : (apartFromCurrency(text)?.units ?? []))))]
}

/** The numbers of texts by a format, for looking at only; NaN where a text is none. */
export function numbersBy(texts: readonly string[], format: NumberFormat): number[] {
  const alike = withAlikeMarks(format)
  return texts.map((text) =>
    parseDecimal(bareSum(text), alike, scratch) ? scratch.mantissa / 10 ** scratch.scale : Number.NaN,
  )
}
