import { spawn } from 'node:child_process'
import { join } from 'node:path'
import type { Bench } from './bench.ts'
import { commandOf, descendantsOf, peakMiBOf } from './process-meter.ts'

const root = join(import.meta.dirname, '../..')
const giveUpAfterMs = 240_000

interface Report {
  readonly lines: number
  readonly accepted: number
  readonly seconds: Readonly<Record<string, number>>
}

/** `npm run demo -- --exit`: the whole platform on one machine, with the sample of 541,909 lines. */
export const fileBench: Bench = {
  name: 'file',
  about: 'start of the whole platform, then the retail sample from upload to COMPLETED; peak memory of each program',
  async run({ dir, onEnd, say }) {
    const data = join(dir.path, 'data')
    const args = [join(root, 'services/cli/main.ts'), 'demo', '--exit', '--json', '--data-dir', data]
    const demo = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'ignore'] })
    onEnd(async () => demo.kill('SIGTERM'))
    const ended = new Promise<number | null>((resolve) => demo.once('close', resolve))
    let output = ''
    demo.stdout.on('data', (chunk) => {
      output += chunk
    })
    const peaks = new Map<string, number>()
    const sampler = setInterval(() => samplePeaks(demo.pid!, peaks), 250)
    const deadline = setTimeout(() => demo.kill('SIGTERM'), giveUpAfterMs)
    const code = await ended
    clearInterval(sampler)
    clearTimeout(deadline)
    if (code !== 0) throw new Error(`the demo ended with ${code}: ${output.slice(-500)}`)
    const { lines, accepted, seconds } = JSON.parse(output.trimEnd().split('\n').at(-1)!) as Report
    say(`started in ${seconds.start_up} s, COMPLETED ${seconds.total} s after the upload`)
    return {
      lines,
      accepted,
      start_up_seconds: seconds.start_up ?? null,
      file_to_completed_seconds: seconds.total ?? null,
      ...Object.fromEntries([...peaks].map(([name, mib]) => [`${name}_peak_rss_mib`, mib])),
    }
  },
}

/** The largest resident set of each program; of PostgreSQL's processes the largest one. */
function samplePeaks(supervisor: number, peaks: Map<string, number>): void {
  for (const pid of [supervisor, ...descendantsOf(supervisor)]) {
    const name = programOf(commandOf(pid))
    if (name !== null) peaks.set(name, Math.max(peaks.get(name) ?? 0, peakMiBOf(pid) ?? 0))
  }
}

function programOf(command: string): string | null {
  if (command.includes('services/cli/main.ts')) return 'supervisor'
  if (command.includes('standalone/chdb/')) return 'clickhouse'
  if (/\bpostgres\b/.test(command.split(' ')[0] ?? '') || command.startsWith('postgres:'))
    return 'postgres_largest_process'
  return /services\/(\w+)\/main\.ts/.exec(command)?.[1] ?? null
}
