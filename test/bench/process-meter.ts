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

export function cpuSecondsOf(pid: number): number | null {
  const stat = read(`/proc/${pid}/stat`)
  if (stat === null) return null
  // The name, in parentheses, may hold blanks and parentheses itself.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return (Number(fields[11]) + Number(fields[12])) / ticksPerSecond
}

export function peakMiBOf(pid: number): number | null {
  const line = /^VmHWM:\s+(\d+) kB$/m.exec(read(`/proc/${pid}/status`) ?? '')
  return line === null ? null : Math.round(Number(line[1]) / 1024)
}

/** Sum over a process and its descendants: PostgreSQL is a process per connection. */
export function treeUsageOf(pid: number): Usage {
  const pids = [pid, ...descendantsOf(pid)]
  const known = pids.map(usageOf).filter((usage) => usage.cpuSeconds !== null && usage.peakMiB !== null)
  if (known.length === 0) return { cpuSeconds: null, peakMiB: null }
  return {
    cpuSeconds: known.reduce((sum, { cpuSeconds }) => sum + cpuSeconds!, 0),
    peakMiB: known.reduce((sum, { peakMiB }) => sum + peakMiB!, 0),
  }
}

function descendantsOf(pid: number): number[] {
  const children = (read(`/proc/${pid}/task/${pid}/children`) ?? '').split(' ').filter(Boolean).map(Number)
  return children.flatMap((child) => [child, ...descendantsOf(child)])
}

function read(path: string): string | null {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return null
  }
}
