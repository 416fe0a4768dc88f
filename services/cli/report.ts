import { segments } from '#streams/domain/segments.ts'
import type { UploadReport } from '../ingest/report.ts'
import { reasonTexts } from '../ingest/verdicts.ts'
import { money, tableOf } from './output.ts'

/** The report with its fields in the order in which they are documented; the database keeps them in an order of its own. */
export function inOrder(report: UploadReport): UploadReport {
  const { lines, rows, accepted, sales, refunds, voids, duplicates, dead_letters, rejected, clients, buyers } = report
  const {
    gross_minor,
    refunded_minor,
    currency,
    as_of,
    cut_points,
    segments: counts,
    seconds,
    input,
    conflicts,
    warnings,
  } = report
  const cuts = cut_points && {
    recency_days: cut_points.recency_days,
    frequency: cut_points.frequency,
    monetary_minor: cut_points.monetary_minor,
    basis: cut_points.basis,
  }
  const known = segments.map(({ id }) => [id, counts[id] ?? 0] as const)
  return {
    ...{ lines, rows, accepted, sales, refunds, voids, duplicates, dead_letters, rejected, clients, buyers },
    ...{ gross_minor, refunded_minor, currency, as_of, cut_points: cuts },
    ...{ segments: { ...Object.fromEntries(known), ...counts }, seconds },
    ...(input === undefined ? {} : { input }),
    ...(conflicts === undefined ? {} : { conflicts }),
    ...(warnings === undefined ? {} : { warnings }),
  }
}

/** The report of an upload, with its segments, for people. */
export function reportLines(report: UploadReport): string[] {
  const count = (value: number) => value.toLocaleString('en')
  const { currency, cut_points: cuts } = report
  const rejected = Object.entries(report.rejected).map(
    ([reason, times]) => `    ${reasonTexts[reason as keyof typeof reasonTexts] ?? reason}: ${count(times)}`,
  )
  return [
    ...(report.input === undefined ? [] : [`  read as       ${readAs(report.input)}`]),
    `  rows          ${count(report.lines)}, of them ${count(report.rows.accepted)} accepted and ${count(report.rows.rejected)} rejected`,
    ...rejected,
    `  transactions  ${count(report.accepted)} (${count(report.sales)} sales, ${count(report.refunds)} refunds), ${count(report.duplicates)} seen before, ${count(report.dead_letters)} dead letters`,
    `  clients       ${count(report.clients)}; the programme has ${count(report.buyers)} buyers`,
    `  sums          ${money(report.gross_minor, currency)} sold, ${money(report.refunded_minor, currency)} refunded`,
    `  as of         ${report.as_of ?? '(no day has started)'}`,
    ...(report.warnings ?? []).map(({ code, message }) => `  look at       ${message} (${code})`),
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

function readAs({ container, encoding, delimiter }: NonNullable<UploadReport['input']>): string {
  const divided = delimiter === null ? 'columns without delimiter' : `columns divided by ${JSON.stringify(delimiter)}`
  return `${encoding}${container === 'none' ? '' : ` in ${container}`}, ${divided}`
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
