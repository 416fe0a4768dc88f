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

function cpuSecondsOf(pid: number): number | null {
  const stat = read(`/proc/${pid}/stat`)
  if (stat === null) return null
  // The name, in parentheses, may hold blanks and parentheses itself.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return (Number(fields[11]) + Number(fields[12])) / ticksPerSecond
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
  return { cpuSeconds: sum(pids.map(cpuSecondsOf)), peakMiB: own + most('RssShmem') + most('RssFile') }
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
