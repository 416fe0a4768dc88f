import type { TempDir } from '../support/temp-dir.ts'

/** Figures of one bench; every number says its unit in its name. */
export type Figures = Readonly<Record<string, number | string | null>>

export interface BenchTools {
  /** Says what is going on, on stderr. */
  readonly say: (text: string) => void
  /** Events of a workload. */
  readonly events: number
  /** Rows of a file; null leaves them to the bench. */
  readonly rows: number | null
  /** Threads of the processor in its own benches; null leaves them to the bench. */
  readonly threads: number | null
  /** A directory of this bench alone, removed afterwards. */
  readonly dir: TempDir
  /** Registers what to stop when the bench ends, however it ends; the last registered stops first. */
  readonly onEnd: (stop: () => Promise<unknown>) => void
}

export interface Bench {
  readonly name: string
  readonly about: string
  /** It takes so long that it is run only where it is asked for. */
  readonly byNameOnly?: true
  run(tools: BenchTools): Promise<Figures>
}

/** The workloads of the comparison: both with 4 partitions. */
export const workloads = {
  zipf: { clients: 100_000, distribution: 'zipf', exponent: 1.05 },
  uniform: { clients: 1_000_000, distribution: 'uniform' },
} as const

export type Workload = keyof typeof workloads

export function perSecond(count: number, ms: number): number {
  return Math.round((count / ms) * 1_000)
}

/** The value below which the share `q` of the sorted values lies. */
export function quantile(sorted: ArrayLike<number>, q: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))] ?? Number.NaN
}

/**
 * Milliseconds of processor time that this thread has used: what a rate "on one core" is measured by, so that whatever
 * else runs on the machine takes little away.
 */
export function coreMs(): number {
  const { user, system } = process.threadCpuUsage()
  return (user + system) / 1_000
}
