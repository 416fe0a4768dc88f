import { messageOf } from '#streams/core/error.ts'
import { tempDir } from '../support/temp-dir.ts'
import type { Bench, BenchTools, Figures } from './bench.ts'
import { classifierBench } from './classifier.bench.ts'
import { dryRunBench } from './dry-run.bench.ts'
import { fileBench } from './file.bench.ts'
import { compareWithFloors, describeFloors } from './floors.ts'
import { foldBench } from './fold.bench.ts'
import { largeFileBench } from './large-file.bench.ts'
import { latencyBench } from './latency.bench.ts'
import { processorBench } from './processor.bench.ts'
import { uploadBench } from './upload.bench.ts'
import { workbookBench } from './workbook.bench.ts'

const benches: readonly Bench[] = [
  foldBench,
  classifierBench,
  processorBench('kafka', 'zipf'),
  processorBench('kafka', 'uniform'),
  processorBench('postgres', 'zipf'),
  processorBench('postgres', 'uniform'),
  latencyBench,
  workbookBench,
  dryRunBench,
  fileBench,
  uploadBench,
  largeFileBench,
]
const defaultEvents = 2_000_000

interface Options {
  readonly only: readonly string[]
  readonly events: number
  readonly rows: number | null
  readonly threads: number | null
}

/** `--only NAME[,NAME]`, `--events N`, `--rows N` (of a file), `--threads N` (of the processor), `--list`. */
function optionsOf(args: readonly string[]): Options {
  const argumentOf = (flag: string) => {
    const at = args.indexOf(flag)
    return at < 0 ? undefined : (args[at + 1] ?? '')
  }
  const only = argumentOf('--only')?.split(',') ?? []
  const unknown = only.filter((name) => !benches.some((bench) => bench.name === name))
  if (args.includes('--list') || args.includes('--help') || unknown.length > 0) {
    const list = benches.map(({ name, about }) => `  ${name.padEnd(18)} ${about}`).join('\n')
    console.error(`${unknown.map((name) => `there is no bench ${name}\n`).join('')}benches:\n${list}`)
    process.exit(unknown.length > 0 ? 2 : 0)
  }
  const numberOf = (flag: string) => {
    const text = argumentOf(flag)
    return text === undefined ? null : Number(text)
  }
  return {
    only,
    events: numberOf('--events') ?? defaultEvents,
    rows: numberOf('--rows'),
    threads: numberOf('--threads'),
  }
}

async function runOne(bench: Bench, { events, rows, threads }: Options): Promise<Figures> {
  const dir = await tempDir('loyalty-bench-')
  const stops: (() => Promise<unknown>)[] = [() => dir.remove()]
  const tools: BenchTools = {
    events,
    rows,
    threads,
    dir,
    say: (text) => console.error(`  ${text}`),
    onEnd: (stop) => void stops.push(stop),
  }
  const start = performance.now()
  console.error(`${bench.name}: ${bench.about}`)
  try {
    const figures = await bench.run(tools)
    return { ...figures, seconds: Math.round((performance.now() - start) / 100) / 10 }
  } catch (error) {
    // The other figures are worth having, and the exit code tells.
    process.exitCode = 1
    console.error(error)
    return { error: messageOf(error) }
  } finally {
    for (const stop of stops.reverse())
      await stop().catch((error) => console.error(`  cleaning up: ${messageOf(error)}`))
  }
}

const options = optionsOf(process.argv.slice(2))
const start = performance.now()
const results: Record<string, Figures> = {}
for (const bench of benches)
  if (options.only.length === 0 ? bench.byNameOnly !== true : options.only.includes(bench.name))
    results[bench.name] = await runOne(bench, options)
const floors = compareWithFloors(results)
console.error(['measured against the floors:', ...describeFloors(floors)].join('\n'))
console.log(JSON.stringify({ ...results, floors, seconds: Math.round((performance.now() - start) / 1_000) }))
process.exit()
