/**
 * The events as they are on the wire, one interface per .avsc: snake_case names, times in epoch milliseconds (UTC), dates
 * in days since 1970-01-01 (programme time zone), longs as safe integers. Fields with a default in the schema may be left
 * out when encoding (see `Encodable` in codec.ts); decoding always fills them. Texts on each field: docs/events.md.
 */

export type TransactionKind = 'UNKNOWN' | 'SALE' | 'REFUND' | 'VOID'

export interface ReceiptLine {
  readonly sku: string
  readonly description: string | null
  readonly category: string | null
  readonly quantity: number
  readonly amount_minor: number
}

export interface TransactionRecorded {
  readonly transaction_id: string
  readonly client_id: string
  readonly kind: TransactionKind
  readonly occurred_at: number
  readonly amount_minor: number
  readonly currency: string
  readonly source: string
  readonly store_id: string | null
  readonly terminal_id: string | null
  readonly receipt_number: string | null
  readonly original_transaction_id: string | null
  readonly payment_method: string | null
  readonly batch_id: string | null
  readonly items_count: number
  readonly categories: readonly string[]
  readonly lines: readonly ReceiptLine[]
  readonly discount_minor: number
  readonly bonus_earned_minor: number
  readonly bonus_spent_minor: number
  readonly attributes: Readonly<Record<string, string>>
}

export interface ClientProfileChanged {
  readonly client_id: string
  readonly name: string | null
  readonly email: string | null
  readonly phone: string | null
  readonly gender: string | null
  readonly birth_date: number | null
  readonly registered_at: number | null
  readonly city: string | null
  readonly communication_preferences: Readonly<Record<string, boolean>>
  readonly opening_bonus_minor: number
  readonly opening_bonus_at: number | null
  readonly source: string
  readonly attributes: Readonly<Record<string, string>>
}

export interface ZoneOffset {
  readonly from: number
  readonly offset_minutes: number
}

export interface ProgrammeConfigured {
  readonly programme_id: string
  readonly currency: string
  readonly time_zone: string
  readonly offsets: readonly ZoneOffset[]
  readonly clock: 'system' | 'events'
  readonly monetary_basis: 'net' | 'gross'
  readonly partitions: number
  readonly ledger_cap: number
  readonly configured_at: number
}

export interface DayStarted {
  readonly date: number
  readonly started_at: number
}

export interface CutPointsPublished {
  readonly recency_days: readonly number[]
  readonly frequency: readonly number[]
  readonly monetary_minor: readonly number[]
  readonly basis: 'net' | 'gross'
  readonly calibrated_as_of: number | null
  readonly published_at: number
}

export interface ModelActivated {
  readonly model_id: string
  readonly model_version: string
  readonly sha256: string
  readonly activated_at: number
}

/** Everything in a row that depends on ledger and context alone. */
export interface ClientStateValues {
  readonly client_id: string
  readonly first_purchase_at: number | null
  readonly last_purchase_at: number | null
  readonly first_purchase_day: number | null
  readonly last_purchase_day: number | null
  readonly frequency: number
  readonly monetary_gross_minor: number
  readonly monetary_net_minor: number
  readonly refunded_minor: number
  readonly mean_receipt_minor: number
  readonly purchases_30d: number
  readonly purchases_90d: number
  readonly purchases_365d: number
  readonly spend_30d_minor: number
  readonly spend_90d_minor: number
  readonly spend_365d_minor: number
  readonly mean_days_between: number | null
  readonly refund_share: number
  readonly bonus_earned_minor: number
  readonly bonus_spent_minor: number
  readonly stores: number
  readonly transactions: number
  readonly waiting: number
  readonly flags: number
  readonly r_score: number | null
  readonly f_score: number | null
  readonly m_score: number | null
  readonly rfm_score: string | null
  readonly segment: string | null
  readonly loyalty_score: number | null
}

/** When and by which model a row was written; left out when rows are compared. */
export interface ClientStateTail {
  readonly model_id: string | null
  readonly model_version: string | null
  readonly as_of: number | null
  readonly version: number
}

export interface ClientStateChanged extends ClientStateValues, ClientStateTail {}

export type ReclassificationCause = 'purchase' | 'refund' | 'correction' | 'time' | 'model' | 'cut_points'

export interface ClientReclassified {
  readonly client_id: string
  readonly before: string | null
  readonly after: string | null
  readonly score_before: number | null
  readonly score_after: number | null
  readonly cause: ReclassificationCause
  readonly transaction_ids: readonly string[]
  readonly model_id: string | null
  readonly model_version: string | null
  readonly as_of: number | null
  readonly version: number
}

export interface BatchCounts {
  readonly batch_id: string
  readonly accepted: number
  readonly duplicates: number
  readonly dead: number
}

export interface Fact {
  readonly transaction_id: string
  /** Eight bytes, big-endian. */
  readonly transaction_key: Uint8Array
  readonly client_id: string
  readonly kind: 'SALE' | 'REFUND' | 'VOID'
  readonly occurred_at: number
  readonly day: number
  readonly offset: number
  readonly amount_minor: number
  readonly source: string
  readonly batch_id: string | null
  readonly store_id: string | null
  readonly terminal_id: string | null
  readonly receipt_number: string | null
  readonly original_transaction_id: string | null
  readonly payment_method: string | null
  readonly items_count: number
  readonly categories: readonly string[]
  readonly discount_minor: number
  readonly bonus_earned_minor: number
  readonly bonus_spent_minor: number
  readonly count_effect: number
  readonly gross_effect_minor: number
  readonly net_effect_minor: number
  readonly purchase_number: number | null
  readonly days_since_previous: number | null
  readonly segment_before: string | null
  /** Null in blocks of version 1. */
  readonly arrived_day: number | null
}

export interface Adjustment {
  readonly transaction_key: Uint8Array
  readonly client_id: string
  readonly occurred_at: number
  readonly day: number
  readonly offset: number
  readonly count_effect: number
  readonly gross_effect_minor: number
  readonly net_effect_minor: number
}

/** Transactions that came again, by batch, store and business day. */
export interface RepeatCount {
  readonly batch_id: string | null
  readonly store_id: string | null
  readonly day: number
  readonly repeats: number
}

export interface TransactionsAccepted {
  readonly task: number
  readonly step: number
  readonly part: number
  readonly parts: number
  readonly from_offset: number
  readonly to_offset: number
  readonly batches: readonly BatchCounts[]
  readonly facts: readonly Fact[]
  readonly adjustments: readonly Adjustment[]
  readonly repeats: readonly RepeatCount[]
}

export interface StoreRows {
  readonly store_id: string | null
  readonly others: boolean
  readonly accepted_rows: number
  readonly rejected_rows: Readonly<Record<string, number>>
}

export interface UploadExamined {
  readonly batch_id: string
  readonly part: number
  readonly parts: number
  readonly received_at: number
  readonly outlier_above_minor: number | null
  readonly stores: readonly StoreRows[]
}

/** Every published event by its record name. */
export interface Events {
  TransactionRecorded: TransactionRecorded
  ClientProfileChanged: ClientProfileChanged
  ProgrammeConfigured: ProgrammeConfigured
  DayStarted: DayStarted
  CutPointsPublished: CutPointsPublished
  ModelActivated: ModelActivated
  ClientStateChanged: ClientStateChanged
  ClientReclassified: ClientReclassified
  TransactionsAccepted: TransactionsAccepted
  UploadExamined: UploadExamined
}

export type EventName = keyof Events
