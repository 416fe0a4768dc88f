import { type ChildProcess, spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { RunFile } from '#services/standalone/run-file.ts'
import { eventually } from '../../../support/eventually.ts'

const root = join(import.meta.dirname, '../../../..')
const entry = join(root, 'services/cli/main.ts')

export interface CliRun {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  readonly stdout: string
  readonly stderr: string
}

export interface RunningCli {
  readonly child: ChildProcess
  /** What was printed so far. */
  stdout(): string
  stderr(): string
  readonly ended: Promise<CliRun>
}

/** The environment of the tests without settings of the product, so that a developer's shell changes nothing. */
export function cleanEnvironment(settings: Record<string, string> = {}): Record<string, string> {
  const inherited = Object.entries(process.env).filter(([name]) => !name.startsWith('LOYALTY_') && name !== 'CRASH_AT')
  return { ...(Object.fromEntries(inherited) as Record<string, string>), ...settings }
}

const servers = ['API', 'CLICKHOUSE', 'INGEST', 'REGISTRY', 'PROCESSOR', 'PROJECTOR']

/** Settings by which a platform takes ports that are free: several tests run at the same time. */
export const freePorts: Readonly<Record<string, string>> = Object.fromEntries(
  servers.map((name) => [`LOYALTY_${name}_PORT`, '0']),
)

/** Starts `loyalty <args>` as a process of its own, on free ports where `settings` name none. */
export function startLoyalty(args: readonly string[], settings: Record<string, string> = {}): RunningCli {
  const child = spawn(process.execPath, [entry, ...args], {
    cwd: root,
    env: cleanEnvironment({ ...freePorts, ...settings }),
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let stdout = ''
  let stderr = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text
  })
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text
  })
  const ended = new Promise<CliRun>((resolve) => {
    child.once('close', (code, signal) => resolve({ code, signal, stdout, stderr }))
  })
  return { child, stdout: () => stdout, stderr: () => stderr, ended }
}

/** Runs `loyalty <args>` to its end. */
export function runLoyalty(args: readonly string[], settings: Record<string, string> = {}): Promise<CliRun> {
  return startLoyalty(args, settings).ended
}

/** Starts the platform and waits until it serves. */
export async function startPlatform(dataDir: string, settings: Record<string, string> = {}): Promise<RunningCli> {
  const running = startLoyalty(['start', '--data-dir', dataDir], settings)
  const serves = () => {
    if (running.child.exitCode !== null) throw new Error(`the platform ended: ${running.stderr()}`)
    return /Ctrl-C stops it/.test(running.stdout())
  }
  await eventually(serves, { timeoutMs: 100_000, everyMs: 50, what: 'the start of the platform' })
  return running
}

/** SIGTERM, and what it said until its end. */
export function stopPlatform({ child, ended }: RunningCli): Promise<CliRun> {
  child.kill('SIGTERM')
  return ended
}

/** The JSON object on the last line of what a command printed. */
export function lastJson<Value>(run: CliRun): Value {
  const line = run.stdout.trimEnd().split('\n').at(-1) ?? ''
  try {
    return JSON.parse(line) as Value
  } catch (cause) {
    throw new Error(`the last line is no JSON: ${line}\n${run.stderr}`, { cause })
  }
}

export function readRunFile(dataDir: string): RunFile {
  return JSON.parse(readFileSync(join(dataDir, 'run.json'), 'utf8')) as RunFile
}

export function isAlive(pid: number): boolean {
  try {
    return readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').at(-1)?.[0] !== 'Z'
  } catch {
    return false
  }
}

/** Processes whose parent, or parent's parent and so on, is `pid`, by their command lines. */
export function descendantsOf(pid: number): { readonly pid: number; readonly command: string }[] {
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8')
    .trim()
    .split(' ')
    .filter(Boolean)
    .map(Number)
  return children.flatMap((child) => {
    try {
      const command = readFileSync(`/proc/${child}/cmdline`, 'utf8').replaceAll('\0', ' ')
      return [{ pid: child, command }, ...descendantsOf(child)]
    } catch {
      return []
    }
  })
}
