import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'

export interface ProgramOptions {
  readonly env: Readonly<Record<string, string>>
  /** Kill it there, at the n-th passing. */
  readonly crashAt?: { readonly point: string; readonly times: number }
}

/** A program as its own process, started by its real main. */
export class ProgramProcess {
  readonly #child: ChildProcess
  #output = ''
  #port = 0

  constructor(program: 'processor' | 'projector' | 'lake', { env, crashAt }: ProgramOptions) {
    const entry = fileURLToPath(new URL(`../../../services/${program}/main.ts`, import.meta.url))
    this.#child = spawn(process.execPath, [entry], {
      env: {
        ...process.env,
        ...env,
        NODE_ENV: 'test',
        [`LOYALTY_${program.toUpperCase()}_PORT`]: '0',
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

  /** Of its HTTP server; 0 before it is ready. */
  get port(): number {
    return this.#port
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
