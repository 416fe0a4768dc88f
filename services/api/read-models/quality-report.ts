import type { BatchQuality, DayQuality, QualityCounts } from '#clickhouse/queries/data-quality.ts'

/** Reports on data quality as they are answered, by the API and on the command line: JSON, so its names are snake_case. */

/** A share is from 0 to 1 with four decimals; null where there is nothing that it could be a share of. */
export interface QualityFigures {
  /** Sales and refunds that were taken in; voids stand beside. */
  readonly transactions: number
  readonly sales: number
  readonly refunds: number
  readonly voids: number
  readonly missing: {
    readonly store: number
    readonly receipt_number: number
    readonly payment_method: number
    readonly items: number
  }
  /** Of the four fields of all sales and refunds, how many are filled. */
  readonly completeness: number | null
  readonly refunds_without_original: number
  readonly unknown_originals: number
  /** Sales and refunds whose arrival is known. */
  readonly arrival_known: number
  readonly late: number
  readonly late_share: number | null
  readonly duplicates: number
  /** Of everything that came: what was taken in, and duplicates. */
  readonly duplicate_share: number | null
  readonly outliers: number
  readonly outlier_share: number | null
}

export interface DayReport extends QualityFigures {
  readonly day: string
  readonly stores: (QualityFigures & { readonly store: string | null })[]
}

export interface RowFigures {
  readonly read: number
  readonly accepted: number
  readonly rejected: number
  /** Rows by reason. */
  readonly reasons: Readonly<Record<string, number>>
}

export interface BatchFigures extends QualityFigures {
  readonly rows: RowFigures
  readonly dead_letters: number
}

export interface BatchReport extends BatchFigures {
  readonly batch_id: string
  /** ISO; null where an older version took the upload in. */
  readonly received_at: string | null
  readonly outlier_above_minor: number | null
  readonly stores: (BatchFigures & { readonly store: string | null; readonly others: boolean })[]
}

/** One report a day, in the order of the rows. */
export function dayReports(rows: readonly DayQuality[]): DayReport[] {
  return grouped(rows, ({ date }) => date).map(([day, stores]) => ({
    day,
    ...figuresOf(stores),
    stores: stores.map((row) => ({ store: row.store, ...figuresOf([row]) })),
  }))
}

/** One report an upload, in the order of the rows. */
export function batchReports(rows: readonly BatchQuality[]): BatchReport[] {
  return grouped(rows, ({ batch_id }) => batch_id).map(([batch_id, stores]) => {
    const [receivedMs] = stores.flatMap(({ received_at_ms: ms }) => (ms === null ? [] : [ms]))
    const [above] = stores.flatMap(({ outlier_above_minor: minor }) => (minor === null ? [] : [minor]))
    return {
      batch_id,
      received_at: receivedMs === undefined ? null : new Date(receivedMs).toISOString(),
      outlier_above_minor: above ?? null,
      ...batchFiguresOf(stores),
      stores: stores.map((row) => ({ store: row.store, others: row.others, ...batchFiguresOf([row]) })),
    }
  })
}

function batchFiguresOf(rows: readonly BatchQuality[]): BatchFigures {
  const sum = (name: 'rows_read' | 'rows_accepted' | 'dead_letters') => rows.reduce((sum, row) => sum + row[name], 0)
  const reasons: Record<string, number> = {}
  for (const { rows_rejected } of rows)
    for (const [reason, count] of Object.entries(rows_rejected)) reasons[reason] = (reasons[reason] ?? 0) + count
  const [read, accepted] = [sum('rows_read'), sum('rows_accepted')]
  return {
    rows: { read, accepted, rejected: read - accepted, reasons },
    dead_letters: sum('dead_letters'),
    ...figuresOf(rows),
  }
}

function figuresOf(rows: readonly QualityCounts[]): QualityFigures {
  const sum = (name: keyof QualityCounts) => rows.reduce((total, row) => total + row[name], 0)
  const transactions = sum('transactions')
  const missing = {
    store: sum('without_store'),
    receipt_number: sum('without_receipt_number'),
    payment_method: sum('without_payment_method'),
    items: sum('without_items'),
  }
  const fields = Object.values(missing)
  const lacking = fields.reduce((total, count) => total + count, 0)
  const [voids, timed, late] = [sum('voids'), sum('timed'), sum('late')]
  const [duplicates, outliers] = [sum('duplicates'), sum('outliers')]
  return {
    ...{ transactions, sales: sum('sales'), refunds: sum('refunds'), voids, missing },
    completeness: shareOf(transactions * fields.length - lacking, transactions * fields.length),
    refunds_without_original: sum('without_original'),
    unknown_originals: sum('unknown_originals'),
    ...{ arrival_known: timed, late, late_share: shareOf(late, timed) },
    ...{ duplicates, duplicate_share: shareOf(duplicates, transactions + voids + duplicates) },
    ...{ outliers, outlier_share: shareOf(outliers, transactions) },
  }
}

function shareOf(part: number, whole: number): number | null {
  return whole === 0 ? null : Math.round((part / whole) * 10_000) / 10_000
}

function grouped<Row>(rows: readonly Row[], keyOf: (row: Row) => string): [string, Row[]][] {
  const groups = new Map<string, Row[]>()
  for (const row of rows) {
    const key = keyOf(row)
    const group = groups.get(key)
    if (group === undefined) groups.set(key, [row])
    else group.push(row)
  }
  return [...groups]
}
