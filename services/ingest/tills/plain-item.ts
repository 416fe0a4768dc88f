import type { TillTransaction } from './item.ts'

/**
 * A quick look at an item as tills send it nearly always: right in every field. It knows less than the schema and never
 * more: what it takes, the schema takes with the same outcome, and what it does not know is left to the schema, which
 * also finds the words for what is wrong. Checking by the schema alone was a third of the work of the door.
 */

type Check = (value: unknown) => boolean

const isText: Check = (value) => typeof value === 'string' && value.isWellFormed() && !value.includes('\0')
const isTextOrNull: Check = (value) => value === null || isText(value)
const isWhole: Check = (value) => Number.isSafeInteger(value)
const isNumber: Check = (value) => Number.isFinite(value)
const isCount: Check = (value) => isWhole(value) && (value as number) >= 0 && (value as number) <= 2_147_483_647
const isKind: Check = (value) => value === 'SALE' || value === 'REFUND' || value === 'VOID'
const isOriginalKind: Check = (value) => value === 'SALE' || value === 'REFUND'
const areTextsInList: Check = (value) => Array.isArray(value) && value.every(isText)
const areLines: Check = (value) => Array.isArray(value) && value.every(isLine)

/** Dates of which no calendar is needed to know that there is such a day. */
const plainTime =
  /^\d{4}-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12]\d|3[01])|(?:0[469]|11)-(?:0[1-9]|[12]\d|30)|02-(?:0[1-9]|1\d|2[0-8]))T(?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d(?:\.\d{1,9})?(?:Z|[+-](?:[01]\d|2[0-3]):[0-5]\d)$/

const isTime: Check = (value) => (typeof value === 'string' ? plainTime.test(value) : isWhole(value))

/*
 * Fields are counted, each by its name in the code, so that reading it is as fast as it can be: what is wrong makes the sum
 * no number, what is not known is missing from it.
 */

function required(value: unknown, check: Check): number {
  return check(value) ? 1 : Number.NaN
}

function optional(value: unknown, check: Check): number {
  return value === undefined ? 0 : required(value, check)
}

function hasOnly(fields: number, value: object): boolean {
  return fields === Object.keys(value).length
}

type Fields<Name extends string> = Readonly<Partial<Record<Name, unknown>>>

function isLine(value: unknown): boolean {
  if (!isPlainObject(value)) return false
  const line: Fields<'sku' | 'quantity' | 'amount_minor' | 'description' | 'category'> = value
  const fields =
    required(line.sku, isText) +
    required(line.quantity, isNumber) +
    required(line.amount_minor, isWhole) +
    optional(line.description, isTextOrNull) +
    optional(line.category, isTextOrNull)
  return hasOnly(fields, value)
}

/** Without `day`, which is left to the schema. */
function isOriginalReceipt(value: unknown): boolean {
  if (!isPlainObject(value)) return value === null
  const receipt: Fields<'receipt_number' | 'store_id' | 'terminal_id' | 'kind'> = value
  const fields =
    required(receipt.receipt_number, isText) +
    optional(receipt.store_id, isTextOrNull) +
    optional(receipt.terminal_id, isTextOrNull) +
    optional(receipt.kind, isOriginalKind)
  return hasOnly(fields, value)
}

function isItem(value: unknown): value is TillTransaction {
  if (!isPlainObject(value)) return false
  const item: Fields<keyof TillTransaction> = value
  const fields =
    required(item.client_id, isText) +
    required(item.kind, isKind) +
    required(item.occurred_at, isTime) +
    required(item.currency, isText) +
    optional(item.transaction_id, isTextOrNull) +
    optional(item.amount_minor, isWhole) +
    optional(item.store_id, isTextOrNull) +
    optional(item.terminal_id, isTextOrNull) +
    optional(item.receipt_number, isTextOrNull) +
    optional(item.original_transaction_id, isTextOrNull) +
    optional(item.original_receipt, isOriginalReceipt) +
    optional(item.payment_method, isTextOrNull) +
    optional(item.items_count, isCount) +
    optional(item.categories, areTextsInList) +
    optional(item.lines, areLines) +
    optional(item.discount_minor, isWhole) +
    optional(item.bonus_earned_minor, isWhole) +
    optional(item.bonus_spent_minor, isWhole) +
    optional(item.attributes, areTexts)
  return hasOnly(fields, value)
}

/** The transaction, or null where the schema must look at it. */
export function plainItem(input: unknown): TillTransaction | null {
  if (!isItem(input)) return null
  const original = input.original_receipt ?? null
  return original === null || original.kind !== undefined
    ? input
    : { ...input, original_receipt: { ...(original as typeof original), kind: 'SALE' } }
}

function areTexts(value: unknown): boolean {
  if (!isPlainObject(value)) return false
  for (const name in value) if (name === '__proto__' || !isText(name) || !isText(value[name])) return false
  return true
}

function isPlainObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && Object.getPrototypeOf(value) === Object.prototype
}
