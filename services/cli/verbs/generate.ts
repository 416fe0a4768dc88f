import { type Command, Option } from 'commander'
import { LoyaltyError } from '#streams/core/error.ts'
import { isCurrency } from '../../ingest/parse/currency.ts'
import type { CliContext, CommonOptions } from '../context.ts'
import { currencyFor, generateToLog } from '../generate.ts'
import type { GenerateReport, Run } from '../generator/report.ts'
import { generateToFile, isGeneratedFile } from '../generator/to-file.ts'
import { generateToHttp, type HttpReport } from '../generator/to-http.ts'
import type { GeneratorOptions } from '../generator/transactions.ts'
import { progressBar } from '../progress.ts'
import { withSession } from '../session.ts'
import { dayOf, isoDay, positiveNumber, share, UsageError, wholeNumber } from '../usage.ts'

interface Options extends CommonOptions {
  readonly to: string
  readonly events: number
  readonly clients: number
  readonly distribution: 'zipf' | 'uniform'
  readonly seed: number
  readonly stores: number
  readonly from: number
  readonly days: number
  readonly refunds: number
  readonly voids: number
  readonly duplicates: number
  readonly late: number
  readonly currency?: string
  readonly rate?: number
  readonly batch: number
  readonly connections: number
}

const defaultFrom = '2024-01-01'

export function generateVerb(program: Command, context: CliContext): void {
  program
    .command('generate')
    .description('believable, seeded transactions of a retailer: published, sent over HTTP, or to a file')
    .option(
      '--to <where>',
      'log; http (the API of this data directory); the address of an API; a file *.csv or *.ndjson, also .gz, .zst',
      'log',
    )
    .option('--events <number>', 'transactions in all, repetitions included', wholeNumber('--events'), 10_000)
    .option('--clients <number>', 'clients they belong to', wholeNumber('--clients'), 1_000)
    .addOption(
      new Option('--distribution <shape>', 'how they are shared out').choices(['zipf', 'uniform']).default('zipf'),
    )
    .option('--seed <number>', 'equal options and seeds give equal transactions', wholeNumber('--seed', 0), 1)
    .option('--stores <number>', 'stores, each smaller than the one before', wholeNumber('--stores'), 25)
    .addOption(
      new Option('--from <date>', 'first day of trade')
        .argParser(isoDay('--from'))
        .default(dayOf(defaultFrom), defaultFrom),
    )
    .option('--days <number>', 'days of trade', wholeNumber('--days'), 365)
    .option('--refunds <share>', 'share of refunds', share('--refunds'), 0.03)
    .option('--voids <share>', 'share of voids', share('--voids'), 0.005)
    .option('--duplicates <share>', 'share of transactions that come once more', share('--duplicates'), 0.01)
    .option('--late <share>', 'share of sales that come up to three days late', share('--late'), 0.02)
    .option('--currency <code>', 'ISO 4217 (default: that of the programme where it is known, else RUB)')
    .option('--rate <number>', 'transactions a second (default: as fast as they are taken)', positiveNumber('--rate'))
    .option('--batch <number>', 'transactions of a request', wholeNumber('--batch'), 500)
    .option('--connections <number>', 'requests under way at once', wholeNumber('--connections'), 4)
    .option('--data-dir <dir>', 'data directory (default: LOYALTY_DATA_DIR, else ./.data)')
    .option('--json', 'print what was made as one JSON object')
    .addHelpText(
      'after',
      '\nExamples:\n  npm run -s loyalty -- generate --events 100000 --clients 5000 --rate 2000\n  npm run -s loyalty -- generate --to http --events 100000 --json\n  npm run -s loyalty -- generate --to traffic.csv.gz --events 1000000 --clients 50000\n',
    )
    .action(async (options: Options) => {
      checkOptions(options)
      const bar = progressBar(options.events)
      const run: Run = {
        ratePerSecond: options.rate,
        onProgress: (events) => bar.update(events, `${events.toLocaleString('en')} transactions`),
        signal: context.interrupted,
      }
      const report = await generate(context, options, run).finally(() => bar.stop())
      if (report.interrupted || ('rejected' in report && report.rejected > 0)) context.exitWith(1)
      if (options.json) return context.output.json(report)
      for (const line of reportLines(report)) context.output.print(line)
    })
}

function checkOptions({ to, currency, batch }: Options): void {
  const refused = (message: string) => new UsageError(new LoyaltyError('option_invalid', message))
  if (to !== 'log' && to !== 'http' && !isAddress(to) && !isGeneratedFile(to))
    throw refused(`--to takes log, http, http://…, or a file *.csv or *.ndjson, perhaps with .gz or .zst, not '${to}'`)
  if (currency !== undefined && !isCurrency(currency))
    throw refused(`--currency takes an ISO 4217 code in capitals, such as RUB, not '${currency}'`)
  if (batch > 1_000) throw refused(`--batch takes up to 1000, as many as a request may have, not '${batch}'`)
}

function isAddress(to: string): boolean {
  return /^https?:\/\//.test(to) && URL.canParse(to)
}

function generate(context: CliContext, options: Options, run: Run): Promise<GenerateReport | HttpReport> {
  const { to, batch, connections } = options
  const traffic = trafficOf(options)
  if (isGeneratedFile(to) && !isAddress(to)) return generateToFile(to, traffic, run)
  if (isAddress(to)) return generateToHttp({ url: to.replace(/\/+$/, ''), batch, connections }, traffic, run)
  return withSession(context, options, [to === 'http' ? 'platform' : 'registry'], async (session) => {
    const target = { log: session.log(), registry: session.registry(), topics: session.topics }
    if (to === 'log')
      return generateToLog(target, { ...traffic, currency: await currencyFor(target, options.currency) }, run)
    // What the tills' door says of another currency is a result.
    const currency = options.currency ?? (await currencyFor(target, undefined))
    return generateToHttp({ url: session.apiUrl, batch, connections }, { ...traffic, currency }, run)
  })
}

function trafficOf(options: Options): GeneratorOptions {
  const { events, clients, distribution, seed, stores, from, days, currency } = options
  return {
    ...{ events, clients, distribution, seed, stores, days },
    ...(currency === undefined ? {} : { currency }),
    firstDay: from,
    refundShare: options.refunds,
    voidShare: options.voids,
    duplicateShare: options.duplicates,
    lateShare: options.late,
  }
}

function reportLines(report: GenerateReport | HttpReport): string[] {
  const count = (value: number) => value.toLocaleString('en')
  const { sales, refunds, voids, duplicates, late } = report
  const lines = [
    `${count(report.events)} transactions in ${report.seconds.toFixed(1)} s (${count(report.per_second)}/s): ` +
      `${count(sales)} sales (${count(late)} late), ${count(refunds)} refunds, ${count(voids)} voids, ${count(duplicates)} repetitions`,
  ]
  if ('accepted' in report) {
    const why = Object.entries(report.codes).map(([code, rejected]) => `${code} ${count(rejected)}`)
    const rejected = `${count(report.rejected)} rejected${why.length > 0 ? ` (${why.join(', ')})` : ''}`
    lines.push(`${count(report.accepted)} accepted, ${rejected}, ${count(report.retries)} requests sent again`)
  }
  if (report.interrupted) lines.push('ended early, as asked')
  return lines
}
