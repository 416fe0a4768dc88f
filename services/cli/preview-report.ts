import type { ClientsTotals } from '../ingest/clients/preview.ts'
import type { ClientsProfile } from '../ingest/clients/profile.ts'
import { type ClientReason, clientSentences } from '../ingest/clients/verdicts.ts'
import type { FilePreview } from '../ingest/preview.ts'
import type { FileProfile } from '../ingest/profile.ts'
import { sentences, type VerdictCode } from '../ingest/verdicts.ts'
import { money, tableOf } from './output.ts'
import { readAs, verdictTable } from './report.ts'

/** What a dry run found, for people. */
export function previewLines(preview: FilePreview): string[] {
  const { basis, known, input, totals, confirm, profile } = preview
  const assumed = profile.kind === 'clients' ? clientsLines(profile) : assumedLines(profile)
  return [
    `  read as       ${readAs(input)}`,
    `  profile       ${basisText(basis, known)}`,
    ...[...placeLines(profile), ...assumed].map(([title, text]) => `  ${title.padEnd(14)}${text}`),
    '',
    ...mappingTable(preview).map((line) => `  ${line}`),
    '',
    ...(totals === null ? ['  nothing was counted: the profile lacks what is asked below'] : totalLines(totals)),
    ...verdictTable(preview.verdicts),
    '',
    ...(confirm.length === 0
      ? [`  ${isMostlyRejected(totals) ? mostRejected : 'An upload would be read so.'} Nothing was published.`]
      : [
          '  To be confirmed before an upload (--write-profile FILE.json writes the proposal; correct it and give --profile FILE.json):',
          ...confirm.map(({ field, message }) => `    ${field}: ${message}`),
        ]),
  ]
}

const mostRejected = 'Most rows would be rejected: correct the file, or the profile, before an upload.'

function isMostlyRejected(totals: FilePreview['totals']): boolean {
  return totals !== null && totals.rows.rejected * 2 > totals.lines
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

const count = (value: number) => value.toLocaleString('en')

function totalLines(totals: NonNullable<FilePreview['totals']>): string[] {
  if ('kind' in totals) return clientsTotalLines(totals)
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

function clientsTotalLines({ lines, rows, rejected, clients, seconds }: ClientsTotals): string[] {
  return [
    `  rows          ${count(lines)}, of them ${count(rows.accepted)} accepted and ${count(rows.rejected)} rejected`,
    ...Object.entries(rejected).map(
      ([reason, times]) => `    ${clientSentences[reason as ClientReason]?.en ?? reason}: ${count(times)}`,
    ),
    `  clients       ${count(clients)}`,
    `  time          ${seconds.toFixed(1)} s`,
  ]
}

type Line = readonly [title: string, text: string]

/** Where in the file the table is, if not at its beginning. */
function placeLines({ format }: Draft): Line[] {
  const above = format?.skip_rows
  const sheet = format?.kind === 'csv' ? format.sheet : undefined
  return [
    ...(sheet === undefined ? [] : [['sheet', sheet] as const]),
    ...(above === undefined ? [] : [['left out', `${above} rows above the header`] as const]),
  ]
}

/** What a profile of clients says beside columns. */
function clientsLines(profile: { readonly [Part in keyof ClientsProfile]?: ClientsProfile[Part] }): Line[] {
  const { numbers, dates, time_zone, consent, columns, bonus_at } = profile
  const words = consent && `${consent.yes.join(', ')} for yes; ${consent.no.join(', ')} for no`
  const bonus = columns?.bonus === undefined ? undefined : `balances of ${bonus_at ?? columns.bonus_at ?? '?'}`
  return told([
    ['kind', 'clients: a row is the whole of what is known of one'],
    ['dates', dates?.formats.length ? `${dates.formats.join(', ')}, in ${time_zone ?? '?'}` : undefined],
    ['consent', Object.keys(columns?.consent ?? {}).length === 0 ? undefined : words],
    ['bonus', bonus && `${bonus}, decimal ${numbers?.decimal === ',' ? 'comma' : 'point'}`],
  ])
}

function told(lines: readonly (readonly [string, string | undefined])[]): Line[] {
  return lines.flatMap(([title, text]) => (text === undefined ? [] : [[title, text] as const]))
}

type Draft = {
  readonly [Part in keyof FileProfile]?: FileProfile[Part]
}

/** What the profile says beside columns, so that nothing is assumed unseen. */
function assumedLines(profile: Draft): Line[] {
  const { system, grain, numbers, dates, time_zone, currency, columns, missing } = profile
  const { amount, unit_price, quantity } = columns ?? {}
  const sum = amount ?? (unit_price === undefined ? undefined : `${unit_price} × ${quantity ?? 1}`)
  const mark = numbers?.decimal === ',' ? 'comma' : 'point'
  const groups = [...(numbers?.thousands ?? '')].map((sign) => (sign === ' ' ? 'space' : sign)).join(' or ')
  const identity = system?.identity ?? []
  const without = missing?.client ?? 'reject'
  const rows = grain === 'line' ? 'a row is a line of a receipt' : 'a row is a receipt'
  return told([
    ['sums', sum === undefined ? undefined : `${sum}, in ${currency ?? '?'}`],
    ['numbers', numbers && `decimal ${mark}${groups === '' ? '' : `, thousands divided by ${groups}`}`],
    ['dates', dates?.formats.length ? `${dates.formats.join(', ')}, in ${time_zone ?? '?'}` : undefined],
    ['receipts', `${rows}, told apart by ${identity.length === 0 ? 'all of its content' : identity.join(', ')}`],
    ['system', system?.name],
    ['refunds', marksText(profile, 'refund')],
    ['voids', marksText(profile, 'void')],
    [
      'no client',
      typeof without === 'string'
        ? `${without === 'reject' ? 'rejected' : 'left empty'}`
        : `taken for ${without.default}`,
    ],
  ])
}

function marksText({ kinds }: Draft, kind: 'refund' | 'void'): string | undefined {
  const mark = kinds?.[kind]
  const texts = [
    ...(mark?.receipt_prefix === undefined ? [] : [`receipt numbers that begin with ${mark.receipt_prefix}`]),
    ...(mark?.values === undefined ? [] : [`rows of the kind ${mark.values.join(', ')}`]),
    ...(kind === 'refund' && kinds?.negative_is_refund === true ? ['rows with a negative sum'] : []),
  ]
  return texts.length > 0 ? texts.join('; ') : kind === 'refund' && kinds !== undefined ? 'none' : undefined
}
