import { spawn } from 'node:child_process'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { programSpec } from '#services/standalone/program-spec.ts'
import type { Bench, BenchTools, Figures } from './bench.ts'
import { perSecond } from './bench.ts'
import { lineFiles, mixed, profileOf, writeLines } from './line-files.ts'
import { usageOf } from './process-meter.ts'
import { openPlatform, uploadFigures } from './upload.bench.ts'

const rows = 10_000_000
/** Of every fourth receipt another. */
const clients = 1_000_000
const cli = join(import.meta.dirname, '../../services/cli/main.ts')

/** Memory must not depend on the size of a file: what the CLI takes for a dry run of it, and ingest for its upload. */
export const largeFileBench: Bench = {
  name: 'large-file',
  about: `peak memory of a dry run and of an upload of ${rows.toLocaleString('en')} receipt lines (or --rows N); by name only`,
  byNameOnly: true,
  async run(tools) {
    const { dir, say } = tools
    const count = tools.rows ?? rows
    const path = join(dir.path, 'lines.csv')
    await writeLines(path, lineFiles.ascii, { lines: count, clients, shares: 'equal' })
    say('the file is written')
    const dryRun = await dryRunFigures(path, count, tools)
    return {
      ...dryRun,
      ...(await uploadFigures(await openPlatform(tools), { path, lines: count, receiptOf: mixed }, tools)),
    }
  },
}

async function dryRunFigures(path: string, lines: number, { dir, onEnd, say }: BenchTools): Promise<Figures> {
  const profile = join(dir.path, 'profile.json')
  await writeFile(profile, JSON.stringify(profileOf(lineFiles.ascii)))
  const args = ['ingest', path, '--dry-run', '--json', '--profile', profile, '--data-dir', join(dir.path, 'none')]
  // As `npm run loyalty` starts it.
  const { nodeOptions = [] } = programSpec('ingest', {}, '')
  const program = spawn(process.execPath, [...nodeOptions, cli, ...args], { stdio: ['ignore', 'pipe', 'ignore'] })
  onEnd(async () => program.kill('SIGTERM'))
  let output = ''
  program.stdout.on('data', (chunk) => {
    output += chunk
  })
  let used = usageOf(program.pid!)
  const sampler = setInterval(() => {
    const now = usageOf(program.pid!)
    if (now.peakMiB !== null) used = now
  }, 100)
  const code = await new Promise<number | null>((resolve) => program.once('close', resolve))
  clearInterval(sampler)
  const { totals } = JSON.parse(output) as { totals?: { lines: number } | null }
  if (code !== 0 || totals?.lines !== lines) throw new Error(`the dry run ended with ${code}: ${output.slice(0, 500)}`)
  say(`the dry run used ${used.cpuSeconds} s and ${used.peakMiB} MiB`)
  return {
    dry_run_lines_per_second: perSecond(lines, (used.cpuSeconds ?? Number.NaN) * 1_000),
    dry_run_peak_rss_mib: used.peakMiB,
  }
}
