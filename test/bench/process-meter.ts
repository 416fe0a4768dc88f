import { readFileSync } from 'node:fs'

/** Linux counts processor time in hundredths of a second (USER_HZ). */
const ticksPerSecond = 100

/** What the kernel knows of a process. Fields are null where there is no /proc or the process has ended. */
export interface Usage {
  /** User and system time of all its threads. */
  readonly cpuSeconds: number | null
  /** Largest resident set so far, MiB. */
  readonly peakMiB: number | null
}

export function usageOf(pid: number): Usage {
  return { cpuSeconds: cpuSecondsOf(pid), peakMiB: peakMiBOf(pid) }
}

/** Of the process itself; from field 13 on, of its children that have ended. */
function cpuSecondsOf(pid: number, field = 11): number | null {
  const stat = read(`/proc/${pid}/stat`)
  if (stat === null) return null
  // The name, in parentheses, may hold blanks and parentheses itself.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return (Number(fields[field]) + Number(fields[field + 1])) / ticksPerSecond
}

export function peakMiBOf(pid: number): number | null {
  return mebibytes(read(`/proc/${pid}/status`), 'VmHWM')
}

/**
 * A process with all its descendants: PostgreSQL is a process per connection. Processor time is the sum; memory is what
 * each has for itself now, and what they share, once.
 */
export function treeUsageOf(pid: number): Usage {
  const pids = [pid, ...descendantsOf(pid)]
  const status = pids.map((one) => read(`/proc/${one}/status`))
  const sum = (numbers: (number | null)[]) => numbers.reduce<number>((total, one) => total + (one ?? 0), 0)
  const most = (field: string) => Math.max(...status.map((text) => mebibytes(text, field) ?? 0))
  const own = sum(status.map((text) => mebibytes(text, 'RssAnon')))
  return { cpuSeconds: sum(pids.map((one) => cpuSecondsOf(one))), peakMiB: own + most('RssShmem') + most('RssFile') }
}

/**
 * Adds what each program of a platform has used by now: the largest resident set so far, the sum of processor time. Of
 * PostgreSQL memory is that of the largest process, time that of the processes that run now and of those that have ended.
 */
export function samplePrograms(supervisor: number, programs: Map<string, Usage>): void {
  const now = new Map<string, number>()
  for (const pid of [supervisor, ...descendantsOf(supervisor)]) {
    const name = programOf(commandOf(pid))
    if (name === null) continue
    const { cpuSeconds, peakMiB } = usageOf(pid)
    const ended = name === postgres ? (cpuSecondsOf(pid, 13) ?? 0) : 0
    now.set(name, (now.get(name) ?? 0) + (cpuSeconds ?? 0) + ended)
    const peak = Math.max(programs.get(name)?.peakMiB ?? 0, peakMiB ?? 0)
    programs.set(name, { cpuSeconds: now.get(name)!, peakMiB: peak })
  }
}

const postgres = 'postgres'

function programOf(command: string): string | null {
  if (command.includes('services/cli/main.ts')) return 'supervisor'
  if (command.includes('standalone/chdb/')) return 'clickhouse'
  if (/\bpostgres\b/.test(command.split(' ')[0] ?? '') || command.startsWith('postgres:')) return postgres
  return /services\/(\w+)\/main\.ts/.exec(command)?.[1] ?? null
}

export function descendantsOf(pid: number): number[] {
  const children = (read(`/proc/${pid}/task/${pid}/children`) ?? '').split(' ').filter(Boolean).map(Number)
  return children.flatMap((child) => [child, ...descendantsOf(child)])
}

/** The command line of a process, '' where it has ended. */
export function commandOf(pid: number): string {
  return (read(`/proc/${pid}/cmdline`) ?? '').replaceAll('\0', ' ').trim()
}

function mebibytes(status: string | null, field: string): number | null {
  const line = new RegExp(`^${field}:\\s+(\\d+) kB$`, 'm').exec(status ?? '')
  return line === null ? null : Math.round(Number(line[1]) / 1024)
}

function read(path: string): string | null {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return null
  }
}
