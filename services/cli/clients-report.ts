import type { ClientsReport } from '../ingest/clients/report.ts'
import { type ClientReason, clientSentences } from '../ingest/clients/verdicts.ts'
import { readAs, verdictTable } from './report.ts'

/** The report of an upload of clients, for people. */
export function clientsReportLines(report: ClientsReport): string[] {
  const count = (value: number) => value.toLocaleString('en')
  const { lines, rows, rejected, clients, input, seconds, verdicts, warnings = [] } = report
  return [
    `  read as       ${readAs(input)}`,
    `  rows          ${count(lines)}, of them ${count(rows.accepted)} accepted and ${count(rows.rejected)} rejected`,
    ...Object.entries(rejected).map(
      ([code, times]) => `    ${clientSentences[code as ClientReason]?.en ?? code}: ${count(times)}`,
    ),
    `  clients       ${count(clients)}`,
    ...warnings.map(({ code, message }) => `  look at       ${message} (${code})`),
    `  time          ${seconds.total?.toFixed(1) ?? '?'} s`,
    ...verdictTable(verdicts),
  ]
}
