import { Calendar, isoOfDay } from '#streams/domain/calendar.ts'
import { earliestMs, latestMs } from '#streams/domain/transaction.ts'
import type { ColumnIndex } from '../files/columns.ts'
import { isInOtherCurrency, parseAmount } from '../parse/amount.ts'
import { isCutShort } from '../parse/cut-short.ts'
import { compileDateFormats } from '../parse/date-format.ts'
import { type Decimal, type NumberFormat, parseDecimal, withAlikeMarks } from '../parse/decimal.ts'
import { wallTimeToUtc, zoneOffsets } from '../parse/zone.ts'
import type { FileProfile } from '../profile.ts'
import { optionalFields } from '../profile-fields.ts'
import type { Reason } from '../verdicts.ts'
import { field } from './fields.ts'
import { type KindCode, kindCodes, type MappedRow } from './row.ts'

/** Separates the parts of a key; may not occur in one, because the parts are trimmed texts of cells. */
const separator = '\u001f'

const maxTextBytes = 256
const maxDescriptionChars = 2_000
/** Of a receipt's key, whose parts are four at most. */
const maxKeyChars = 4 * maxTextBytes + 3

const dayMs = 86_400_000

/** How far beyond its upload a row may be dated where the profile does not say: a till in another time zone. */
export const usualFutureDays = 1

/**
 * Maps rows by a profile. One mapper is good for one file; `row` is filled anew by each call, so that a row costs no
 * object. After a rejection `row.key` is the receipt's key, or '' where the row does not say which receipt it is of.
 */
export class RowMapper {
  readonly row: MappedRow = emptyRow()
  /** What the last rejection is about: an index into `fieldsOf`, or -1. */
  fault: number = field.none
  readonly #profile: FileProfile
  readonly #columns: ColumnIndex
  readonly #toUtc: (text: string) => number
  readonly #calendar: Calendar
  readonly #kinds: ReadonlyMap<string, KindCode>
  readonly #prefixes: readonly { prefix: string; kind: KindCode }[]
  readonly #integerClient: boolean
  readonly #defaults: Readonly<Record<string, string | null>>
  readonly #numbers: NumberFormat
  readonly #value: Decimal = { mantissa: 0, scale: 0 }
  readonly #quantity: Decimal = { mantissa: 1, scale: 0 }
  readonly #latestMs: number
  /** Fields that may not be empty by the profile's policy. */
  readonly #required: readonly (typeof optionalFields)[number][]

  /** `uploadedAtMs`: when the file came; rows may be dated a little later. Without it any date is good. */
  constructor(profile: FileProfile, columns: ColumnIndex, uploadedAtMs = Number.POSITIVE_INFINITY) {
    this.#latestMs = uploadedAtMs + (profile.dates.future_days ?? usualFutureDays) * dayMs
    this.#profile = profile
    this.#columns = columns
    const table = zoneOffsets(profile.time_zone)
    this.#calendar = new Calendar(table)
    const parseTime = compileDateFormats(profile.dates.formats, (wallMs) => wallTimeToUtc(wallMs, table))
    this.#toUtc = lastKept((text) => {
      const ms = parseTime(text)
      return ms >= earliestMs && ms < latestMs ? ms : Number.NaN
    })
    const marks = (['sale', 'refund', 'void'] as const).map((kind) => ({
      ...profile.kinds[kind],
      code: kindCodes[kind],
    }))
    this.#kinds = new Map(
      marks.flatMap(({ values, code }) => (values ?? []).map((value) => [value.toLowerCase(), code])),
    )
    this.#prefixes = marks.flatMap(({ receipt_prefix: prefix, code }) =>
      prefix === undefined ? [] : [{ prefix, kind: code }],
    )
    this.#numbers = withAlikeMarks(profile.numbers)
    this.#integerClient = profile.client_id.written_as === 'integer'
    this.#defaults = defaultsOf(profile)
    this.#required = optionalFields.filter((name) => this.#defaults[name] === null)
  }

  /** Null when the row is good so far, else why it is not. Receipts are judged later, when they are whole. */
  map(cells: readonly string[], number: number): Reason | null {
    const { row } = this
    row.number = number
    row.key = ''
    const lacking = this.#columns.width - cells.length
    if (lacking > 0) {
      // A row that is cut short may still say which receipt lacks it.
      this.#identify([...cells, ...Array<string>(lacking).fill('')])
      return this.#reject('bad_row', field.none)
    }
    const identified = this.#identify(cells)
    if (identified !== null) return identified
    return this.#client(cells) ?? this.#kindAndMoney(cells) ?? this.#texts(cells)
  }

  #reject(reason: Reason, fault: number): Reason {
    this.fault = fault
    return reason
  }

  /** Time, store, terminal, receipt number and the key they make. */
  #identify(cells: readonly string[]): Reason | null {
    const { row } = this
    const columns = this.#columns
    row.store = this.#text(cells, columns.store, 'store')
    row.terminal = this.#text(cells, columns.terminal, 'terminal')
    row.receipt = columns.receipt < 0 ? '' : cells[columns.receipt]!.trim()
    const date = cells[columns.occurredAt]!.trim()
    row.occurredAtMs = this.#toUtc(columns.time < 0 ? date : `${date} ${cells[columns.time]!.trim()}`)
    const { identity } = this.#profile.system
    if (identity.length === 0) {
      // Rows of equal content must meet in one bucket, whatever their unmapped columns hold.
      row.key = cells[columns.client]!.trim() + separator + row.occurredAtMs
      return this.#tooLongPart() ?? this.#date()
    }
    let key = ''
    for (const part of identity) {
      const text = this.#identityPart(part)
      if (text === '')
        return part === 'day'
          ? this.#reject('bad_date', field.occurredAt)
          : this.#reject('missing_receipt', part === 'receipt_number' ? field.receipt : field[part])
      key = key === '' ? text : key + separator + text
    }
    // A longer one has a part that is too long, as it is then in every row of the receipt: none is left to be spoilt.
    if (key.length <= maxKeyChars) row.key = key
    return this.#tooLongPart() ?? this.#date()
  }

  #tooLongPart(): Reason | null {
    const { row } = this
    if (tooLong(row.receipt)) return this.#reject('too_long', field.receipt)
    if (tooLong(row.store)) return this.#reject('too_long', field.store)
    return tooLong(row.terminal) ? this.#reject('too_long', field.terminal) : null
  }

  #date(): Reason | null {
    const { occurredAtMs } = this.row
    if (Number.isNaN(occurredAtMs)) return this.#reject('bad_date', field.occurredAt)
    return occurredAtMs > this.#latestMs ? this.#reject('future_date', field.occurredAt) : null
  }

  #identityPart(part: FileProfile['system']['identity'][number]): string {
    const { row } = this
    if (part === 'receipt_number') return isCutShort(row.receipt) ? '' : row.receipt
    if (part !== 'day') return row[part]
    return Number.isNaN(row.occurredAtMs) ? '' : isoOfDay(this.#calendar.dayOf(row.occurredAtMs))
  }

  #client(cells: readonly string[]): Reason | null {
    let client = cells[this.#columns.client]!.trim()
    if (client === '') client = this.#defaults.client ?? ''
    if (client === '') return this.#reject('missing_client', field.client)
    if (this.#integerClient) {
      const digits = integerDigits(client)
      if (digits < 0) return this.#reject('bad_client_id', field.client)
      client = client.slice(0, digits)
    }
    if (tooLong(client) || isCutShort(client)) return this.#reject('bad_client_id', field.client)
    this.row.client = client
    return null
  }

  #kindAndMoney(cells: readonly string[]): Reason | null {
    const { row } = this
    const columns = this.#columns
    const kind = this.#kindOf(cells)
    if (kind === undefined) return this.#reject('unknown_kind', field.kind)
    row.kind = kind
    if (columns.currency >= 0 && cells[columns.currency]!.trim() !== this.#profile.currency)
      return this.#reject('wrong_currency', field.currency)
    const numbers = this.#numbers
    const { currency } = this.#profile
    const sum = cells[columns.value]!
    if (!parseAmount(sum, numbers, currency, this.#value))
      return this.#reject(isInOtherCurrency(sum, currency) ? 'wrong_currency' : 'bad_amount', field.value)
    if (columns.quantity >= 0 && !parseDecimal(cells[columns.quantity]!, numbers, this.#quantity))
      return this.#reject('bad_amount', field.quantity)
    row.valueMantissa = this.#value.mantissa
    row.valueScale = this.#value.scale
    row.quantityMantissa = this.#quantity.mantissa
    row.quantityScale = this.#quantity.scale
    return null
  }

  #kindOf(cells: readonly string[]): KindCode | undefined {
    if (this.#columns.kind >= 0) return this.#kinds.get(cells[this.#columns.kind]!.trim().toLowerCase())
    for (const { prefix, kind } of this.#prefixes) if (this.row.receipt.startsWith(prefix)) return kind
    return this.#profile.kinds.negative_is_refund ? kindCodes.bySign : kindCodes.sale
  }

  #texts(cells: readonly string[]): Reason | null {
    const { row } = this
    const columns = this.#columns
    row.sku = this.#text(cells, columns.sku, 'sku')
    row.description = this.#text(cells, columns.description, 'description')
    row.category = this.#text(cells, columns.category, 'category')
    row.payment = this.#text(cells, columns.payment, 'payment')
    row.original = columns.original < 0 ? '' : cells[columns.original]!.trim()
    if (row.kind === kindCodes.void && row.original === '') return this.#reject('missing_field', field.original)
    for (let i = 0; i < columns.attributes.length; i++) {
      const value = cells[columns.attributes[i]!.index]!.trim()
      if (tooLong(value)) return this.#reject('too_long', field.attributes + i)
      row.attributes[i] = value
    }
    if (row.description.length > maxDescriptionChars) return this.#reject('too_long', field.description)
    if (tooLong(row.sku)) return this.#reject('too_long', field.sku)
    if (tooLong(row.category)) return this.#reject('too_long', field.category)
    if (tooLong(row.payment)) return this.#reject('too_long', field.payment)
    if (tooLong(row.original)) return this.#reject('too_long', field.original)
    return this.#missing(row)
  }

  #missing(row: MappedRow): Reason | null {
    for (const name of this.#required) if (row[name] === '') return this.#reject('missing_field', field[name])
    return null
  }

  #text(cells: readonly string[], index: number, field: string): string {
    const text = index < 0 ? '' : cells[index]!.trim()
    return text === '' ? (this.#defaults[field] ?? '') : text
  }
}

/** Per field with a policy: the text to use where it is missing, or null where the row is to be rejected. */
function defaultsOf(profile: FileProfile): Record<string, string | null> {
  const defaults: Record<string, string | null> = {}
  for (const [field, policy] of Object.entries(profile.missing)) {
    if (policy === 'empty' || (policy === 'reject' && field === 'client')) continue
    defaults[field] = policy === 'reject' ? null : policy.default
  }
  return defaults
}

function emptyRow(): MappedRow {
  return {
    number: 0,
    key: '',
    client: '',
    kind: kindCodes.sale,
    occurredAtMs: 0,
    valueMantissa: 0,
    valueScale: 0,
    quantityMantissa: 1,
    quantityScale: 0,
    sku: '',
    description: '',
    category: '',
    store: '',
    terminal: '',
    receipt: '',
    payment: '',
    original: '',
    attributes: [],
  }
}

function tooLong(text: string): boolean {
  return text.length > maxTextBytes || (text.length * 3 > maxTextBytes && Buffer.byteLength(text) > maxTextBytes)
}

/** Number of digits before an optional tail of zeros (`17850.0`, `17850,0`), or -1 where the text is no such integer. */
export function integerDigits(text: string): number {
  let digits = 0
  while (isDigit(text.charCodeAt(digits))) digits++
  if (digits === 0) return -1
  if (digits === text.length) return digits
  if ((text[digits] !== '.' && text[digits] !== ',') || digits + 1 === text.length) return -1
  for (let at = digits + 1; at < text.length; at++) if (text[at] !== '0') return -1
  return digits
}

function isDigit(code: number): boolean {
  return code >= 0x30 && code <= 0x39
}

/** Rows of a receipt stand together and repeat their date. */
function lastKept(parse: (text: string) => number): (text: string) => number {
  let lastText: string | null = null
  let lastValue = Number.NaN
  return (text) => {
    if (text !== lastText) {
      lastValue = parse(text)
      lastText = text
    }
    return lastValue
  }
}
