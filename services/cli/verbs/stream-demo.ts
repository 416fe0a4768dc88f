import { existsSync } from 'node:fs'
import { join } from 'node:path'
import type { Command } from 'commander'
import { LoyaltyError } from '#streams/core/error.ts'
import { loadProfile } from '../../ingest/profile.ts'
import type { CliContext, CommonOptions } from '../context.ts'
import { withSession } from '../session.ts'
import { type DemoReport, streamDemo } from '../stream-demo/demo.ts'
import { dayView } from '../stream-demo/view.ts'
import { asUsage, positiveNumber, wholeNumber } from '../usage.ts'
import { untilInterrupted } from './start.ts'

interface Options extends CommonOptions {
  readonly profile: string
  readonly daysPerSecond: number
  readonly days?: number
  readonly calibrateAfter?: number
  readonly exit?: boolean
}

const sample = join(import.meta.dirname, '../../../samples/online_retail.csv.gz')

export function streamDemoVerb(program: Command, context: CliContext): void {
  program
    .command('stream-demo')
    .argument('[file]', 'file of receipts', sample)
    .description('replay the retail sample day by day, and see clients move between segments')
    .option('--profile <name>', 'file profile', 'online-retail')
    .option(
      '--days-per-second <number>',
      'speed, as far as the stream keeps up',
      positiveNumber('--days-per-second'),
      2,
    )
    .option('--days <number>', 'only so many days from the first', wholeNumber('--days'))
    .option(
      '--calibrate-after <days>',
      'days before cut-points are calibrated, for good (default: a quarter of the days)',
      wholeNumber('--calibrate-after'),
    )
    .option('--data-dir <dir>', 'data directory (default: LOYALTY_DATA_DIR, else ./.data)')
    .option('--exit', 'end after the last day')
    .option('--json', 'print each day as a JSON object on a line of its own, and the report on the last')
    .addHelpText(
      'after',
      '\nIt needs a programme of its own: an empty data directory, or one in which it was ended, where it goes on.\n\nExamples:\n  npm run -s loyalty -- stream-demo --data-dir /tmp/stream-demo\n  npm run -s loyalty -- stream-demo --days-per-second 20 --exit --json --data-dir /tmp/stream-demo\n',
    )
    .action(async (file: string, options: Options) => {
      const profile = await asUsage(() => loadProfile(options.profile))
      if (!existsSync(file)) throw new LoyaltyError('file_missing', `there is no file ${file}`, { details: { file } })
      await withSession(
        context,
        options,
        ['platform'],
        async (session) => {
          const { daysPerSecond, days, calibrateAfter } = options
          const onDay = options.json ? context.output.json : dayView().show
          const demo = { context, session, file, profile, daysPerSecond, days, calibrateAfter, onDay }
          const report = await streamDemo(demo)
          if (options.json) context.output.json(report)
          else tell(context, report)
          if (session.joined || options.exit) return
          context.output.note(`the platform goes on serving at ${session.apiUrl}; Ctrl-C stops it`)
          await untilInterrupted(context)
        },
        async () => profile,
      )
    })
}

function tell({ output }: CliContext, report: DemoReport): void {
  const { days, transactions, seconds, as_of: asOf, calibrated_as_of: calibratedAsOf, buyers } = report
  output.print(
    `${days} days to ${asOf} with ${transactions} receipts in ${seconds.toFixed(1)} s; ${buyers} buyers, ` +
      (calibratedAsOf === null ? 'no cut-points yet' : `cut-points as of ${calibratedAsOf}`),
  )
}
