import { type ChildProcess, spawn } from 'node:child_process'
import { closeSync, existsSync, openSync, readFileSync, renameSync, statSync } from 'node:fs'
import { LoyaltyError } from '#streams/core/error.ts'

export interface ProgramSpec {
  readonly name: string
  /** Path of its main.ts. */
  readonly entry: string
  readonly nodeOptions?: readonly string[]
  readonly env: Readonly<Record<string, string | undefined>>
  /** Its log lines are added to this file. */
  readonly logFile: string
  /** Default: 60 s from start to ready. */
  readonly readyTimeoutMs?: number
}

/** What happened to a program, for whoever looks on. */
export type ProgramEvent =
  | { readonly kind: 'ready'; readonly port: number; readonly pid: number }
  | { readonly kind: 'ended'; readonly outcome: string; readonly restartInMs: number }

const firstBackoffMs = 500
const maxBackoffMs = 15_000
/** A program that served this long is not in a crash loop. */
const steadyMs = 30_000
const stopTimeoutMs = 20_000
const maxLogBytes = 20_000_000

/**
 * One program as a child process: started, watched, started again with back-off when it ends by itself, stopped on
 * demand. It has a process group of its own, so that Ctrl-C reaches the supervisor alone, which stops its parts in order;
 * and a channel, whose end tells it that the supervisor is gone.
 */
export class ChildProgram {
  readonly #spec: ProgramSpec
  readonly #onEvent: (event: ProgramEvent) => void
  #child: ChildProcess | null = null
  #timer: NodeJS.Timeout | undefined
  #backoffMs = firstBackoffMs
  #stopping = false
  #port = 0

  constructor(spec: ProgramSpec, onEvent: (event: ProgramEvent) => void) {
    this.#spec = spec
    this.#onEvent = onEvent
  }

  get name(): string {
    return this.#spec.name
  }

  get pid(): number | undefined {
    return this.#child?.pid
  }

  get url(): string {
    return `http://127.0.0.1:${this.#port}`
  }

  /**
   * Starts the program and waits until it serves. From then on it is started again whenever it ends.
   *
   * Errors: `program_not_started` with the end of its log, also where it was stopped meanwhile or before.
   */
  async start(): Promise<void> {
    if (this.#stopping) throw notStarted(this.name, 'stopped', this.#spec.logFile)
    try {
      await this.#launch()
    } catch (error) {
      await this.stop()
      throw error
    }
  }

  /** Asks the program to end, and ends it by force after 20 s. Harmless when repeated. */
  async stop(): Promise<void> {
    this.#stopping = true
    clearTimeout(this.#timer)
    const child = this.#child
    if (child === null || child.exitCode !== null || child.signalCode !== null) return
    const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()))
    child.kill('SIGTERM')
    const force = setTimeout(() => child.kill('SIGKILL'), stopTimeoutMs)
    await ended
    clearTimeout(force)
  }

  #launch(): Promise<void> {
    const { name, entry, nodeOptions = [], env, logFile, readyTimeoutMs = 60_000 } = this.#spec
    rotate(logFile)
    const log = openSync(logFile, 'a')
    const child = spawn(process.execPath, [...nodeOptions, entry], {
      env,
      detached: true,
      stdio: ['ignore', log, log, 'ipc'],
    })
    closeSync(log)
    this.#child = child
    const startedMs = performance.now()
    return new Promise((resolve, reject) => {
      let ready = false
      const deadline = setTimeout(() => child.kill('SIGKILL'), readyTimeoutMs)
      child.on('error', () => {})
      child.on('message', (message) => {
        if (!isReady(message) || ready) return
        ready = true
        clearTimeout(deadline)
        this.#port = message.port
        this.#onEvent({ kind: 'ready', port: message.port, pid: child.pid! })
        resolve()
      })
      child.once('close', (code, signal) => {
        clearTimeout(deadline)
        if (!ready) reject(notStarted(name, signal ?? code, logFile))
        if (ready && !this.#stopping) this.#restart(signal ?? code, performance.now() - startedMs)
      })
    })
  }

  #restart(outcome: string | number | null, servedMs: number): void {
    if (servedMs > steadyMs) this.#backoffMs = firstBackoffMs
    const restartInMs = this.#backoffMs
    this.#backoffMs = Math.min(this.#backoffMs * 2, maxBackoffMs)
    this.#onEvent({ kind: 'ended', outcome: String(outcome), restartInMs })
    this.#timer = setTimeout(() => {
      this.#launch().catch((error) => {
        if (!this.#stopping) this.#restart(error.code, 0)
      })
    }, restartInMs)
  }
}

function isReady(message: unknown): message is { type: 'ready'; port: number } {
  return typeof message === 'object' && message !== null && 'type' in message && message.type === 'ready'
}

function notStarted(name: string, outcome: string | number | null, logFile: string): LoyaltyError {
  const log = existsSync(logFile) ? readFileSync(logFile, 'utf8') : ''
  const lines = log.trimEnd().split('\n').slice(-15)
  return new LoyaltyError(
    'program_not_started',
    `${name} ended (${outcome}) before it served: ${lastError(lines)}; see ${logFile}`,
    { details: { program: name, logFile } },
  )
}

/** The message of the last fatal or error line, else the last line. */
function lastError(lines: readonly string[]): string {
  for (const line of [...lines].reverse()) {
    const entry = parseLine(line)
    if (entry?.level === 'fatal' || entry?.level === 'error') return entry.message
  }
  return lines.at(-1) ?? 'it said nothing'
}

function parseLine(line: string): { level: string; message: string } | null {
  try {
    return JSON.parse(line)
  } catch {
    return null
  }
}

function rotate(logFile: string): void {
  const size = statSync(logFile, { throwIfNoEntry: false })?.size ?? 0
  if (size > maxLogBytes) renameSync(logFile, `${logFile}.1`)
}
