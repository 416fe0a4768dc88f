import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import type { CrashPoint } from '#streams/core/hooks.ts'

const entry = fileURLToPath(new URL('../../../services/processor/main.ts', import.meta.url))

export interface ProcessorOptions {
  readonly env: Readonly<Record<string, string>>
  readonly dataDir: string
  /** Kill it there, at the n-th passing. */
  readonly crashAt?: { readonly point: CrashPoint; readonly times: number }
}

/** The processor as its own process, started by its real main. */
export class ProcessorProcess {
  readonly #child: ChildProcess
  #output = ''
  #port = 0

  constructor({ env, dataDir, crashAt }: ProcessorOptions) {
    this.#child = spawn(process.execPath, [entry], {
      env: {
        ...process.env,
        ...env,
        NODE_ENV: 'test',
        LOYALTY_DATA_DIR: dataDir,
        LOYALTY_PROCESSOR_PORT: '0',
        ...(crashAt === undefined ? {} : { CRASH_AT: `${crashAt.point}:${crashAt.times}` }),
      },
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    })
    this.#child.on('message', (message: { type?: string; port?: number }) => {
      if (message.type === 'ready') this.#port = message.port ?? 0
    })
    for (const stream of [this.#child.stdout, this.#child.stderr])
      stream?.on('data', (chunk: Buffer) => {
        this.#output = (this.#output + chunk.toString()).slice(-20_000)
      })
  }

  /** Partitions whose tasks run, by its own word; none while it does not answer. */
  async owned(): Promise<number[]> {
    if (this.#port === 0) return []
    const answer = await fetch(`http://127.0.0.1:${this.#port}/status`).catch(() => null)
    if (answer === null) return []
    const { tasks } = (await answer.json()) as { tasks: { partition: number; state: string }[] }
    return tasks.filter(({ state }) => state === 'running').map(({ partition }) => partition)
  }

  /** What it logged last, for a failing test's message. */
  get output(): string {
    return this.#output
  }

  get running(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null
  }

  /** Resolves with the signal or exit code that ended it. */
  async ended(): Promise<string> {
    if (this.running) await once(this.#child, 'exit')
    return this.#child.signalCode ?? String(this.#child.exitCode)
  }

  signal(signal: 'SIGTERM' | 'SIGKILL' | 'SIGSTOP' | 'SIGCONT'): void {
    this.#child.kill(signal)
  }

  /** SIGTERM and its exit code; SIGKILL for one that was stopped. */
  async stop(): Promise<string> {
    this.signal('SIGTERM')
    return this.ended()
  }

  async kill(): Promise<void> {
    this.signal('SIGKILL')
    await this.ended()
  }
}
