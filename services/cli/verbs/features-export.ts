import { existsSync } from 'node:fs'
import { dirname } from 'node:path'
import type { Command } from 'commander'
import { LoyaltyError } from '#streams/core/error.ts'
import type { CliContext, CommonOptions } from '../context.ts'
import { contextOfLog, exportFeatures, foldLedgers, transactionsOfLog } from '../features-export.ts'
import { progressBar } from '../progress.ts'
import { withSession } from '../session.ts'
import { isoDays, UsageError, wholeNumber } from '../usage.ts'

interface Options extends CommonOptions {
  readonly asOf: number[]
  readonly horizon: number
  readonly out: string
}

export function featuresExportVerb(features: Command, context: CliContext): void {
  features
    .command('export')
    .description('features as of given days, with the labels that the days after them gave, for training')
    .requiredOption('--as-of <dates>', 'ISO dates, divided by commas', isoDays('--as-of'))
    .option('--horizon <days>', 'days after the date that decide the label', wholeNumber('--horizon'), 90)
    .option('--out <file>', 'CSV; compressed where it ends in .gz', 'features.csv.gz')
    .option('--data-dir <dir>', 'data directory (default: LOYALTY_DATA_DIR, else ./.data)')
    .option('--json', 'print what was written as one JSON object')
    .addHelpText(
      'after',
      '\nExamples:\n  npm run -s loyalty -- features export --as-of 2011-06-11,2011-09-10 --horizon 90 --out features.csv.gz\n',
    )
    .action(async (options: Options) => {
      checkFolder(options.out)
      const report = await withSession(context, options, ['registry'], async (session) => {
        const log = session.log()
        const programme = await contextOfLog(log, session.topics, session.registry())
        if (programme.programme === null) throw new LoyaltyError('programme_missing', 'no programme is configured')
        const bar = progressBar(100)
        const source = transactionsOfLog(log, session.topics, session.registry(), programme.programme, (done, total) =>
          bar.update(total === 0 ? 100 : Math.floor((done / total) * 100), 'folding'),
        )
        const folded = await foldLedgers(source, programme).finally(() => bar.stop())
        return exportFeatures(options.out, folded, programme, options.asOf, options.horizon)
      })
      if (options.json) return context.output.json({ ...report, file: options.out })
      context.output.print(`${report.rows} rows of ${report.clients} clients in ${options.out}`)
    })
}

/** The fold takes its time, so a file that cannot be written is told before it. */
function checkFolder(out: string): void {
  if (existsSync(dirname(out))) return
  const message = `there is no folder ${dirname(out)} for ${out}; make it, or choose another --out`
  throw new UsageError(new LoyaltyError('export_options', message, { details: { out } }))
}
