import type { TransactionRecorded } from '#schemas/events.ts'
import { Calendar, isoOfDay } from '#streams/domain/calendar.ts'
import { type Hash64, hex64 } from '#streams/domain/hash.ts'
import { contentHash, Kind } from '#streams/domain/transaction.ts'
import { type ReceiptSystem, transactionId } from '#streams/domain/transaction-id.ts'
import { zoneOffsets } from '../parse/zone.ts'
import type { FileProfile } from '../profile.ts'
import type { Generations } from '../undo/generations.ts'
import { kindCodes, type MappedRow } from './row.ts'

/** Everything of an event but its id. */
export type EventWithoutId = Omit<TransactionRecorded, 'transaction_id'>

const kinds = { UNKNOWN: Kind.unknown, SALE: Kind.sale, REFUND: Kind.refund, VOID: Kind.void } as const

/** Transaction ids of one file: by receipt number where its system has such, else by content and repetition. */
export class ReceiptIds {
  readonly #system: ReceiptSystem
  readonly #calendar: Calendar
  readonly #generations: Pick<Generations, 'idOf'> | undefined
  readonly #hash: Hash64 = { hi: 0, lo: 0 }
  /** How often a content was seen; equal contents are in one bucket. */
  readonly #ordinals = new Map<string, number>()

  /** `generations`: of receipts that were taken back before; none: there are no such. */
  constructor(profile: FileProfile, generations?: Pick<Generations, 'idOf'>) {
    this.#generations = generations
    const { name, identity, numbers_cover_kinds } = profile.system
    this.#system = { system: name, identity, numbersCoverKinds: numbers_cover_kinds }
    this.#calendar = new Calendar(zoneOffsets(profile.time_zone))
  }

  /** To be called before the first receipt of each bucket. */
  beginBucket(): void {
    this.#ordinals.clear()
  }

  idOf(row: MappedRow, event: EventWithoutId): string {
    return this.#now(row, this.#firstIdOf(row, event))
  }

  #firstIdOf(row: MappedRow, event: EventWithoutId): string {
    const { identity } = this.#system
    if (identity.length === 0) return this.#byContent(event)
    return transactionId(this.#system, {
      kind: kinds[event.kind],
      store: row.store,
      terminal: row.terminal,
      // The day of the row, which is in the receipt's key: rows of a receipt over midnight are of two receipts then.
      day: identity.includes('day') ? isoOfDay(this.#calendar.dayOf(row.occurredAtMs)) : null,
      receiptNumber: row.receipt,
    })
  }

  /** Id of what a row refunds or voids, taken to be a sale; null where the row names nothing. */
  originalOf(row: MappedRow): string | null {
    if (row.original === '' || (row.kind !== kindCodes.refund && row.kind !== kindCodes.void)) return null
    const first = transactionId(this.#system, {
      kind: Kind.sale,
      store: row.store,
      terminal: row.terminal,
      receiptNumber: row.original,
    })
    return this.#now(row, first)
  }

  /** An id in the generation that it has now. */
  #now(row: MappedRow, first: string): string {
    return this.#generations === undefined ? first : this.#generations.idOf(row.client, first)
  }

  #byContent(event: EventWithoutId): string {
    contentHash(
      {
        clientId: event.client_id,
        kind: kinds[event.kind],
        occurredAtMs: event.occurred_at,
        amountMinor: event.amount_minor,
        currency: event.currency,
        originalTransactionId: event.original_transaction_id,
        storeId: event.store_id,
        discountMinor: event.discount_minor,
        bonusEarnedMinor: event.bonus_earned_minor,
        bonusSpentMinor: event.bonus_spent_minor,
        lines: event.lines.map(({ sku, description, category, quantity, amount_minor }) => ({
          sku,
          description,
          category,
          quantity,
          amountMinor: amount_minor,
        })),
      },
      this.#hash,
    )
    const seen = hex64(this.#hash)
    const ordinal = (this.#ordinals.get(seen) ?? 0) + 1
    this.#ordinals.set(seen, ordinal)
    return transactionId(this.#system, { kind: kinds[event.kind], content: this.#hash, ordinal })
  }
}
