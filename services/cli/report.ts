import { segments } from '#streams/domain/segments.ts'
import type { UploadReport } from '../ingest/report.ts'
import { reasonTexts } from '../ingest/verdicts.ts'
import { money, tableOf } from './output.ts'

/** The report of an upload, with its segments, for people. */
export function reportLines(report: UploadReport): string[] {
  const count = (value: number) => value.toLocaleString('en')
  const { currency, cut_points: cuts } = report
  const rejected = Object.entries(report.rejected).map(
    ([reason, times]) => `    ${reasonTexts[reason as keyof typeof reasonTexts] ?? reason}: ${count(times)}`,
  )
  return [
    `  rows          ${count(report.lines)}, of them ${count(report.rows.accepted)} accepted and ${count(report.rows.rejected)} rejected`,
    ...rejected,
    `  transactions  ${count(report.accepted)} (${count(report.sales)} sales, ${count(report.refunds)} refunds), ${count(report.duplicates)} seen before, ${count(report.dead_letters)} dead letters`,
    `  clients       ${count(report.clients)}; the programme has ${count(report.buyers)} buyers`,
    `  sums          ${money(report.gross_minor, currency)} sold, ${money(report.refunded_minor, currency)} refunded`,
    `  as of         ${report.as_of ?? '(no day has started)'}`,
    ...(cuts === null
      ? []
      : [
          `  cut-points    R ${cuts.recency_days.join(', ')} days; F ${cuts.frequency.join(', ')}; M ${cuts.monetary_minor.join(', ')} (${cuts.basis}, minor units)`,
        ]),
    `  time          ${report.seconds.total?.toFixed(1) ?? '?'} s`,
    '',
    ...segmentTable(report.segments).map((line) => `  ${line}`),
  ]
}

/** Clients per segment with their share. */
export function segmentTable(counts: Readonly<Record<string, number>>): string[] {
  const total = Object.values(counts).reduce((sum, count) => sum + count, 0)
  const rows = Object.entries(counts).map(([id, clients]) => ({
    id,
    name: segments.find((segment) => segment.id === id)?.name ?? id,
    clients,
    share: total === 0 ? '0.0 %' : `${((clients / total) * 100).toFixed(1)} %`,
  }))
  const columns = [
    { title: 'segment', value: (row: (typeof rows)[number]) => row.id },
    { title: 'name', value: (row: (typeof rows)[number]) => row.name },
    { title: 'clients', value: (row: (typeof rows)[number]) => row.clients },
    { title: 'share', value: (row: (typeof rows)[number]) => row.share },
  ]
  return tableOf(columns, rows)
}
