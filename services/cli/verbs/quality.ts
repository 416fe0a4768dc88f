import type { Command } from 'commander'
import { LoyaltyError } from '#streams/core/error.ts'
import { isoOfDay } from '#streams/domain/calendar.ts'
import { readQualityByBatch, readQualityByDay, readQualityOfBatch } from '../../api/read-models/data-quality.ts'
import type { BatchFigures, BatchReport, DayReport, QualityFigures } from '../../api/read-models/quality-report.ts'
import type { CliContext, CommonOptions } from '../context.ts'
import { type Column, tableOf } from '../output.ts'
import { type Session, withSession } from '../session.ts'
import { isoDay, UsageError, uuid, wholeNumber } from '../usage.ts'

interface Options extends CommonOptions {
  readonly batch?: string
  readonly by?: string
  readonly from?: number
  readonly to?: number
  readonly store?: string
  readonly limit: number
}

export function qualityVerb(program: Command, context: CliContext): void {
  program
    .command('quality')
    .description('data quality by business day or by upload: completeness, duplicates, late share, outliers')
    .option('--batch <id>', 'one upload, by store', uuid('--batch'))
    .option('--by <what>', 'day (default) or batch: the newest uploads')
    .option('--from <date>', 'first business day; with --by batch first day on which they came', isoDay('--from'))
    .option('--to <date>', 'last one (default: the newest with a transaction)', isoDay('--to'))
    .option('--store <id>', "only this store; '' for what names none")
    .option('--limit <number>', 'uploads at most', wholeNumber('--limit'), 20)
    .option('--data-dir <dir>', 'data directory (default: LOYALTY_DATA_DIR, else ./.data)')
    .option('--json', 'print one JSON object, as the API answers')
    .addHelpText(
      'after',
      `
Examples:
  npm run -s loyalty -- quality --from 2011-12-01 --to 2011-12-09
  npm run -s loyalty -- quality --by batch --limit 5
  npm run -s loyalty -- quality --batch 0b8f6f0e-5a3c-4a55-9d0e-0c6a2f1f7a10 --json
`,
    )
    .action(async (options: Options) => {
      check(options)
      const { batch, by = 'day' } = options
      await withSession(context, options, ['clickhouse'], async (session) => {
        if (batch !== undefined) return showBatch(context, session, options, batch)
        return by === 'batch' ? showBatches(context, session, options) : showDays(context, session, options)
      })
    })
}

function check({ batch, by, from, to }: Options): void {
  const refuse = (message: string) => {
    throw new UsageError(new LoyaltyError('option_invalid', message))
  }
  if (by !== undefined && by !== 'day' && by !== 'batch') refuse(`--by takes day or batch, not '${by}'`)
  if (batch !== undefined && (by !== undefined || from !== undefined || to !== undefined))
    refuse('--batch names one upload; leave --by, --from and --to out')
  if (from !== undefined && to !== undefined && from > to) refuse('--from is after --to')
}

async function showDays({ output }: CliContext, session: Session, options: Options): Promise<void> {
  const { fromDay, toDay, days } = await readQualityByDay(session.clickhouse(), rangeOf(options))
  const isoOrNull = (day: number | null) => (day === null ? null : isoOfDay(day))
  if (options.json) return output.json({ by: 'day', from: isoOrNull(fromDay), to: isoOrNull(toDay), days })
  if (days.length === 0) return output.print('there are no transactions of these days')
  const dayColumn = { title: 'day', value: ({ day }: DayReport) => day }
  for (const line of tableOf([dayColumn, ...figureColumns], days)) output.print(line)
}

async function showBatches({ output }: CliContext, session: Session, options: Options): Promise<void> {
  const { limit } = options
  const { total, batches } = await readQualityByBatch(session.clickhouse(), rangeOf(options), { skip: 0, limit })
  if (options.json) return output.json({ by: 'batch', total, batches })
  if (batches.length === 0) return output.print('there are no uploads of these days')
  const head: Column<BatchReport>[] = [
    { title: 'received', value: (batch) => batch.received_at ?? '' },
    { title: 'batch', value: (batch) => batch.batch_id },
  ]
  for (const line of tableOf([...head, ...rowColumns, ...figureColumns], batches)) output.print(line)
  if (total > batches.length) output.print(`… of ${total}`)
}

async function showBatch(
  { output }: CliContext,
  session: Session,
  { store, json }: Options,
  batchId: string,
): Promise<void> {
  const report = await readQualityOfBatch(session.clickhouse(), batchId, store ?? null)
  if (report === null) throw new LoyaltyError('upload_not_found', `nothing is known of an upload ${batchId}`)
  if (json) return output.json({ by: 'batch', total: 1, batches: [report] })
  const lines: (BatchFigures & { readonly store: string })[] = [
    ...report.stores.map((each) => ({ ...each, store: each.others ? '(other stores)' : (each.store ?? '(none)') })),
    { ...report, store: 'all' },
  ]
  const storeColumn = { title: 'store', value: ({ store: name }: (typeof lines)[number]) => name }
  for (const line of tableOf([storeColumn, ...rowColumns, ...figureColumns], lines)) output.print(line)
  const reasons = Object.entries(report.rows.reasons).sort(([, a], [, b]) => b - a)
  for (const [reason, rows] of reasons) output.print(`rejected  ${reason}  ${rows}`)
}

function rangeOf({ from, to, store }: Options) {
  return { fromDay: from ?? null, toDay: to ?? null, store: store ?? null }
}

const rowColumns: readonly Column<BatchFigures>[] = [
  { title: 'rows', value: ({ rows }) => rows.read },
  { title: 'rejected', value: ({ rows }) => rows.rejected },
]

const figureColumns: readonly Column<QualityFigures>[] = [
  { title: 'taken in', value: ({ transactions, voids }) => transactions + voids },
  { title: 'complete', value: ({ completeness }) => percent(completeness) },
  { title: 'duplicates', value: ({ duplicates }) => duplicates },
  { title: 'late', value: ({ late_share: share }) => percent(share) },
  { title: 'outliers', value: ({ outliers }) => outliers },
  { title: 'no original', value: (each) => each.refunds_without_original + each.unknown_originals },
]

function percent(share: number | null): string {
  return share === null ? '–' : `${(share * 100).toFixed(1)} %`
}
