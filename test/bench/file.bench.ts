import { spawn } from 'node:child_process'
import { join } from 'node:path'
import type { Bench } from './bench.ts'
import { samplePrograms, type Usage } from './process-meter.ts'

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
    const programs = new Map<string, Usage>()
    const sampler = setInterval(() => samplePrograms(demo.pid!, programs), 250)
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
      ...Object.fromEntries([...programs].map(([name, { peakMiB }]) => [peakNameOf(name), peakMiB])),
    }
  },
}

function peakNameOf(program: string): string {
  return `${program === 'postgres' ? 'postgres_largest_process' : program}_peak_rss_mib`
}
