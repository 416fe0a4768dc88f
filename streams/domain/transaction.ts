import { type Hash64, Hasher } from './hash.ts'

/** Kinds of transaction. `unknown` is what a reader makes of a kind it has no word for; it is never valid. */
export const Kind = { unknown: 0, sale: 1, refund: 2, void: 3 } as const

export type Kind = (typeof Kind)[keyof typeof Kind]

/** One line of a receipt. `quantity` is pieces or kilograms. */
export interface Line {
  readonly sku: string
  readonly description: string | null
  readonly category: string | null
  readonly quantity: number
  readonly amountMinor: number
}

/** A receipt, a refund or a void: what decides about a client, without the fields that are only passed on. */
export interface Transaction {
  readonly transactionId: string
  readonly clientId: string
  readonly kind: Kind
  /** Business time, epoch milliseconds UTC. */
  readonly occurredAtMs: number
  /** Magnitude; 0 for a void. */
  readonly amountMinor: number
  readonly currency: string
  /** The sale that is refunded, or the sale or refund that is voided. */
  readonly originalTransactionId: string | null
  readonly storeId: string | null
  readonly discountMinor: number
  readonly bonusEarnedMinor: number
  readonly bonusSpentMinor: number
  readonly lines: readonly Line[]
}

const hasher = new Hasher()

/**
 * Hash of the content of a transaction: client, kind, time, amount, currency, original, store, discount, bonus, lines.
 * Not its id, nor where it came from: two transactions with one id are the same exactly when this agrees.
 */
export function contentHash(transaction: Omit<Transaction, 'transactionId'>, out: Hash64): void {
  hasher
    .reset()
    .text(transaction.clientId)
    .word(transaction.kind)
    .number(transaction.occurredAtMs)
    .number(transaction.amountMinor)
    .text(transaction.currency)
    .text(transaction.originalTransactionId)
    .text(transaction.storeId)
    .number(transaction.discountMinor)
    .number(transaction.bonusEarnedMinor)
    .number(transaction.bonusSpentMinor)
    .word(transaction.lines.length)
  for (const line of transaction.lines) {
    hasher.text(line.sku).text(line.description).text(line.category).number(line.quantity).number(line.amountMinor)
  }
  hasher.finish(out)
}

/** Why a transaction cannot be taken in. `detail` is for people. */
export interface Refusal {
  readonly reason: 'invalid' | 'wrong_currency'
  readonly detail: string
}

/** Largest amount of one transaction, in minor units. */
export const maxAmountMinor = 2 ** 52
/** Largest bonus earned or spent in one transaction, in minor units (the ledger keeps 47 bits). */
export const maxBonusMinor = 2 ** 47 - 1
/** Business times: a till that has lost its clock says 1970 or the first of January 1980. */
export const earliestMs = Date.UTC(1980, 0, 2)
export const latestMs = Date.UTC(2200, 0, 1)
/** Longest client id and longest transaction id, in bytes of UTF-8. */
export const maxClientIdBytes = 256
export const maxTransactionIdBytes = 1024

/** Null where the transaction may enter a ledger of a programme in `currency`, otherwise why not. */
export function validate(transaction: Transaction, programme: { readonly currency: string }): Refusal | null {
  const fault = idFault(transaction) ?? kindFault(transaction) ?? amountFault(transaction) ?? lineFault(transaction)
  if (fault !== null) return { reason: 'invalid', detail: fault }
  if (transaction.currency === programme.currency) return null
  return {
    reason: 'wrong_currency',
    detail: `currency is ${transaction.currency}, the programme's is ${programme.currency}`,
  }
}

function idFault({ clientId, transactionId, originalTransactionId }: Transaction): string | null {
  if (clientId === '') return 'client_id is empty'
  if (utf8Exceeds(clientId, maxClientIdBytes)) return `client_id is longer than ${maxClientIdBytes} bytes`
  if (transactionId === '') return 'transaction_id is empty'
  if (utf8Exceeds(transactionId, maxTransactionIdBytes))
    return `transaction_id is longer than ${maxTransactionIdBytes} bytes`
  if (originalTransactionId === '') return 'original_transaction_id is empty; leave it out where there is none'
  return null
}

function kindFault(transaction: Transaction): string | null {
  const { kind, occurredAtMs, originalTransactionId } = transaction
  if (kind !== Kind.sale && kind !== Kind.refund && kind !== Kind.void) return 'kind is none of SALE, REFUND, VOID'
  if (kind === Kind.void && originalTransactionId === null) return 'a VOID needs original_transaction_id'
  if (!Number.isSafeInteger(occurredAtMs)) return 'occurred_at is no whole number of milliseconds'
  if (occurredAtMs < earliestMs || occurredAtMs >= latestMs) return 'occurred_at is outside 1980-01-02 to 2199-12-31'
  return null
}

function amountFault(transaction: Transaction): string | null {
  const { kind, amountMinor, discountMinor, bonusEarnedMinor, bonusSpentMinor } = transaction
  if (!isAmount(amountMinor, maxAmountMinor)) return 'amount_minor is no whole number from 0 to 2^52'
  if (kind === Kind.void && amountMinor !== 0) return 'amount_minor of a VOID is not 0'
  if (!isAmount(discountMinor, maxAmountMinor)) return 'discount_minor is no whole number from 0 to 2^52'
  if (!isAmount(bonusEarnedMinor, maxBonusMinor)) return 'bonus_earned_minor is no whole number from 0 to 2^47 - 1'
  if (!isAmount(bonusSpentMinor, maxBonusMinor)) return 'bonus_spent_minor is no whole number from 0 to 2^47 - 1'
  return null
}

function lineFault({ lines }: Transaction): string | null {
  for (const { quantity, amountMinor } of lines) {
    if (!Number.isFinite(quantity)) return 'quantity of a line is no number'
    if (!Number.isSafeInteger(amountMinor)) return 'amount_minor of a line is no whole number'
  }
  return null
}

function isAmount(value: number, most: number): boolean {
  return value >= 0 && value <= most && Number.isInteger(value)
}

function utf8Exceeds(text: string, bytes: number): boolean {
  // A UTF-16 unit is at most three bytes, so that nearly every id is settled by its length.
  if (text.length * 3 <= bytes) return false
  let length = 0
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i)
    if (unit < 0x80) length += 1
    else if (unit < 0x800 || (unit & 0xf800) === 0xd800) length += 2
    else length += 3
  }
  return length > bytes
}
