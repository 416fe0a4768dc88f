/** Counts of a row of either report; `docs/data-quality.md` says what each is. */
export interface QualityCounts {
  readonly transactions: number
  readonly sales: number
  readonly refunds: number
  readonly voids: number
  readonly without_store: number
  readonly without_receipt_number: number
  readonly without_payment_method: number
  readonly without_items: number
  readonly without_original: number
  readonly unknown_originals: number
  readonly timed: number
  readonly late: number
  readonly outliers: number
  readonly duplicates: number
}

const counts = [
  ...['transactions', 'sales', 'refunds', 'voids'],
  ...['without_store', 'without_receipt_number', 'without_payment_method', 'without_items'],
  ...['without_original', 'unknown_originals', 'timed', 'late', 'outliers', 'duplicates'],
].join(', ')

/** A row of `qualityByDay`. */
export interface DayQuality extends QualityCounts {
  /** Business day, ISO. */
  readonly date: string
  /** Null for transactions that name none. */
  readonly store: string | null
}

/** By business day (days since 1970-01-01, both included) and store; `store`: only that one, '' for what names none. */
export function qualityByDay(input: { fromDay: number; toDay: number; store: string | null; limit: number }): {
  sql: string
  params: { fromDay: number; toDay: number; limit: number; store?: string }
} {
  const { fromDay, toDay, store, limit } = input
  return {
    sql: `SELECT toString(day) AS date, store, ${counts}
FROM bi_data_quality_daily
WHERE day BETWEEN toDate32({fromDay:Int32}) AND toDate32({toDay:Int32})${ofStore(store)}
ORDER BY day, store
LIMIT {limit:UInt32}`,
    params: { fromDay, toDay, limit, ...(store === null ? {} : { store }) },
  }
}

/** The one row of `newestBusinessDay`: days since 1970-01-01, null where there is no transaction. */
export interface NewestBusinessDay {
  readonly day: number | null
}

/** The newest business day of an accepted transaction. */
export function newestBusinessDay(): { sql: string; params: Record<string, never> } {
  return { sql: 'SELECT maxOrNull(toInt32(day)) AS day FROM transactions', params: {} }
}

/** A row of `examinedUploads`. */
export interface ExaminedUpload {
  readonly batch_id: string
  /** How many uploads there are in all. */
  readonly total: number
}

/** Uploads of transactions, the newest first, of a range of days on which they came (UTC, both included; null: any). */
export function examinedUploads(input: { fromDay: number | null; toDay: number | null; skip: number; limit: number }): {
  sql: string
  params: { fromDay: number; toDay: number; skip: number; limit: number }
} {
  const { fromDay, toDay, skip, limit } = input
  return {
    sql: `SELECT batch_id, toUInt32(count() OVER ()) AS total
FROM (SELECT batch_id, max(received_at) AS received FROM upload_rows FINAL GROUP BY batch_id)
WHERE toDate32(received) BETWEEN toDate32({fromDay:Int32}) AND toDate32({toDay:Int32})
ORDER BY received DESC, batch_id
LIMIT {limit:UInt32} OFFSET {skip:UInt32}`,
    params: { fromDay: fromDay ?? firstDay, toDay: toDay ?? lastDay, skip, limit },
  }
}

/** As far as Date32 goes: 1900-01-01 and 2299-12-31. */
const firstDay = -25_567
const lastDay = 120_529

/** A row of `qualityByBatch`. */
export interface BatchQuality extends QualityCounts {
  readonly batch_id: string
  /** Null for transactions and rows that name none. */
  readonly store: string | null
  /** True for the one row of all stores beyond the first 20,000 of the file. */
  readonly others: boolean
  /** When the file came, epoch milliseconds; null where the upload has no row of this store, or an older version took it in. */
  readonly received_at_ms: number | null
  readonly outlier_above_minor: number | null
  readonly rows_read: number
  readonly rows_accepted: number
  readonly rows_rejected: Readonly<Record<string, number>>
  readonly dead_letters: number
}

/** Of the named uploads by store; `store`: only that one, '' for what names none. */
export function qualityByBatch(input: { batchIds: readonly string[]; store: string | null; limit: number }): {
  sql: string
  params: { batchIds: readonly string[]; limit: number; store?: string }
} {
  const { batchIds, store, limit } = input
  return {
    sql: `SELECT batch_id, store, others, toUnixTimestamp64Milli(received_at) AS received_at_ms, outlier_above_minor,
    rows_read, rows_accepted, rows_rejected, dead_letters, ${counts}
FROM bi_data_quality_batch
WHERE batch_id IN {batchIds:Array(String)}${ofStore(store)}
ORDER BY batch_id, others, store
LIMIT {limit:UInt32}`,
    params: { batchIds, limit, ...(store === null ? {} : { store }) },
  }
}

function ofStore(store: string | null): string {
  return store === null ? '' : "\n  AND ifNull(store, '') = {store:String}"
}
