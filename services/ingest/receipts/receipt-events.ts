import type { TransactionRecorded } from '#schemas/events.ts'
import type { FileProfile } from '../profile.ts'
import type { Generations } from '../undo/generations.ts'
import type { Receipt } from './build-receipt.ts'
import { type EventWithoutId, ReceiptIds } from './identity.ts'
import type { MappedRow } from './row.ts'

/** Makes the events of one file's receipts. */
export class ReceiptEvents {
  readonly #profile: FileProfile
  readonly #batchId: string
  readonly #ids: ReceiptIds
  readonly #attributes: readonly string[]

  constructor(profile: FileProfile, batchId: string, generations?: Pick<Generations, 'idOf'> | undefined) {
    this.#profile = profile
    this.#batchId = batchId
    this.#ids = new ReceiptIds(profile, generations)
    this.#attributes = Object.keys(profile.columns.attributes)
  }

  /** To be called before the first receipt of each bucket. */
  beginBucket(): void {
    this.#ids.beginBucket()
  }

  of(receipt: Receipt): TransactionRecorded {
    const { first } = receipt
    const event: EventWithoutId & { transaction_id: string } = {
      // Follows from the others. Said afterwards, because an object that is spread is made twice.
      transaction_id: '',
      client_id: first.client,
      kind: receipt.kind,
      occurred_at: receipt.occurredAtMs,
      amount_minor: receipt.amountMinor,
      currency: this.#profile.currency,
      source: `upload:${this.#batchId}`,
      store_id: orNull(first.store),
      terminal_id: orNull(first.terminal),
      receipt_number: orNull(first.receipt),
      original_transaction_id: this.#ids.originalOf(first),
      payment_method: orNull(first.payment),
      batch_id: this.#batchId,
      items_count: receipt.itemsCount,
      categories: receipt.categories,
      lines: receipt.lines,
      discount_minor: 0,
      bonus_earned_minor: 0,
      bonus_spent_minor: 0,
      attributes: this.#attributesOf(first),
    }
    event.transaction_id = this.#ids.idOf(first, event)
    return event
  }

  #attributesOf(row: MappedRow): Record<string, string> {
    const attributes: Record<string, string> = {}
    for (let i = 0; i < this.#attributes.length; i++)
      if (row.attributes[i]) attributes[this.#attributes[i]!] = row.attributes[i]!
    return attributes
  }
}

function orNull(text: string): string | null {
  return text === '' ? null : text
}
