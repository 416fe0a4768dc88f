import type { ClientProfileChanged } from '#schemas/events.ts'
import { dayMs, dayOfIso } from '#streams/domain/calendar.ts'
import { isCutShort } from '../parse/cut-short.ts'
import { compileDateFormats, type TimeParser } from '../parse/date-format.ts'
import { type Decimal, type NumberFormat, parseDecimal, withAlikeMarks } from '../parse/decimal.ts'
import { wallTimeToUtc, zoneOffsets } from '../parse/zone.ts'
import { integerDigits } from '../receipts/map-row.ts'
import type { Rejection } from '../tills/rejection.ts'
import type { ClientColumns } from './columns.ts'
import { profileOf } from './item.ts'
import type { ClientsProfile } from './profile.ts'
import type { ClientFault, ClientReason } from './verdicts.ts'

export interface ClientMapperOptions {
  /** Decimals of the programme's currency. */
  readonly digits: number
  /** In whose name the clients come. */
  readonly source: string
}

/** Maps rows of a file to what is known of a client, judged as what comes by HTTP is. */
export class ClientMapper {
  readonly #profile: ClientsProfile
  readonly #columns: ClientColumns
  readonly #options: ClientMapperOptions
  readonly #numbers: NumberFormat
  readonly #toWall: TimeParser
  readonly #toUtc: TimeParser
  readonly #consent: ReadonlyMap<string, boolean>
  /** Epoch ms; null where a column says it, or nothing does. */
  readonly #bonusAtMs: number | null

  constructor(profile: ClientsProfile, columns: ClientColumns, options: ClientMapperOptions) {
    this.#profile = profile
    this.#columns = columns
    this.#options = options
    this.#numbers = withAlikeMarks(profile.numbers)
    const table = zoneOffsets(profile.time_zone)
    const { formats } = profile.dates
    this.#toWall = compileDateFormats(formats)
    this.#toUtc = compileDateFormats(formats, (wallMs) => wallTimeToUtc(wallMs, table))
    const { yes, no } = profile.consent
    this.#consent = new Map([...yes.map((word) => [word, true] as const), ...no.map((word) => [word, false] as const)])
    const { bonus_at: bonusAt } = profile
    this.#bonusAtMs = bonusAt === undefined ? null : wallTimeToUtc(dayOfIso(bonusAt) * dayMs, table)
  }

  map(cells: readonly string[]): ClientProfileChanged | ClientFault {
    const columns = this.#columns
    if (cells.length < columns.width) return { code: 'bad_row', field: null }
    const text = (index: number) => (index < 0 ? '' : cells[index]!.trim())
    const client = this.#clientId(text(columns.client))
    if (typeof client !== 'string') return client
    const birthMs = timeOf(this.#toWall, text(columns.birthDate))
    if (Number.isNaN(birthMs)) return { code: 'bad_date', field: 'birth_date' }
    const registeredAt = timeOf(this.#toUtc, text(columns.registeredAt))
    if (Number.isNaN(registeredAt)) return { code: 'bad_date', field: 'registered_at' }
    const consent = this.#consentOf(text)
    if ('code' in consent) return consent
    const bonus = this.#bonusOf(text)
    if ('code' in bonus) return bonus
    const attributes = columns.attributes.map(({ name, index }) => [name, text(index)] as const)
    const judged = profileOf(
      {
        client_id: client,
        name: text(columns.name) || null,
        email: text(columns.email) || null,
        phone: text(columns.phone) || null,
        gender: text(columns.gender) || null,
        birth_date: birthMs === null ? null : Math.floor(birthMs / dayMs),
        registered_at: registeredAt,
        city: text(columns.city) || null,
        communication_preferences: consent.given,
        ...bonus,
        attributes: Object.fromEntries(attributes.filter(([, value]) => value !== '')),
      },
      this.#options.source,
    )
    return 'code' in judged ? faultOf(judged) : judged
  }

  #clientId(text: string): string | ClientFault {
    if (text === '') return { code: 'missing_client', field: 'client' }
    if (isCutShort(text)) return { code: 'bad_client_id', field: 'client' }
    if (this.#profile.client_id.written_as === 'text') return text
    const digits = integerDigits(text)
    return digits < 0 ? { code: 'bad_client_id', field: 'client' } : text.slice(0, digits)
  }

  /** An empty cell says neither yes nor no. */
  #consentOf(text: (index: number) => string): { given: Record<string, boolean> } | ClientFault {
    const given: Record<string, boolean> = {}
    for (const { name, index } of this.#columns.consent) {
      const word = text(index).toLowerCase()
      if (word === '') continue
      const value = this.#consent.get(word)
      if (value === undefined) return { code: 'bad_field', field: `consent.${name}` }
      given[name] = value
    }
    return { given }
  }

  #bonusOf(
    text: (index: number) => string,
  ): { opening_bonus_minor?: number; opening_bonus_at?: number | null } | ClientFault {
    const balance = text(this.#columns.bonus)
    if (balance === '') return {}
    const minor = minorOf(balance, this.#numbers, this.#options.digits)
    if (minor === null) return { code: 'bad_amount', field: 'bonus' }
    const at = this.#bonusAtMs ?? timeOf(this.#toUtc, text(this.#columns.bonusAt))
    if (Number.isNaN(at)) return { code: 'bad_date', field: 'bonus_at' }
    return { opening_bonus_minor: minor, opening_bonus_at: at }
  }
}

/** Epoch ms, null for an empty text, NaN for one that is no time. */
function timeOf(parse: TimeParser, text: string): number | null {
  return text === '' ? null : parse(text)
}

/** Exact, never rounded: null where the number has more decimals, or more digits than are held. */
function minorOf(text: string, numbers: NumberFormat, digits: number): number | null {
  const value: Decimal = { mantissa: 0, scale: 0 }
  if (!parseDecimal(text, numbers, value)) return null
  const { mantissa, scale } = value
  const minor = scale <= digits ? mantissa * 10 ** (digits - scale) : mantissa / 10 ** (scale - digits)
  return Number.isSafeInteger(minor) ? minor : null
}

const fields: Readonly<Record<string, string>> = {
  client_id: 'client',
  opening_bonus_minor: 'bonus',
  opening_bonus_at: 'bonus_at',
}
const codes: Readonly<Record<string, ClientReason>> = {
  client_id: 'bad_client_id',
  birth_date: 'bad_date',
  registered_at: 'bad_date',
  opening_bonus_at: 'bad_date',
}

/** What the door says of an item, in the words of a file. */
function faultOf({ code, field }: Rejection): ClientFault {
  const own = field?.replace(/^communication_preferences\b/, 'consent') ?? null
  const named = own === null ? null : (fields[own] ?? own)
  return { code: code === 'missing_field' ? code : (codes[field ?? ''] ?? 'bad_field'), field: named }
}
