import type { Command } from 'commander'
import type { CliContext, CommonOptions } from '../context.ts'
import { progressBar } from '../progress.ts'
import { reportLines } from '../report.ts'
import { withSession } from '../session.ts'
import { awaitTask, sendFile, type TaskProgress } from '../upload.ts'
import { stageOf, waitingNotes } from '../waiting.ts'

interface Options extends CommonOptions {
  readonly profile?: string
  readonly wait?: boolean
}

export function ingestVerb(program: Command, context: CliContext): void {
  program
    .command('ingest')
    .argument('<file>', 'CSV, also compressed (.gz, .zst, .zip), or Excel (.xlsx)')
    .description('upload a file of transactions')
    .option('--profile <name>', 'file profile (default: the one whose columns the file has)')
    .option('--data-dir <dir>', 'data directory (default: LOYALTY_DATA_DIR, else ./.data)')
    .option('--wait', 'wait until every client is classified; always so where no platform is running')
    .option('--json', 'print the report as one JSON object on the last line')
    .addHelpText(
      'after',
      '\nAn upload that cannot go on (a processor is away) says why and is waited for; Ctrl-C ends the waiting.\n\nExamples:\n  npm run -s loyalty -- ingest samples/online_retail.csv.gz --profile online-retail --wait\n',
    )
    .action(async (file: string, options: Options) => {
      const { output } = context
      const outcome = await withSession(
        context,
        options,
        ['platform'],
        async (session) => {
          const taskId = await sendFile(session.apiUrl, file, options.profile)
          if (session.joined && !options.wait) return { taskId, report: null }
          return { taskId, report: await awaitWithBar(context, session.apiUrl, taskId) }
        },
        options.profile,
      )
      const { taskId, report } = outcome
      if (report === null) return options.json ? output.json({ task_id: taskId }) : output.print(`task ${taskId}`)
      if (options.json) return output.json(report)
      for (const line of reportLines(report)) output.print(line)
    })
}

/** Waits for the task of an upload behind a bar. */
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
