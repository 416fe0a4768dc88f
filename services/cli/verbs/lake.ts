import type { Command } from 'commander'
import { LoyaltyError } from '#streams/core/error.ts'
import type { LakeStore } from '../../lake/store.ts'
import { unaccountedSentences } from '../../lake/unaccounted.ts'
import { type LakeReport, verifyLake } from '../../lake/verify.ts'
import { type Config, readConfig } from '../../platform/config.ts'
import type { CliContext } from '../context.ts'
import { progressBar } from '../progress.ts'
import { UsageError } from '../usage.ts'

export function lakeVerbs(lake: Command, context: CliContext): void {
  lake
    .command('verify')
    .argument('[place]', 'a directory or s3://bucket/prefix (default: LOYALTY_LAKE)')
    .description('read the whole lake and compare it with its manifests: hashes, counts, gaps')
    .option('--json', 'print one JSON object')
    .addHelpText(
      'after',
      '\nIt writes nothing, and may be run while the lake grows. Exit code 1 where something is wrong,\nor not accounted for, as a range that is being written.\n\nExamples:\n  npm run -s loyalty -- lake verify ./lake\n',
    )
    .action(async (place: string | undefined, options: { readonly json?: boolean }) => {
      const config = readConfig(context.env)
      const store = lakeAt(context, config, place ?? config.lake)
      const bar = progressBar(100)
      const report = await verifyLake(store, (files) => bar.update(0, `${files.toLocaleString('en')} files`)).finally(
        () => bar.stop(),
      )
      if (report.faults.length > 0 || unaccountedSentences(report.unaccounted).length > 0) context.exitWith(1)
      if (options.json) return context.output.json(report)
      for (const line of linesOf(report)) context.output.print(line)
    })
}

/** The lake at a place. Errors: `lake_location_invalid`, `config_missing`, `option_invalid`. */
export function lakeAt(context: CliContext, config: Config, place: string): LakeStore {
  const store = context.wiring.openLake(config, place)
  if (store !== null) return store
  throw new UsageError(new LoyaltyError('option_invalid', 'name the lake, or set LOYALTY_LAKE'))
}

function linesOf({ lake, files, rows, bytes, ranges, withheld, lost, unaccounted, faults }: LakeReport): string[] {
  const count = (value: number) => value.toLocaleString('en')
  const kinds = Object.entries(rows).map(([type, number]) => `${type} ${count(number)}`)
  const lines = [
    `${lake}: ${count(files)} files, ${count(bytes)} bytes, ${count(ranges)} ranges of offsets`,
    `rows: ${kinds.join(', ')}`,
  ]
  if (withheld > 0) lines.push(`${count(withheld)} records without content: they are of clients' master data`)
  if (lost > 0) lines.push(`${count(lost)} offsets were dropped by the log before they were archived`)
  for (const sentence of unaccountedSentences(unaccounted)) lines.push(sentence)
  for (const fault of faults) lines.push(`fault: ${fault}`)
  const { ranges: open, files: unnamed } = unaccounted
  if (open.length + unnamed.length > 0)
    lines.push(
      `NOT ALL IS ACCOUNTED FOR: ${count(open.length)} range(s) without an entry, ${count(unnamed.length)} file(s) in no manifest. ` +
        'They do not count, and no import brings them. Run the lake program until it has caught up; ' +
        'what is left then, or where its log is lost, was deleted or damaged: restore it',
    )
  if (faults.length > 0) lines.push(`${count(faults.length)} fault(s)`)
  return faults.length + open.length + unnamed.length > 0 ? lines : [...lines, 'all is as it was written']
}
