import type { FileInput } from './files/rows.ts'
import type { OutlierFindings } from './receipts/outliers.ts'
import type { Flag, Reason, Sentence, Verdict } from './verdicts.ts'

/** The report of an upload: JSON as people and scripts get it, so its names are snake_case. */
export interface UploadReport {
  /** Rows of the file, without the header; `rows` sums to it. */
  readonly lines: number
  readonly rows: { readonly accepted: number; readonly rejected: number }
  /** Transactions that counted: sales + refunds + voids. */
  readonly accepted: number
  readonly sales: number
  readonly refunds: number
  readonly voids: number
  /** Transactions that the stream had seen before. */
  readonly duplicates: number
  readonly dead_letters: number
  /** By reason; a fault of a row counts rows, a fault of a receipt counts receipts. */
  readonly rejected: Partial<Record<Reason, number>>
  /** Receipts that were kept and flagged, by flag; missing in reports of versions that did not. */
  readonly flagged?: Partial<Record<Flag, number>>
  /** By what rule a receipt was an outlier. */
  readonly outliers?: OutlierRule
  /** The first ones by row; a receipt's stands at its first row. */
  readonly verdicts?: readonly ReportVerdict[]
  /** Clients of the accepted transactions. */
  readonly clients: number
  /** Clients of the programme with a purchase that counts. */
  readonly buyers: number
  readonly gross_minor: number
  readonly refunded_minor: number
  readonly currency: string
  /** Date of the programme, ISO; null before its first day. */
  readonly as_of: string | null
  readonly cut_points: ReportCutPoints | null
  /** Buyers of the programme by loyalty segment. */
  readonly segments: Readonly<Record<string, number>>
  /** Wall time by phase, and `total`. */
  readonly seconds: Readonly<Record<string, number>>
  /** What the file was found to be; missing in reports of versions that did not say. */
  readonly input?: Readonly<FileInput>
  /** What somebody should look at, though the upload is complete; missing where there is nothing. */
  readonly warnings?: readonly ReportWarning[]
}

export type OutlierRule = Omit<OutlierFindings, 'flagged'>

export interface ReportVerdict extends Verdict {
  readonly sentence: Sentence
}

export interface ReportWarning {
  /** Stable, as the codes of errors are. */
  readonly code: string
  readonly message: string
  readonly details: Readonly<Record<string, string | number | null>>
}

export interface ReportCutPoints {
  readonly recency_days: readonly number[]
  readonly frequency: readonly number[]
  readonly monetary_minor: readonly number[]
  readonly basis: 'net' | 'gross'
}
