import { join } from 'node:path'
import type { Command } from 'commander'
import { loadProfile } from '../../ingest/profile.ts'
import { readConfig } from '../../platform/config.ts'
import { findPlatform } from '../../standalone/run-file.ts'
import type { CliContext, CommonOptions } from '../context.ts'
import { reportLines } from '../report.ts'
import { environmentOf } from '../session.ts'
import { awaitTask, findUpload, sendFile } from '../upload.ts'
import { waitingNotes } from '../waiting.ts'
import { awaitWithBar } from './ingest.ts'
import { describe, startHere, untilInterrupted } from './start.ts'

interface Options extends CommonOptions {
  readonly exit?: boolean
}

const sample = join(import.meta.dirname, '../../../samples/online_retail.csv.gz')
const profile = 'online-retail'

export function demoVerb(program: Command, context: CliContext): void {
  program
    .command('demo')
    .description('start the platform, feed it the retail sample (541,909 lines), show the outcome and keep serving')
    .option('--data-dir <dir>', 'data directory (default: LOYALTY_DATA_DIR, else ./.data)')
    .option('--exit', 'end when the upload is COMPLETED')
    .option('--json', 'print the report as one JSON object, on the last line with --exit')
    .addHelpText('after', '\nExamples:\n  npm run demo\n  npm run -s demo -- --exit --json --data-dir /tmp/demo\n')
    .action((options: Options) => runDemo(context, options))
}

async function runDemo(context: CliContext, options: Options): Promise<void> {
  const { output } = context
  const running = await findPlatform(readConfig(environmentOf(context, options)).dataDir)
  if (running !== null) {
    output.note(`the platform runs already (${running.urls.api}); it keeps running`)
    return tell(context, options, await feed(context, running.urls.api ?? ''))
  }
  const sayings = options.json ? output.note : output.print
  sayings('starting the platform …')
  const platform = await startHere(context, options, async () => loadProfile(profile))
  try {
    const report = { ...(await feed(context, platform.urls.api)) }
    report.seconds = { ...report.seconds, start_up: Math.round(platform.startedInMs) / 1000 }
    if (!options.exit) {
      tell(context, options, report)
      for (const line of describe(platform)) sayings(line)
      return await untilInterrupted(context)
    }
    await platform.stop()
    tell(context, options, report)
  } finally {
    await platform.stop()
  }
}

/** Uploads the sample, or finds the upload of it that is stored. */
async function feed(context: CliContext, apiUrl: string) {
  const { output, interrupted } = context
  const stored = await findUpload(apiUrl, sample)
  if (stored === null) {
    const { taskId } = await sendFile(apiUrl, sample, { profile })
    return awaitWithBar(context, apiUrl, taskId)
  }
  output.note('the sample is stored already; this is the report of its upload')
  return awaitTask(apiUrl, stored, waitingNotes(output.note), interrupted)
}

function tell({ output }: CliContext, options: Options, report: Awaited<ReturnType<typeof awaitTask>>): void {
  if (options.json) output.json(report)
  else for (const line of reportLines(report)) output.print(line)
}
