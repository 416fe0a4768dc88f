import { segments } from '#streams/domain/segments.ts'
import type { ReportVerdict, UploadReport } from '../ingest/report.ts'
import { sentences, type VerdictCode } from '../ingest/verdicts.ts'
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
    flagged,
    outliers,
    verdicts,
  } = report
  const cuts = cut_points && {
    recency_days: cut_points.recency_days,
    frequency: cut_points.frequency,
    monetary_minor: cut_points.monetary_minor,
    basis: cut_points.basis,
  }
  const known = segments.map(({ id }) => [id, counts[id] ?? 0] as const)
  return {
    ...{ lines, rows, accepted, sales, refunds, voids, duplicates, dead_letters, rejected },
    ...(flagged === undefined ? {} : { flagged }),
    ...(outliers === undefined ? {} : { outliers }),
    ...{ clients, buyers },
    ...{ gross_minor, refunded_minor, currency, as_of, cut_points: cuts },
    ...{ segments: { ...Object.fromEntries(known), ...counts }, seconds },
    ...(input === undefined ? {} : { input }),
    ...(conflicts === undefined ? {} : { conflicts }),
    ...(warnings === undefined ? {} : { warnings }),
    ...(verdicts === undefined ? {} : { verdicts }),
  }
}

/** The report of an upload, with its segments, for people. */
export function reportLines(report: UploadReport): string[] {
  const count = (value: number) => value.toLocaleString('en')
  const { currency, cut_points: cuts } = report
  const told = ([code, times]: readonly [string, number]) =>
    `    ${sentences[code as VerdictCode]?.en ?? code}: ${count(times)}`
  const rejected = Object.entries(report.rejected).map(told)
  const flagged = Object.entries(report.flagged ?? {}).map(told)
  return [
    ...(report.input === undefined ? [] : [`  read as       ${readAs(report.input)}`]),
    `  rows          ${count(report.lines)}, of them ${count(report.rows.accepted)} accepted and ${count(report.rows.rejected)} rejected`,
    ...rejected,
    ...flagged,
    ...outlierRule(report),
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
    ...verdictTable(report.verdicts ?? []),
  ]
}

/** Said where a receipt was flagged by it. */
function outlierRule({ outliers, flagged, currency }: UploadReport): string[] {
  if (flagged?.outlier === undefined || outliers === undefined || outliers.above_minor === null) return []
  const { above_minor, median_minor, mad_minor, mads } = outliers
  const byMedian = median_minor !== null && mad_minor !== null && mads !== null
  const why = byMedian
    ? `the median ${money(median_minor, currency)}, and ${mads} deviations of ${money(mad_minor, currency)}`
    : 'as the profile says'
  return [`    unusual is what is above ${money(above_minor, currency)} (${why})`]
}

type TableVerdict = Pick<ReportVerdict, 'row' | 'field' | 'value'> & { readonly code: string }

/** The first verdicts by row; nothing where there are none. */
export function verdictTable(verdicts: readonly TableVerdict[]): string[] {
  if (verdicts.length === 0) return []
  const columns = [
    { title: 'row', value: ({ row }: TableVerdict) => row },
    { title: 'verdict', value: ({ code }: TableVerdict) => code },
    { title: 'field', value: ({ field }: TableVerdict) => field ?? '' },
    { title: 'value', value: ({ value }: TableVerdict) => oneLine(value ?? '') },
  ]
  return ['', '  first verdicts', ...tableOf(columns, verdicts).map((line) => `  ${line}`)]
}

const shownChars = 40

function oneLine(value: string): string {
  const line = value.replace(/\s+/g, ' ')
  return line.length > shownChars ? `${line.slice(0, shownChars - 1)}…` : line
}

/** What a file was found to be. */
export function readAs({
  container,
  encoding,
  delimiter,
  rejected_rows,
  sheet,
}: NonNullable<UploadReport['input']>): string {
  if (sheet !== undefined) return readAsSheet(sheet)
  const divided = delimiter === null ? 'columns without delimiter' : `columns divided by ${JSON.stringify(delimiter)}`
  const back = rejected_rows ? '; rejected rows that came back' : ''
  return `${encoding}${container === 'none' ? '' : ` in ${container}`}, ${divided}${back}`
}

function readAsSheet(sheet: NonNullable<NonNullable<UploadReport['input']>['sheet']>): string {
  const { name, others, error_cells, formulas_without_value } = sheet
  const unread = others.length === 0 ? '' : `, not read: ${others.join(', ')}`
  const errors = error_cells === 0 ? '' : `; ${error_cells} cells of errors (#N/A) read as empty`
  const formulas = formulas_without_value === 0 ? '' : `; ${formulas_without_value} formulas that were never computed`
  return `sheet ${name} of an Excel workbook${unread}${errors}${formulas}`
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
