import type { TillTransaction } from './item.ts'

/**
 * A quick look at an item as tills send it nearly always: right in every field. It knows less than the schema and never
 * more: what it takes, the schema takes with the same outcome, and what it does not know is left to the schema, which
 * also finds the words for what is wrong. Checking by the schema alone was a third of the work of the door.
 */

type Check = (value: unknown) => boolean

interface Checks {
  readonly byName: ReadonlyMap<string, { readonly check: Check; readonly required: boolean }>
  /** How many fields must be there. */
  readonly required: number
}

const isText: Check = (value) => typeof value === 'string' && value.isWellFormed() && !value.includes('\0')
const isWhole: Check = (value) => Number.isSafeInteger(value)
const orNull =
  (check: Check): Check =>
  (value) =>
    value === null || check(value)

/** Dates of which no calendar is needed to know that there is such a day. */
const plainTime =
  /^\d{4}-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12]\d|3[01])|(?:0[469]|11)-(?:0[1-9]|[12]\d|30)|02-(?:0[1-9]|1\d|2[0-8]))T(?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d(?:\.\d{1,9})?(?:Z|[+-](?:[01]\d|2[0-3]):[0-5]\d)$/

function checksOf(required: Record<string, Check>, optional: Record<string, Check>): Checks {
  const byName = new Map<string, { readonly check: Check; readonly required: boolean }>()
  for (const [name, check] of Object.entries(required)) byName.set(name, { check, required: true })
  for (const [name, check] of Object.entries(optional)) byName.set(name, { check, required: false })
  return { byName, required: Object.keys(required).length }
}

const line = checksOf(
  { sku: isText, quantity: (value) => Number.isFinite(value), amount_minor: isWhole },
  { description: orNull(isText), category: orNull(isText) },
)

/** Without `day`, which is left to the schema. */
const originalReceipt = checksOf(
  { receipt_number: isText },
  {
    store_id: orNull(isText),
    terminal_id: orNull(isText),
    kind: (value) => value === 'SALE' || value === 'REFUND',
  },
)

const item = checksOf(
  {
    client_id: isText,
    kind: (value) => value === 'SALE' || value === 'REFUND' || value === 'VOID',
    occurred_at: (value) => (typeof value === 'string' ? plainTime.test(value) : isWhole(value)),
    currency: isText,
  },
  {
    transaction_id: orNull(isText),
    amount_minor: isWhole,
    store_id: orNull(isText),
    terminal_id: orNull(isText),
    receipt_number: orNull(isText),
    original_transaction_id: orNull(isText),
    original_receipt: orNull((value) => fits(value, originalReceipt)),
    payment_method: orNull(isText),
    items_count: (value) => isWhole(value) && (value as number) >= 0 && (value as number) <= 2_147_483_647,
    categories: (value) => Array.isArray(value) && value.every(isText),
    lines: (value) => Array.isArray(value) && value.every((each) => fits(each, line)),
    discount_minor: isWhole,
    bonus_earned_minor: isWhole,
    bonus_spent_minor: isWhole,
    attributes: (value) => areTexts(value),
  },
)

/** The transaction, or null where the schema must look at it. */
export function plainItem(input: unknown): TillTransaction | null {
  if (!fits(input, item)) return null
  const found = input as TillTransaction
  const original = found.original_receipt ?? null
  return original === null || original.kind !== undefined
    ? found
    : { ...found, original_receipt: { ...(original as typeof original), kind: 'SALE' } }
}

function fits(value: unknown, checks: Checks): boolean {
  if (!isPlainObject(value)) return false
  let required = 0
  for (const name in value) {
    const known = checks.byName.get(name)
    if (known === undefined || !known.check(value[name])) return false
    if (known.required) required++
  }
  return required === checks.required
}

function areTexts(value: unknown): boolean {
  if (!isPlainObject(value)) return false
  for (const name in value) if (name === '__proto__' || !isText(name) || !isText(value[name])) return false
  return true
}

function isPlainObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && Object.getPrototypeOf(value) === Object.prototype
}
