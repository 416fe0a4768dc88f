/**
 * `npm test`: types, style, then the test suite tier by tier. A tier that this machine cannot run is named with the
 * reason; with CI=true it fails. The last line, alone, is `N passed, N failed`.
 *
 * npm test [-- --tier unit,int] [file filter …]
 */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { checks, root, run } from './checks.ts'
import { countReport, failuresOf, type Report, type Tally, unhandledOf } from './test-report.ts'
import { filesOf, type Tier, tiers } from './tiers.ts'
import { unhandledReportPath } from './unhandled-reporter.ts'

const { values, positionals } = parseArgs({ allowPositionals: true, options: { tier: { type: 'string' } } })
const chosen = values.tier?.split(',')
const ci = process.env.CI === 'true'
const results: { name: string; tally: Tally; seconds: number; note: string }[] = []
/** What failed, told again at the end: the output in between is long. */
const failures: string[] = []
const scratch = mkdtempSync(join(tmpdir(), 'loyalty-test-'))

process.chdir(root)
for (const check of checks) if (chosen === undefined && positionals.length === 0) await runCheck(check.name, check.args)
for (const tier of tiers) if (chosen?.includes(tier.name) ?? true) await runTier(tier)
rmSync(scratch, { recursive: true, force: true })
summarize()

async function runCheck(name: string, args: readonly string[]): Promise<void> {
  heading(name)
  const startedMs = Date.now()
  const ok = (await run(args)) === 0
  record(name, { passed: ok ? 1 : 0, failed: ok ? 0 : 1, skipped: 0 }, startedMs, '')
}

async function runTier(tier: Tier): Promise<void> {
  const files = filesOf(tier, root)
  if (files.length === 0) return
  const startedMs = Date.now()
  const missing = tier.missing()
  if (missing !== null) {
    const note = `tier is missing on this machine: ${missing}`
    console.log(`\n── ${tier.name}: ${note}`)
    record(tier.name, { passed: 0, failed: ci ? 1 : 0, skipped: 0 }, startedMs, note)
    return
  }
  heading(`${tier.name}: ${tier.what} (${files.length} files)`)
  const output = join(scratch, `${tier.name}.json`)
  const unhandled = join(scratch, `${tier.name}-unhandled.json`)
  process.env[unhandledReportPath] = unhandled
  const code = await run([
    'node_modules/vitest/vitest.mjs',
    'run',
    ...['--project', tier.name, '--passWithNoTests', `--maxWorkers=${tier.workers}`],
    ...['--reporter=default', '--reporter=json', `--outputFile.json=${output}`],
    '--reporter=./scripts/unhandled-reporter.ts',
    ...positionals,
  ])
  const report = readReport<Report>(output)
  const outside = unhandledOf(readReport<string[]>(unhandled))
  const failed = [...failuresOf(report), ...outside]
  if (code !== 0 && failed.length === 0) failed.push(`the run ended with code ${code} and says nothing of a reason`)
  failures.push(...failed.map((failure) => `${tier.name}: ${failure}`))
  record(tier.name, countReport(report, code, outside.length), startedMs, '')
}

function readReport<Content>(path: string): Content | null {
  try {
    return JSON.parse(readFileSync(path, 'utf8')) as Content
  } catch {
    return null
  }
}

function record(name: string, tally: Tally, startedMs: number, note: string): void {
  results.push({ name, tally, seconds: (Date.now() - startedMs) / 1000, note })
}

function heading(text: string): void {
  console.log(`\n── ${text} ${'─'.repeat(Math.max(3, 90 - text.length))}`)
}

function summarize(): void {
  heading('result')
  for (const failure of failures) console.log(`failed: ${failure.replace(`${root}/`, '')}`)
  for (const { name, tally, seconds, note } of results) {
    const skipped = tally.skipped > 0 ? `, ${tally.skipped} skipped` : ''
    const counts = `${tally.passed} passed, ${tally.failed} failed${skipped}`
    console.log(`${name.padEnd(8)} ${note || `${counts} in ${seconds.toFixed(1)} s`}`)
  }
  const sum = (pick: (tally: Tally) => number) => results.reduce((total, { tally }) => total + pick(tally), 0)
  const failed = sum((tally) => tally.failed)
  console.log(`${sum((tally) => tally.passed)} passed, ${failed} failed`)
  process.exitCode = failed === 0 ? 0 : 1
}
