import { isCurrency } from '../parse/currency.ts'
import { isCutShort } from '../parse/cut-short.ts'
import type { ColumnSeen } from './column.ts'
import { kindNamed, meaningsOf, type ProposedField, proposedFields } from './names.ts'
import { looksLikeSum } from './numbers.ts'

/** Which column is which field: by its name and by its values, and where these contradict, by its values. */

export interface Assigned {
  readonly column: ColumnSeen
  /** 0 to 1. */
  readonly confidence: number
  /** Why it is that, in words. */
  readonly why: string
}

export type Assignment = ReadonlyMap<ProposedField, Assigned>

/** What is below is not relied on without a person's word. */
export const confident = 0.8

/** Fields that values alone can tell, where no name does. */
const byContentOnly = 0.55
const rivalry = 0.1
const ambiguous = 0.5
const negligible = 0.3

interface Candidate extends Assigned {
  readonly field: ProposedField
}

export function assignColumns(columns: readonly ColumnSeen[]): Map<ProposedField, Assigned> {
  const candidates = columns.flatMap(candidatesOf).sort((a, b) => b.confidence - a.confidence)
  const assigned = new Map<ProposedField, Assigned>()
  const taken = new Set<number>()
  for (const { field, ...candidate } of candidates) {
    if (assigned.has(field) || taken.has(candidate.column.index) || candidate.confidence < negligible) continue
    assigned.set(field, candidate)
    taken.add(candidate.column.index)
  }
  for (const [field, { column, confidence }] of assigned) {
    const rival = candidates.find(
      (other) =>
        other.field === field &&
        !taken.has(other.column.index) &&
        other.confidence >= confidence - rivalry &&
        !haveSameValues(other.column, column),
    )
    if (rival !== undefined)
      assigned.set(field, {
        column,
        confidence: Math.min(confidence, ambiguous),
        why: `"${rival.column.name}" may be it as well`,
      })
  }
  addDates(assigned, columns, taken)
  return assigned
}

function candidatesOf(column: ColumnSeen): Candidate[] {
  const names = meaningsOf(column.name)
  return proposedFields.flatMap((field) => {
    const name = names.get(field)
    if (name === undefined) return []
    const { fit, what } = contentFor(field, column)
    const why = fit === 1 ? `its name, and ${what}` : `its name, but ${what}`
    return [{ field, column, confidence: round(name * fit), why }]
  })
}

/** A single column of dates is the date, whatever it is called; but nobody said so. */
function addDates(assigned: Map<ProposedField, Assigned>, columns: readonly ColumnSeen[], taken: Set<number>): void {
  const found = assigned.get('occurred_at')
  if (found !== undefined && found.confidence >= byContentOnly) return
  const dates = columns.filter((column) => (column.dates?.share ?? 0) >= 0.95 && !taken.has(column.index))
  const [only] = dates
  if (only === undefined || dates.length > 1) return
  if (found !== undefined) taken.delete(found.column.index)
  taken.add(only.index)
  const why = `its values are dates, but its name "${only.name}" does not say so`
  assigned.set('occurred_at', { column: only, confidence: byContentOnly, why })
}

function haveSameValues(a: ColumnSeen, b: ColumnSeen): boolean {
  return a.cells.every((cell, at) => cell === b.cells[at])
}

export interface Fit {
  /** 0 to 1: how well the values are what the field holds. */
  readonly fit: number
  readonly what: string
}

const good = (what: string): Fit => ({ fit: 1, what })
const bad = (what: string, fit = 0.2): Fit => ({ fit, what })

function contentFor(field: ProposedField, column: ColumnSeen): Fit {
  if (column.values.length === 0) return field === 'original' ? good('it is empty so far') : bad('it is empty')
  switch (field) {
    case 'occurred_at':
      return datesFit(column)
    case 'time':
      return column.times >= 0.95 ? good('times of day') : bad('its values are no times of day', 0)
    case 'amount':
    case 'unit_price':
      return numbersFit(shareOf(column, looksLikeSum))
    case 'quantity':
      return numbersFit(column.numbers)
    case 'kind':
      return kindsFit(column)
    case 'currency':
      return [...column.distinct].every(isCurrency) ? good('codes of currencies') : bad('its values are no ISO codes')
    case 'client':
      return clientsFit(column)
    case 'description':
      return /\p{L}/u.test(column.values.join('')) ? good('texts') : bad('its values are no texts', 0.5)
    case 'receipt_number':
      return column.values.length < column.cells.length * 0.9 ? bad('it is often empty', 0.5) : identifiersFit(column)
    default:
      return identifiersFit(column)
  }
}

function datesFit(column: ColumnSeen): Fit {
  const share = column.dates?.share ?? 0
  if (share >= 0.95) return good(`${percent(share)} dates`)
  if (column.serials >= 0.95) return { fit: 0.9, what: 'its values are numbers, as spreadsheets count days' }
  return share > 0.5 ? bad(`only ${percent(share)} of its values are dates`, 0.6) : bad('its values are no dates')
}

function shareOf({ values }: ColumnSeen, fits: (value: string) => boolean): number {
  return values.filter(fits).length / values.length
}

function numbersFit(share: number): Fit {
  if (share >= 0.95) return good('numbers')
  return share > 0.5 ? bad(`only ${percent(share)} of its values are numbers`, 0.6) : bad('its values are no numbers')
}

function kindsFit({ distinct }: ColumnSeen): Fit {
  const known = [...distinct].filter((value) => kindNamed(value) !== null).length
  if (known === distinct.size) return good('its values are kinds')
  if (known === 0) return bad('none of its values is a kind that is known')
  return bad(`only ${known} of its ${distinct.size} values are kinds that are known`, 0.6)
}

/** How well values identify clients. */
export function clientsFit(column: ColumnSeen): Fit {
  const persons = column.values.filter((value) => /^\p{L}[\p{L}.'-]*(\s+\p{L}[\p{L}.'-]*)+$/u.test(value)).length
  if (persons > column.values.length / 2)
    return bad('its values read like names of persons, which are no identifiers', 0.5)
  return identifiersFit(column)
}

/** Numbers of things have no fraction and are no dates; a spreadsheet may have given them a tail of zeros. */
function identifiersFit(column: ColumnSeen): Fit {
  const dated = column.values.some((value) => /\D/.test(value)) && (column.dates?.share ?? 0) > 0.5
  if (dated || column.times > 0.5) return bad('its values are dates or times')
  const cut = cutShort(column)
  if (cut !== null) return bad(`a spreadsheet has cut its numbers short ("${cut}")`, 0.5)
  const fractions = column.values.filter((value) => /^[+-]?\d+[.,]\d+$/.test(value) && !/[.,]0+$/.test(value)).length
  if (fractions > column.values.length * 0.3) return bad('its values are numbers with a fraction')
  return good(`${column.distinct.size} different values`)
}

/** A number that lost digits in a spreadsheet, such as `4.60701E+14`, or all of 16 digits with zeros at their end; else null. */
function cutShort({ distinct }: ColumnSeen): string | null {
  const all = [...distinct]
  const scientific = all.find(isCutShort)
  if (scientific !== undefined) return scientific
  const long = all.filter((value) => /^[1-9]\d{15,}$/.test(value))
  return long.length >= 5 && long.every((value) => /^\d{15}0+$/.test(value)) ? long[0]! : null
}

function percent(share: number): string {
  return `${Math.round(share * 100)} %`
}

function round(value: number): number {
  return Math.round(value * 100) / 100
}
