import type { FileInput } from '../files/rows.ts'
import type { ReportWarning } from '../report.ts'
import type { ClientReason, ClientVerdict } from './verdicts.ts'

/** The report of an upload of clients: JSON as people and scripts get it, so its names are snake_case. */
export interface ClientsReport {
  readonly kind: 'clients'
  /** Rows of the file, without the header; `rows` sums to it. */
  readonly lines: number
  readonly rows: { readonly accepted: number; readonly rejected: number }
  /** Rows by reason. */
  readonly rejected: Partial<Record<ClientReason, number>>
  /** Different clients of the accepted rows. */
  readonly clients: number
  /** Wall time by phase, and `total`. */
  readonly seconds: Readonly<Record<string, number>>
  readonly input: Readonly<FileInput>
  /** The first ones by row. */
  readonly verdicts: readonly ClientVerdict[]
  /** Missing where there is nothing. */
  readonly warnings?: readonly ReportWarning[]
}
