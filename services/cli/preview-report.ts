import type { FilePreview } from '../ingest/preview.ts'
import { sentences, type VerdictCode } from '../ingest/verdicts.ts'
import { money, tableOf } from './output.ts'
import { readAs, verdictTable } from './report.ts'

/** What a dry run found, for people. */
export function previewLines(preview: FilePreview): string[] {
  const { basis, known, input, totals, confirm } = preview
  return [
    `  read as       ${readAs(input)}`,
    `  profile       ${basisText(basis, known)}`,
    '',
    ...mappingTable(preview).map((line) => `  ${line}`),
    '',
    ...(totals === null ? ['  nothing was counted: the profile lacks what is asked below'] : totalLines(totals)),
    ...verdictTable(preview.verdicts),
    '',
    ...(confirm.length === 0
      ? ['  An upload would be read so. Nothing was published.']
      : [
          '  To be confirmed before an upload (--write-profile FILE.json writes the proposal; correct it and give --profile FILE.json):',
          ...confirm.map(({ field, message }) => `    ${field}: ${message}`),
        ]),
  ]
}

function basisText(basis: FilePreview['basis'], known: string | null): string {
  if (basis === 'content') return 'made from the header and the first rows'
  return basis === 'variant' ? `${known}, with formats of the file’s own` : `${known}`
}

function mappingTable({ columns }: FilePreview): string[] {
  const cut = (text: string) => (text.length > 40 ? `${text.slice(0, 39)}…` : text).replace(/\s+/g, ' ')
  return tableOf(
    [
      { title: 'column', value: ({ name }) => cut(name) },
      { title: 'field', value: ({ field }) => field ?? '–' },
      { title: 'sure', value: ({ field, confidence }) => (field === null ? '' : `${Math.round(confidence * 100)} %`) },
      { title: 'because of', value: ({ why }) => cut(why) },
      { title: 'for example', value: ({ examples }) => cut(examples[0] ?? '') },
    ],
    columns,
  )
}

function totalLines(totals: NonNullable<FilePreview['totals']>): string[] {
  const count = (value: number) => value.toLocaleString('en')
  const { lines, rows, rejected, currency } = totals
  return [
    `  rows          ${count(lines)}, of them ${count(rows.accepted)} accepted and ${count(rows.rejected)} rejected`,
    ...Object.entries(rejected).map(
      ([reason, times]) => `    ${sentences[reason as VerdictCode]?.en ?? reason}: ${count(times)}`,
    ),
    `  transactions  ${count(totals.transactions)} (${count(totals.sales)} sales, ${count(totals.refunds)} refunds, ${count(totals.voids)} voids)`,
    `  clients       ${count(totals.clients)}`,
    `  sums          ${money(totals.gross_minor, currency)} sold, ${money(totals.refunded_minor, currency)} refunded`,
    `  time          ${totals.seconds.toFixed(1)} s`,
  ]
}
