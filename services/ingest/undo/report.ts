import type { ReportWarning } from '../report.ts'
import type { StandingTransaction } from './prepare.ts'

/** The report of an undo or a replacement: JSON as people and scripts get it. */
export interface UndoReport {
  readonly kind: 'undo' | 'replace'
  /** The upload. */
  readonly batch_id: string
  /** What the VOIDs have for a batch in the history: the id of the task. */
  readonly undo_batch_id: string
  /** Transactions that the upload alone had delivered, and that are taken back: sales + refunds + voids. */
  readonly taken_back: number
  readonly sales: number
  readonly refunds: number
  readonly voids: number
  readonly gross_minor: number
  readonly refunded_minor: number
  /** Receipts now in force with the content that this upload brought. */
  readonly replaced: number
  /** Receipts now in force with content of others: it was in conflict with that of this upload, or replaced by it. */
  readonly restored: number
  /** Transactions of others published again under a new id, because they refer to what was taken back. */
  readonly renewed: number
  /** Transactions of the upload that stay: another upload that stands, or a till, delivered them too. */
  readonly standing: { readonly count: number; readonly first: readonly StandingTransaction[] }
  /** VOIDs that counted; that had counted before; that the stream refused (older than its ledger reaches). */
  readonly events: { readonly accepted: number; readonly duplicates: number; readonly dead_letters: number }
  /** Clients of the VOIDs. */
  readonly clients: number
  /** Of the programme, afterwards. */
  readonly buyers: number
  readonly currency: string
  readonly as_of: string | null
  readonly segments: Readonly<Record<string, number>>
  readonly seconds: Readonly<Record<string, number>>
  readonly warnings?: readonly ReportWarning[]
}
