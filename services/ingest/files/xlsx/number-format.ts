import { isCurrency } from '../../parse/currency.ts'

/** What kind of value a number format makes of a number (ECMA-376, part 1, 18.8.30 and 18.8.31). */

export type CellFormat =
  /** `unit`: the currency that it is shown in, as the format writes it, or `%`. */
  | { readonly kind: 'number'; readonly unit?: string }
  /** A code such as 00042: digits that are filled up with zeros. */
  | { readonly kind: 'padded'; readonly digits: number }
  /** `date` false: a time of day. `millis`: shown below the second. */
  | { readonly kind: 'date'; readonly date: boolean; readonly millis: boolean }
  /** Hours that go on past 24. */
  | { readonly kind: 'elapsed' }

export const plainNumber: CellFormat = { kind: 'number' }
const percent: CellFormat = { kind: 'number', unit: '%' }
const date: CellFormat = { kind: 'date', date: true, millis: false }
const time: CellFormat = { kind: 'date', date: false, millis: false }

/** The formats that every program knows by number, those of East Asian and Thai versions included. */
export function builtInFormat(id: number): CellFormat {
  if ((id >= 18 && id <= 21) || id === 45 || (id >= 32 && id <= 35) || (id >= 75 && id <= 80)) return time
  if (id === 9 || id === 10) return percent
  if (id === 46) return { kind: 'elapsed' }
  if (id === 47) return { kind: 'date', date: false, millis: true }
  const isDate = (id >= 14 && id <= 22) || (id >= 27 && id <= 36) || (id >= 50 && id <= 58) || (id >= 71 && id <= 81)
  return isDate ? date : plainNumber
}

/** By the section for positive numbers. */
export function formatOfCode(code: string): CellFormat {
  const bare = withoutLiterals(code)
  if (/\[(h+|m+|s+)\]/i.test(bare)) return { kind: 'elapsed' }
  const letters = bare
    .replace(/\[[^\]]*\]/g, '')
    .split(';')[0]!
    .replace(/general/gi, '')
    .replace(/E[+-]/gi, '')
  if (/^0{2,}$/.test(letters)) return { kind: 'padded', digits: letters.length }
  const isTime = /[hs]|AM\/PM/i.test(letters)
  // A month has no hours before it and no seconds after it.
  const isDate = /[ydeg]/i.test(letters) || (/m/i.test(letters) && !isTime) || /mmm/i.test(letters)
  if (!isDate && !isTime) return numberIn(unitOf(code))
  return { kind: 'date', date: isDate, millis: /s[.,]0/i.test(letters) }
}

function numberIn(unit: string | null): CellFormat {
  return unit === null ? plainNumber : { kind: 'number', unit }
}

const maxUnitChars = 20

/** What a format of numbers writes beside them where it is a currency or `%`; null for all else, such as `"pcs"`. */
function unitOf(code: string): string | null {
  const [positive = ''] = code.split(';')
  const declared = /\[\$([^\]-]+)[^\]]*\]/.exec(positive)?.[1]?.trim()
  if (declared !== undefined && declared !== '') return declared.slice(0, maxUnitChars)
  if (withoutLiterals(positive).includes('%')) return '%'
  const shown = positive
    .replace(/\[[^\]]*\]|[_*]./g, '')
    .replace(/\\(.)/gs, '$1')
    .replaceAll('"', '')
  const word = /\p{L}[\p{L}.]*/u.exec(shown)?.[0] ?? ''
  return (
    /\p{Sc}/u.exec(shown)?.[0] ??
    (isCurrency(word) || /^(руб|р\.|грн|тг)/i.test(word) ? word.slice(0, maxUnitChars) : null)
  )
}

/** Without quoted texts, escaped characters, and the signs that a space is as wide as or filled with. */
function withoutLiterals(code: string): string {
  return code.replace(/"[^"]*"|\\.|[_*]./gs, '')
}
