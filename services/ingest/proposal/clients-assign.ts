import { type Assigned, clientsFit, type Fit } from './assign.ts'
import { type ClientField, clientMeaningsOf, consentChannelOf } from './client-names.ts'
import type { ColumnSeen } from './column.ts'
import { datesOf, lifeDays } from './dates.ts'
import { meaningsOf } from './names.ts'

/** Which column of a file of clients is which field. */
export interface ClientsAssignment {
  readonly fields: ReadonlyMap<ClientField, Assigned>
  /** By channel. */
  readonly consent: ReadonlyMap<string, ColumnSeen>
}

/** What only files of clients have; two of them make one. */
const personal: readonly ClientField[] = ['name', 'email', 'phone', 'gender', 'birth_date', 'registered_at', 'bonus']
/** What no file of clients has under a name beyond doubt. */
const ofReceipts = ['amount', 'unit_price', 'quantity', 'receipt_number', 'sku'] as const

/** Null where the columns are not those of a file of clients. */
export function assignClientColumns(columns: readonly ColumnSeen[]): ClientsAssignment | null {
  if (columns.some(({ name }) => ofReceipts.some((field) => meaningsOf(name).get(field) === 1))) return null
  const consent = new Map<string, ColumnSeen>()
  for (const column of columns) {
    const channel = consentChannelOf(column.name)
    if (channel !== null && !consent.has(channel)) consent.set(channel, column)
  }
  const fields = assigned(columns.filter((column) => ![...consent.values()].includes(column)))
  const kinds = personal.filter((field) => fields.has(field)).length + Math.min(1, consent.size)
  return kinds >= 2 ? { fields, consent } : null
}

const rivalry = 0.1
const ambiguous = 0.5

function assigned(columns: readonly ColumnSeen[]): Map<ClientField, Assigned> {
  const candidates = columns
    .flatMap((column) =>
      [...clientMeaningsOf(column.name)].map(([field, weight]) => {
        const { fit, what } = fitOf(field, column)
        return {
          field,
          column,
          confidence: Math.round(weight * fit * 100) / 100,
          why: `its name, ${fit === 1 ? 'and' : 'but'} ${what}`,
        }
      }),
    )
    .sort((a, b) => b.confidence - a.confidence)
  const found = new Map<ClientField, Assigned>()
  const taken = new Set<ColumnSeen>()
  for (const { field, ...candidate } of candidates) {
    if (found.has(field) || taken.has(candidate.column)) continue
    found.set(field, candidate)
    taken.add(candidate.column)
  }
  for (const [field, { column, confidence }] of found) {
    const rival = candidates.find(
      (other) => other.field === field && !taken.has(other.column) && other.confidence >= confidence - rivalry,
    )
    if (rival !== undefined)
      found.set(field, { column, confidence: ambiguous, why: `"${rival.column.name}" may be it as well` })
  }
  return found
}

function fitOf(field: ClientField, column: ColumnSeen): Fit {
  if (column.values.length === 0) return { fit: field === 'client' ? 0.2 : 1, what: 'it is empty so far' }
  switch (field) {
    case 'client':
      return clientsFit(column)
    case 'email':
      return shareOf(column, /^[^\s@]+@[^\s@]+$/, 'addresses')
    case 'phone':
      return shareOf(column, /^[+\d(][\d\s()+.-]{4,}$/, 'numbers of telephones')
    case 'bonus':
      return column.numbers >= 0.95 ? { fit: 1, what: 'numbers' } : { fit: 0.2, what: 'its values are no numbers' }
    case 'birth_date':
    case 'registered_at':
    case 'bonus_at': {
      const share = datesOf(column.values, lifeDays)?.share ?? 0
      return share >= 0.95 ? { fit: 1, what: 'dates' } : { fit: 0.5, what: 'not all of its values are dates' }
    }
    default:
      return { fit: 1, what: 'texts' }
  }
}

function shareOf({ values }: ColumnSeen, pattern: RegExp, what: string): Fit {
  const share = values.filter((value) => pattern.test(value)).length / values.length
  return share >= 0.9 ? { fit: 1, what } : { fit: 0.5, what: `not all of its values are ${what}` }
}
