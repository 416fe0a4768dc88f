import type { Command } from 'commander'
import { LoyaltyError } from '#streams/core/error.ts'
import { type ImportReport, importLake } from '../../lake/import.ts'
import { unaccountedSentences } from '../../lake/unaccounted.ts'
import { rememberDirectoryFacts } from '../../standalone/directory-facts.ts'
import { readImportMark, removeImportMark, writeImportMark } from '../../standalone/import-mark.ts'
import type { CliContext, CommonOptions } from '../context.ts'
import { progressBar } from '../progress.ts'
import { type Session, withNewSession } from '../session.ts'
import { lakeAt } from './lake.ts'

interface Options extends CommonOptions {
  readonly fromLake: string
  readonly acceptDataLoss?: boolean
}

export function importVerb(program: Command, context: CliContext): void {
  program
    .command('import')
    .description('fill a fresh log from a lake: transactions and control events of a cluster that was lost')
    .requiredOption('--from-lake <place>', 'a directory or s3://bucket/prefix')
    .option('--accept-data-loss', 'import also without what the lake does not account for')
    .option('--data-dir <dir>', 'fresh data directory (default: LOYALTY_DATA_DIR, else ./.data)')
    .option('--json', 'print one JSON object')
    .addHelpText(
      'after',
      '\nThen `loyalty start` computes the states. An import that was interrupted goes on with the same command.\n\nExamples:\n  npm run -s loyalty -- import --from-lake ./lake --data-dir ./rebuilt\n',
    )
    .action(async (options: Options) => {
      const report = await withNewSession(context, options, ['log', 'registry'], (session) =>
        run(context, session, options),
      )
      if (options.json) return context.output.json(report)
      for (const line of linesOf(report)) context.output.print(line)
    })
}

async function run(context: CliContext, session: Session, options: Options): Promise<ImportReport> {
  const { config, topics } = session
  const { dataDir } = config
  const store = lakeAt(context, config, options.fromLake)
  const mark = readImportMark(dataDir)
  if (mark !== null && mark.lake !== store.where)
    throw new LoyaltyError(
      'import_log_not_empty',
      `an import from ${mark.lake} was begun in ${dataDir}; go on with it`,
      {
        details: { ...mark, dataDir },
      },
    )
  await context.wiring.createTopics(config)
  rememberDirectoryFacts(dataDir, config)
  const bar = progressBar(100)
  const report = await importLake({
    ...{ store, topics, topicPrefix: config.topicPrefix, log: session.log(), registry: session.registry() },
    resumed: mark !== null,
    acceptDataLoss: options.acceptDataLoss === true,
    onBegin: () => writeImportMark(dataDir, { lake: store.where }),
    onProgress: (records, total) =>
      bar.update(total === 0 ? 100 : (100 * records) / total, `${records.toLocaleString('en')} records`),
    signal: context.interrupted,
  }).finally(() => bar.stop())
  removeImportMark(dataDir)
  return report
}

function linesOf({
  transactions,
  control_events,
  partitions,
  found,
  lost,
  unaccounted,
  seconds,
}: ImportReport): string[] {
  const count = (value: number) => value.toLocaleString('en')
  const lines = [
    `${count(transactions)} transactions and ${count(control_events)} control events in ${seconds.toFixed(1)} s` +
      (found === 0 ? '' : `, ${count(found)} of them before this command was interrupted`),
  ]
  if (partitions.lake !== partitions.log)
    lines.push(`${partitions.lake} partitions became ${partitions.log}, by key (LOYALTY_PARTITIONS)`)
  if (lost > 0) lines.push(`${count(lost)} offsets are not in the lake: the log had dropped them before`)
  for (const sentence of unaccountedSentences(unaccounted)) lines.push(`not imported: ${sentence}`)
  return [...lines, '`loyalty start` computes the states now']
}
