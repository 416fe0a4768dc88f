import type { CrashPoint } from '#streams/core/hooks.ts'
import { ProgramProcess } from './program-process.ts'

export interface ProcessorOptions {
  readonly env: Readonly<Record<string, string>>
  readonly dataDir: string
  /** Kill it there, at the n-th passing. */
  readonly crashAt?: { readonly point: CrashPoint; readonly times: number }
}

/** The processor as its own process. */
export class ProcessorProcess extends ProgramProcess {
  readonly dataDir: string

  constructor({ env, dataDir, ...options }: ProcessorOptions) {
    super('processor', { env: { ...env, LOYALTY_DATA_DIR: dataDir }, ...options })
    this.dataDir = dataDir
  }

  /** Partitions whose tasks run, by its own word; none while it does not answer. */
  async owned(): Promise<number[]> {
    if (this.port === 0) return []
    const answer = await fetch(`http://127.0.0.1:${this.port}/status`).catch(() => null)
    if (answer === null) return []
    const { tasks }: { tasks: { partition: number; state: string }[] } = JSON.parse(await answer.text())
    return tasks.filter(({ state }) => state === 'running').map(({ partition }) => partition)
  }
}
