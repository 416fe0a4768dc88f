import { readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { generateToLog } from '#services/cli/generate.ts'
import type { ChildProgram } from '#services/standalone/child-program.ts'
import { type Bench, type BenchTools, type Figures, perSecond, type Workload, workloads } from './bench.ts'
import { usageOf } from './process-meter.ts'
import { type LogKind, openStack, partitions, type Stack } from './stack.ts'

/** What the processor says of a task at /status, as far as it matters here. */
interface TaskStatus {
  readonly state: string
  readonly position: { readonly transactions: number } | null
  readonly end_offset: number
  readonly state_bytes: number | null
}

/** The whole bench ends within 12 minutes also on a slow machine: what is not done by then counts as far as it got. */
const limitMs = { firstStep: 30_000, workOff: 60_000, restore: 45_000 }

/** Where no others are asked for. On the Postgres log one uses a core, and the server the other. */
const threadsOn: Readonly<Record<LogKind, number>> = { kafka: 2, postgres: 1 }

/**
 * The processor's main on a backlog: loaded first, so that the generator costs nothing while it is measured, then worked
 * off by one instance, exactly once, with model, ledgers and durable state. On Kafka its state is then thrown away and
 * restored from the log.
 */
export function processorBench(kind: LogKind, workload: Workload): Bench {
  return {
    name: `${kind}-${workload}`,
    about: `exactly-once events/s of one processor on ${kind === 'kafka' ? 'Kafka' : 'the Postgres log'}, ${workload}`,
    async run(tools) {
      const threads = tools.threads ?? threadsOn[kind]
      const stack = await openStack(kind, threads, tools)
      const clients = await load(stack, workload, tools)
      const worked = await workOff(stack, clients, tools)
      const restored = kind === 'kafka' ? await restore(stack, tools) : {}
      return { events: tools.events, threads, clients, ...worked, ...restored }
    },
  }
}

async function load(
  { log, registry, topics }: Stack,
  workload: Workload,
  { events, say }: BenchTools,
): Promise<number> {
  const options = { ...workloads[workload], events, seed: 1, detailed: false }
  const report = await generateToLog({ log, registry, topics }, options)
  say(`loaded ${events} events of ${report.clients} clients in ${report.seconds} s`)
  return report.clients
}

async function workOff(stack: Stack, clients: number, tools: BenchTools): Promise<Figures> {
  const brokerBefore = stack.brokerUsage()
  const processor = await stack.start('processor')
  // The clock starts at the first committed step seen: joining the group is no throughput.
  const { tasks: first } = await tasksWhen(processor, limitMs.firstStep, (tasks) => positionOf(tasks) > 0)
  const beginMs = performance.now()
  const cpuBefore = usageOf(processor.pid!).cpuSeconds
  let toldMs = beginMs
  const { tasks: last, reached } = await tasksWhen(processor, limitMs.workOff, (tasks) => {
    if (performance.now() - toldMs > 5_000) {
      toldMs = performance.now()
      tools.say(`${positionOf(tasks)} events, ${perSecond(positionOf(tasks) - positionOf(first), toldMs - beginMs)}/s`)
    }
    return (
      tasks.length === partitions && tasks.every(({ position, end_offset }) => position?.transactions === end_offset)
    )
  })
  const ms = performance.now() - beginMs
  const events = positionOf(last) - positionOf(first)
  const usage = usageOf(processor.pid!)
  const broker = stack.brokerUsage()
  const metrics = await metricsOf(processor)
  await processor.stop()
  const rate = perSecond(events, ms)
  tools.say(`${rate} events/s, processor at most ${usage.peakMiB} MiB`)
  const bytes = last.reduce((sum, { state_bytes }) => sum + (state_bytes ?? 0), 0)
  return {
    events_per_second: rate,
    worked_off: reached ? 'all' : `${positionOf(last)} in ${limitMs.workOff / 1_000} s`,
    classified_rows: metrics.get('loyalty_classifier_rows_total') ?? 0,
    dead_letters: metrics.get('loyalty_dead_letters_total') ?? 0,
    processor_cpu_seconds: difference(usage.cpuSeconds, cpuBefore),
    broker_cpu_seconds: difference(broker.cpuSeconds, brokerBefore.cpuSeconds),
    processor_peak_rss_mib: usage.peakMiB,
    broker_peak_rss_mib: broker.peakMiB,
    state_bytes_per_client: reached ? Math.round(bytes / clients) : null,
  }
}

/** Time from the first task that restores to the last that runs, with the state thrown away. */
async function restore(stack: Stack, tools: BenchTools): Promise<Figures> {
  rmSync(join(stack.config.dataDir, 'state'), { recursive: true, force: true })
  const logFile = join(stack.config.dataDir, 'logs', 'processor.log')
  const before = transitionsIn(logFile).length
  const processor = await stack.start('processor')
  const { tasks, reached } = await tasksWhen(
    processor,
    limitMs.restore,
    (all) => all.length === partitions && all.every(({ state }) => state === 'running'),
  )
  const transitions = transitionsIn(logFile).slice(before)
  const { cpuSeconds } = usageOf(processor.pid!)
  await processor.stop()
  if (!reached) {
    tools.say(`the restore did not end within ${limitMs.restore / 1_000} s`)
    return { restore_events_per_second: null }
  }
  const times = (to: string) => transitions.filter((one) => one.to === to).map(({ atMs }) => atMs)
  const ms = Math.max(...times('running')) - Math.min(...times('restoring'))
  tools.say(`restored at ${perSecond(positionOf(tasks), ms)} events/s`)
  return { restore_events_per_second: perSecond(positionOf(tasks), ms), restore_cpu_seconds: cpuSeconds }
}

function transitionsIn(logFile: string): { readonly to: string; readonly atMs: number }[] {
  return readFileSync(logFile, 'utf8')
    .split('\n')
    .filter((line) => line.includes('"message":"task"'))
    .map((line) => JSON.parse(line) as { to: string; timestamp: string })
    .map(({ to, timestamp }) => ({ to, atMs: Date.parse(timestamp) }))
}

/** Asks for the tasks until the condition holds or the time is up; a task that stopped is an error. */
async function tasksWhen(
  processor: ChildProgram,
  withinMs: number,
  condition: (tasks: readonly TaskStatus[]) => boolean,
): Promise<{ readonly tasks: readonly TaskStatus[]; readonly reached: boolean }> {
  const deadline = performance.now() + withinMs
  for (;;) {
    const { tasks } = (await (await fetch(`${processor.url}/status`)).json()) as { tasks: TaskStatus[] }
    if (condition(tasks)) return { tasks, reached: true }
    if (tasks.some(({ state }) => state === 'stopped')) throw new Error(`a task stopped: ${JSON.stringify(tasks)}`)
    if (performance.now() > deadline) return { tasks, reached: false }
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}

function positionOf(tasks: readonly TaskStatus[]): number {
  return tasks.reduce((sum, { position }) => sum + (position?.transactions ?? 0), 0)
}

/** Sums of the samples of each metric. */
async function metricsOf(processor: ChildProgram): Promise<Map<string, number>> {
  const text = await (await fetch(`${processor.url}/metrics`)).text()
  const sums = new Map<string, number>()
  for (const [, name, value] of text.matchAll(/^(\w+)(?:\{[^}]*\})? ([\d.e+-]+)$/gm))
    sums.set(name!, (sums.get(name!) ?? 0) + Number(value))
  return sums
}

function difference(after: number | null, before: number | null): number | null {
  return after === null || before === null ? null : Math.round((after - before) * 10) / 10
}
