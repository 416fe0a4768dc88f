import { type Command, Option } from 'commander'
import type { CliContext, CommonOptions } from '../context.ts'
import { contextOfLog } from '../features-export.ts'
import { type GenerateReport, generateToFile, generateToLog } from '../generate.ts'
import { progressBar } from '../progress.ts'
import { withSession } from '../session.ts'
import { positiveNumber, wholeNumber } from '../usage.ts'

interface Options extends CommonOptions {
  readonly events: number
  readonly clients: number
  readonly distribution: 'zipf' | 'uniform'
  readonly seed: number
  readonly rate?: number
  readonly out?: string
}

export function generateVerb(program: Command, context: CliContext): void {
  program
    .command('generate')
    .description('publish believable, seeded transactions, or write them to a file')
    .option('--events <number>', 'transactions in all', wholeNumber('--events'), 10_000)
    .option('--clients <number>', 'clients they belong to', wholeNumber('--clients'), 1_000)
    .addOption(
      new Option('--distribution <shape>', 'how they are shared out').choices(['zipf', 'uniform']).default('zipf'),
    )
    .option('--seed <number>', 'equal seeds give equal transactions', wholeNumber('--seed', 0), 1)
    .option('--rate <number>', 'transactions a second (default: as fast as they are taken)', positiveNumber('--rate'))
    .option('--out <file>', 'write CSV instead of publishing')
    .option('--data-dir <dir>', 'data directory (default: LOYALTY_DATA_DIR, else ./.data)')
    .option('--json', 'print what was made as one JSON object')
    .addHelpText('after', '\nExamples:\n  npm run -s loyalty -- generate --events 100000 --clients 5000 --rate 2000\n')
    .action(async (options: Options) => {
      const bar = progressBar(options.events)
      const onProgress = (events: number) => bar.update(events, 'generating')
      const report = await generate(context, options, onProgress).finally(() => bar.stop())
      if (options.json) return context.output.json(report)
      context.output.print(`${report.events} transactions in ${report.seconds.toFixed(1)} s`)
    })
}

function generate(
  context: CliContext,
  options: Options,
  onProgress: (events: number) => void,
): Promise<GenerateReport> {
  const { events, clients, distribution, seed, rate, out } = options
  const traffic = { events, clients, distribution, seed }
  if (out !== undefined) return generateToFile(out, traffic, onProgress)
  return withSession(context, options, ['registry'], async (session) => {
    const target = { log: session.log(), registry: session.registry(), topics: session.topics }
    const { programme } = await contextOfLog(target.log, target.topics, target.registry)
    const currency = programme?.currency === undefined ? {} : { currency: programme.currency }
    const pace = rate === undefined ? {} : { ratePerSecond: rate }
    return generateToLog({ ...target, ...pace }, { ...traffic, ...currency }, onProgress)
  })
}
