import { Command, CommanderError } from 'commander'
import { LoyaltyError, messageOf } from '#streams/core/error.ts'
import type { CliContext } from './context.ts'
import { UsageError } from './usage.ts'
import { checkConfigVerb } from './verbs/check-config.ts'
import { clientShowVerb } from './verbs/client-show.ts'
import { clientsExportVerb } from './verbs/clients-export.ts'
import { cutPointsVerb } from './verbs/cut-points.ts'
import { dayVerb } from './verbs/day.ts'
import { demoVerb } from './verbs/demo.ts'
import { dlqVerbs } from './verbs/dlq.ts'
import { featuresExportVerb } from './verbs/features-export.ts'
import { generateVerb } from './verbs/generate.ts'
import { importVerb } from './verbs/import.ts'
import { ingestVerb } from './verbs/ingest.ts'
import { lakeVerbs } from './verbs/lake.ts'
import { migrateVerb } from './verbs/migrate.ts'
import { profilesVerb } from './verbs/profiles.ts'
import { qualityVerb } from './verbs/quality.ts'
import { rebuildVerb } from './verbs/rebuild.ts'
import { segmentsVerb } from './verbs/segments.ts'
import { sourcesVerb } from './verbs/sources.ts'
import { startVerb } from './verbs/start.ts'
import { streamDemoVerb } from './verbs/stream-demo.ts'
import { topicsVerb } from './verbs/topics.ts'
import { uploadsVerb } from './verbs/uploads.ts'

type Verb = (parent: Command, context: CliContext) => void

const verbs: readonly Verb[] = [
  startVerb,
  demoVerb,
  streamDemoVerb,
  ingestVerb,
  uploadsVerb,
  profilesVerb,
  dayVerb,
  cutPointsVerb,
  (program, context) => clientShowVerb(program.command('client').description('one client'), context),
  (program, context) => clientsExportVerb(program.command('clients').description('all clients'), context),
  segmentsVerb,
  qualityVerb,
  (program, context) => dlqVerbs(program.command('dlq').description('dead letters'), context),
  (program, context) => featuresExportVerb(program.command('features').description('training data'), context),
  sourcesVerb,
  generateVerb,
  (program, context) => lakeVerbs(program.command('lake').description('the archive of raw input'), context),
  importVerb,
  rebuildVerb,
  migrateVerb,
  topicsVerb,
  checkConfigVerb,
]

/** Exit codes: 0 done, 1 failed, 2 called wrongly. */
export const exitCodes = { done: 0, failed: 1, usage: 2 } as const

/**
 * Runs one command line (without node and script). Never throws: an error is told on standard error, and with --json
 * also as the body `{error: {code, message, details}}` on the last line of standard output.
 */
export async function runCli(args: readonly string[], context: Omit<CliContext, 'exitWith'>): Promise<number> {
  let exitCode: number = exitCodes.done
  const whole: CliContext = {
    ...context,
    exitWith: (code) => {
      exitCode = code
    },
  }
  try {
    await commandLine(whole).parseAsync([...args], { from: 'user' })
    return exitCode
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? exitCodes.done : exitCodes.usage
    const code = error instanceof LoyaltyError ? error.code : 'internal_error'
    const details = error instanceof LoyaltyError ? error.details : {}
    context.output.note(`error: ${messageOf(error)} (${code})`)
    if (!(error instanceof LoyaltyError) && error instanceof Error) context.output.note(error.stack ?? '')
    if (args.includes('--json')) context.output.json({ error: { code, message: messageOf(error), details } })
    return error instanceof UsageError ? exitCodes.usage : exitCodes.failed
  }
}

function commandLine(context: CliContext): Command {
  const program = new Command('loyalty')
    .description('Operates the loyalty platform: run it, feed it, ask it.')
    .showHelpAfterError('(--help says more)')
    .configureOutput({
      writeOut: (text) => context.output.print(text.trimEnd()),
      writeErr: (text) => context.output.note(text.trimEnd()),
    })
    .exitOverride()
    .addHelpText(
      'after',
      '\nA verb finds the running platform by its data directory; on a directory at rest it starts just the engines it needs.',
    )
  for (const verb of verbs) verb(program, context)
  return program
}
