import { runHere } from '../../cli/support/run-here.ts'

/**
 * Runs `loyalty ingest FILE --dry-run` for each file that the arguments name, one after the other in this process, and writes a
 * line of JSON for each.
 */

/** What came of a dry run, and how much memory the process has had at most so far. */
export interface DryRunOutcome {
  /** Of the error; else how many rows there are. */
  readonly outcome: string
  readonly seconds: number
  readonly peakMiB: number
}

const [dataDir = '', ...paths] = process.argv.slice(2)
const programme = ['--currency', 'RUB', '--time-zone', 'Europe/Moscow']

for (const path of paths) {
  const start = performance.now()
  const { lastJson } = await runHere(['ingest', path, '--dry-run', '--json', '--data-dir', dataDir, ...programme])
  const { error, totals } = lastJson as { error?: { code: string }; totals?: { lines: number } | null }
  const outcome: DryRunOutcome = {
    outcome: error?.code ?? `${totals?.lines ?? 'no'} rows`,
    seconds: (performance.now() - start) / 1_000,
    peakMiB: Math.round(process.resourceUsage().maxRSS / 1_024),
  }
  process.stdout.write(`${JSON.stringify(outcome)}\n`)
}
