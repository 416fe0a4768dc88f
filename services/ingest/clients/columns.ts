import { columnFinder } from '../files/columns.ts'
import type { ClientsProfile } from './profile.ts'

export interface NamedColumn {
  readonly name: string
  readonly index: number
}

/** Index of each mapped column, -1 for what the profile does not map. */
export interface ClientColumns {
  readonly client: number
  readonly name: number
  readonly email: number
  readonly phone: number
  readonly gender: number
  readonly birthDate: number
  readonly registeredAt: number
  readonly city: number
  readonly consent: readonly NamedColumn[]
  readonly bonus: number
  readonly bonusAt: number
  readonly attributes: readonly NamedColumn[]
  /** Columns that a row must have at least. */
  readonly width: number
}

/** Finds the profile's columns in the header (null for a file without one). Errors: `columns_missing`. */
export function findClientColumns(profile: ClientsProfile, header: readonly string[] | null): ClientColumns {
  const { find, width } = columnFinder(profile, header)
  const { columns } = profile
  const named = (record: Readonly<Record<string, string | number>>) =>
    Object.entries(record).map(([name, column]) => ({ name, index: find(column) }))
  const found = {
    client: find(columns.client),
    name: find(columns.name),
    email: find(columns.email),
    phone: find(columns.phone),
    gender: find(columns.gender),
    birthDate: find(columns.birth_date),
    registeredAt: find(columns.registered_at),
    city: find(columns.city),
    consent: named(columns.consent),
    bonus: find(columns.bonus),
    bonusAt: find(columns.bonus_at),
    attributes: named(columns.attributes),
  }
  return { ...found, width: width() }
}
