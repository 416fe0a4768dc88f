import { writeFileSync } from 'node:fs'
import type { Command } from 'commander'
import { LoyaltyError } from '#streams/core/error.ts'
import { clientsReportLines } from '../clients-report.ts'
import type { CliContext, CommonOptions } from '../context.ts'
import { dryRun, programmeBasis, wishFrom } from '../dry-run.ts'
import { previewLines } from '../preview-report.ts'
import { progressBar } from '../progress.ts'
import { reportLines } from '../report.ts'
import { withSession } from '../session.ts'
import { awaitTask, awaitUpload, sendFile, type TaskProgress } from '../upload.ts'
import { asUsage, UsageError } from '../usage.ts'
import { stageOf, waitingNotes } from '../waiting.ts'
import { writing } from '../writing.ts'

interface Options extends CommonOptions {
  readonly profile?: string
  readonly currency?: string
  readonly timeZone?: string
  readonly dryRun?: boolean
  readonly writeProfile?: string
  readonly wait?: boolean
}

export function ingestVerb(program: Command, context: CliContext): void {
  program
    .command('ingest')
    .argument('<file>', 'CSV, also compressed (.gz, .zst, .zip), or Excel (.xlsx)')
    .description('upload a file of transactions, or of clients')
    .option('--profile <name>', 'file profile by its name, or a file FILE.json (default: found out from the file)')
    .option('--currency <code>', 'currency of a file without profile (default: that of the programme)')
    .option('--time-zone <zone>', 'time zone of a file without profile (default: that of the programme)')
    .option('--dry-run', 'show how the file would be read and what it comes to; nothing is published or kept')
    .option('--write-profile <file>', 'with --dry-run: write the profile there, to be looked at, corrected and given')
    .option('--data-dir <dir>', 'data directory (default: LOYALTY_DATA_DIR, else ./.data)')
    .option('--wait', 'wait until every client is classified; always so where no platform is running')
    .option('--json', 'print the report as one JSON object on the last line')
    .addHelpText(
      'after',
      '\nAn upload that cannot go on (a processor is away) says why and is waited for; Ctrl-C ends the waiting.\n\nExamples:\n  npm run -s loyalty -- ingest samples/online_retail.csv.gz --wait\n  npm run -s loyalty -- ingest sales.csv --dry-run --write-profile sales.json\n  npm run -s loyalty -- ingest sales.csv --profile sales.json --wait\n',
    )
    .action((file: string, options: Options) => {
      if (options.dryRun) return showDryRun(context, file, options)
      if (options.writeProfile !== undefined) throw onlyBesideDryRun(options.writeProfile)
      return ingest(context, file, options)
    })
}

function onlyBesideDryRun(given: string): UsageError {
  const message = '--write-profile takes --dry-run beside it: it writes the proposal, and uploads nothing'
  return new UsageError(new LoyaltyError('option_invalid', message, { details: { name: '--write-profile', given } }))
}

async function ingest(context: CliContext, file: string, options: Options): Promise<void> {
  const { output } = context
  const wish = await asUsage(() => wishFrom(options))
  const outcome = await withSession(
    context,
    options,
    ['platform'],
    async (session) => {
      const { taskId, batchId, profile, basis } = await sendFile(session.apiUrl, file, wish)
      const ids = { batch_id: batchId, task_id: taskId }
      if (basis !== 'given') output.note(`read by file profile ${profile} (${basisTexts[basis]})`)
      if (session.joined && !options.wait) return { ids, report: null }
      return { ids, report: await awaitFile(context, session.apiUrl, taskId) }
    },
    programmeBasis(file, wish),
  )
  const { ids, report } = outcome
  if (options.json) return output.json({ ...ids, ...report })
  output.print(`  upload        ${ids.batch_id}`)
  if (report === null) return output.print(`  task          ${ids.task_id}`)
  const lines = 'kind' in report ? clientsReportLines(report) : reportLines(report)
  for (const line of lines) output.print(line)
}

const basisTexts = {
  known: 'the file has its columns',
  variant: 'the file has its columns, and formats of its own',
  content: 'made from its header and its first rows',
} as const

async function showDryRun(context: CliContext, file: string, options: Options): Promise<void> {
  const wish = await asUsage(() => wishFrom(options))
  const bar = progressBar(100)
  try {
    const preview = await dryRun(context, options, file, wish, (share) => bar.update(share * 100, 'reading'))
    bar.stop()
    const { writeProfile } = options
    if (writeProfile !== undefined)
      await writing(writeProfile, () => writeFileSync(writeProfile, `${JSON.stringify(preview.profile, null, 2)}\n`))
    if (options.json) return context.output.json(preview)
    for (const line of previewLines(preview)) context.output.print(line)
  } finally {
    bar.stop()
  }
}

/** Waits for the task of an upload behind a bar, of whatever kind its file is. */
function awaitFile(context: CliContext, apiUrl: string, taskId: string) {
  return behindBar(context, (onProgress) => awaitUpload(apiUrl, taskId, onProgress, context.interrupted))
}

/** As `awaitFile`, of a file of transactions. */
export async function awaitWithBar(context: CliContext, apiUrl: string, taskId: string) {
  return behindBar(context, (onProgress) => awaitTask(apiUrl, taskId, onProgress, context.interrupted))
}

/** Waits behind a bar; above it stands why, where the task itself waits. */
export async function behindBar<Report>(
  context: CliContext,
  wait: (onProgress: (progress: TaskProgress) => void) => Promise<Report>,
): Promise<Report> {
  const bar = progressBar(100)
  const noteWaiting = waitingNotes((line) => bar.apart(() => context.output.note(line)))
  const onProgress = (progress: TaskProgress) => {
    noteWaiting(progress)
    bar.update(progress.percentage, stageOf(progress))
  }
  try {
    const report = await wait(onProgress)
    bar.update(100, 'done')
    return report
  } finally {
    bar.stop()
  }
}
