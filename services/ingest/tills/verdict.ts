import type { TransactionRecorded } from '#schemas/events.ts'
import { Kind, validate } from '#streams/domain/transaction.ts'
import { type ReceiptIdentity, transactionId } from '#streams/domain/transaction-id.ts'
import { transactionOf } from '#streams/topologies/intake.ts'
import { readItem, type TillTransaction } from './item.ts'
import type { Principal } from './principal.ts'
import type { Rejection } from './rejection.ts'

const kinds = { SALE: Kind.sale, REFUND: Kind.refund, VOID: Kind.void } as const

/** The event that an item becomes, with its id in the programme, or why it becomes none. */
export function judge(
  input: unknown,
  principal: Principal,
  programme: { readonly currency: string },
): TransactionRecorded | Rejection {
  const item = readItem(input)
  if ('code' in item) return item
  if (item.amount_minor === undefined && item.kind !== 'VOID')
    return { code: 'missing_field', field: 'amount_minor', message: 'amount_minor is missing' }
  const occurredAtMs = typeof item.occurred_at === 'number' ? item.occurred_at : Date.parse(item.occurred_at)
  const id = idOf(item, occurredAtMs, principal)
  if (typeof id !== 'string') return id
  const original = originalOf(item, principal)
  if (original !== null && typeof original !== 'string') return original
  const event = eventOf(item, { id, original, occurredAtMs, source: `pos:${principal.system.system}` })
  const refusal = validate(transactionOf(event), programme)
  if (refusal === null) return event
  const { reason, detail } = refusal
  return { code: reason, field: reason === 'wrong_currency' ? 'currency' : fieldNamedIn(detail), message: detail }
}

function eventOf(
  item: TillTransaction,
  made: { id: string; original: string | null; occurredAtMs: number; source: string },
): TransactionRecorded {
  return {
    transaction_id: made.id,
    client_id: item.client_id,
    kind: item.kind,
    occurred_at: made.occurredAtMs,
    amount_minor: item.amount_minor ?? 0,
    currency: item.currency,
    source: made.source,
    store_id: textOf(item.store_id),
    terminal_id: textOf(item.terminal_id),
    receipt_number: textOf(item.receipt_number),
    original_transaction_id: made.original,
    payment_method: textOf(item.payment_method),
    batch_id: null,
    items_count: item.items_count ?? 0,
    categories: item.categories ?? [],
    lines: (item.lines ?? []).map(({ sku, description, category, quantity, amount_minor }) => ({
      sku,
      description: textOf(description),
      category: textOf(category),
      quantity,
      amount_minor,
    })),
    discount_minor: item.discount_minor ?? 0,
    bonus_earned_minor: item.bonus_earned_minor ?? 0,
    bonus_spent_minor: item.bonus_spent_minor ?? 0,
    attributes: item.attributes ?? {},
  }
}

/** Texts as a file would have them: without blanks around, and none rather than an empty one. */
function textOf(text: string | null | undefined): string | null {
  return text?.trim() || null
}

function idOf(item: TillTransaction, occurredAtMs: number, principal: Principal): string | Rejection {
  const given = textOf(item.transaction_id)
  const { system, dayOf } = principal
  const identity = {
    kind: kinds[item.kind],
    store: textOf(item.store_id),
    terminal: textOf(item.terminal_id),
    receiptNumber: textOf(item.receipt_number),
  }
  const keyed = system.identity.length > 0 && identity.receiptNumber !== null
  if (keyed && given !== null)
    return {
      code: 'ambiguous_id',
      field: 'transaction_id',
      message: `receipts of ${system.system} are identified by ${system.identity.join(', ')}: leave transaction_id out`,
    }
  if (keyed) {
    const lacking = lackingOf(identity, principal)
    const day = system.identity.includes('day') ? dayOf(occurredAtMs) : null
    return lacking ?? transactionId(system, { ...identity, day })
  }
  if (given !== null) return idOfGiven(given, identity.kind, principal)
  const message =
    system.identity.length > 0
      ? `receipts of ${system.system} are identified by ${system.identity.join(', ')}: send them, or transaction_id`
      : `transaction_id is missing, and ${system.system} declares no key of its receipts`
  return { code: 'missing_id', field: system.identity.length > 0 ? 'receipt_number' : 'transaction_id', message }
}

/** An id of the system's own; one that begins with the system's name and a colon is the programme's already. */
function idOfGiven(given: string, kind: Kind, { system }: Principal): string {
  return given.startsWith(`${system.system}:`)
    ? given
    : transactionId({ ...system, identity: [] }, { kind, givenId: given })
}

function lackingOf({ store, terminal }: Partial<ReceiptIdentity>, { system }: Principal): Rejection | null {
  const field =
    system.identity.includes('store') && !store
      ? 'store_id'
      : system.identity.includes('terminal') && !terminal
        ? 'terminal_id'
        : null
  if (field === null) return null
  const message = `${field} is missing, which is part of what identifies receipts of ${system.system}`
  return { code: 'missing_id', field, message }
}

/** Id of what is refunded or voided; null where nothing is named. */
function originalOf(item: TillTransaction, principal: Principal): string | null | Rejection {
  const given = textOf(item.original_transaction_id)
  const receipt = item.original_receipt ?? null
  if (receipt === null) return given === null ? null : idOfGiven(given, Kind.sale, principal)
  const { system } = principal
  const field = 'original_receipt'
  if (given !== null)
    return { code: 'ambiguous_original', field, message: 'send original_transaction_id or original_receipt, not both' }
  if (system.identity.length === 0)
    return {
      code: 'ambiguous_original',
      field,
      message: `${system.system} declares no key of its receipts: name the original by original_transaction_id`,
    }
  const identity = {
    kind: kinds[receipt.kind],
    store: textOf(receipt.store_id) ?? textOf(item.store_id),
    terminal: textOf(receipt.terminal_id) ?? textOf(item.terminal_id),
    receiptNumber: textOf(receipt.receipt_number),
  }
  if (identity.receiptNumber === null)
    return { code: 'missing_id', field: `${field}.receipt_number`, message: 'receipt_number of the original is empty' }
  if (system.identity.includes('day') && receipt.day === undefined)
    return { code: 'missing_id', field: `${field}.day`, message: 'the day on the original receipt is missing' }
  return lackingOf(identity, principal) ?? transactionId(system, { ...identity, day: receipt.day ?? null })
}

const fieldNames =
  /\b(original_transaction_id|transaction_id|client_id|kind|occurred_at|amount_minor|discount_minor|bonus_earned_minor|bonus_spent_minor)\b/

/** The domain's sentences name the field that is at fault. */
function fieldNamedIn(detail: string): string | null {
  return fieldNames.exec(detail)?.[0] ?? null
}
