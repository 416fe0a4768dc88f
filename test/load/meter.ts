import { commandOf, descendantsOf, usageOf } from '../bench/process-meter.ts'

/** Processor seconds by program of everything that this process started, and its own as `supervisor_and_tills`. */
export function cpuByProgram(): Record<string, number> {
  const seconds: Record<string, number> = {}
  for (const pid of [process.pid, ...descendantsOf(process.pid)]) {
    const name = pid === process.pid ? 'supervisor_and_tills' : programOf(commandOf(pid))
    if (name !== null) seconds[name] = (seconds[name] ?? 0) + (usageOf(pid).cpuSeconds ?? 0)
  }
  return seconds
}

function programOf(command: string): string | null {
  if (command.includes('standalone/chdb/')) return 'clickhouse'
  if (/postgres/.test(command.split(' ')[0] ?? '')) return 'postgres'
  return /services\/(\w+)\/main\.ts/.exec(command)?.[1] ?? null
}

export function difference(after: Record<string, number>, before: Record<string, number>): Record<string, number> {
  return Object.fromEntries(
    Object.entries(after).map(([name, seconds]) => [name, Math.round((seconds - (before[name] ?? 0)) * 10) / 10]),
  )
}
