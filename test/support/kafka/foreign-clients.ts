import { spawn, spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, renameSync, rmSync } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'

const confluentKafka = '2.13.2'

/**
 * Path of a Python that has confluent-kafka with its Avro serializer, or the reason why there is none. Some 60 MB from PyPI
 * the first time on a machine.
 */
export function pythonWithConfluentKafka(): Promise<{ python: string } | { missing: string }> {
  const packages = [`confluent-kafka[avro,schemaregistry]==${confluentKafka}`]
  return pythonWith(`confluent-kafka-${confluentKafka}`, packages)
}

/**
 * Path of a Python that has packages, or the reason why there is none. The first time on a machine it makes a virtual
 * environment outside the project; `name` tells it from others.
 */
export async function pythonWith(
  name: string,
  packages: readonly string[],
): Promise<{ python: string } | { missing: string }> {
  const cache = join(homedir(), '.cache', 'loyalty-stream')
  const environment = join(cache, `python-${name}`)
  const python = join(environment, 'bin', 'python')
  const ready = join(environment, 'complete')
  if (existsSync(ready)) return { python }
  if (spawnSync('python3', ['-c', 'import venv, ensurepip']).status !== 0)
    return { missing: 'python3 with venv is not installed' }
  mkdirSync(cache, { recursive: true })
  rmSync(environment, { recursive: true, force: true })
  console.log(`installing ${name} for Python into ${environment} …`)
  for (const [command, ...args] of [
    ['python3', '-m', 'venv', environment],
    [python, '-m', 'pip', 'install', '-q', '--disable-pip-version-check', ...packages],
  ]) {
    const { status, output } = await run(command!, args)
    if (status !== 0) return { missing: `${name} could not be installed: ${output.slice(-500)}` }
  }
  mkdirSync(`${ready}.tmp`)
  renameSync(`${ready}.tmp`, ready)
  return { python }
}

/** True when `kcat` can be run; installs Debian's package where that is allowed. */
export async function kcatInstalled(): Promise<boolean> {
  const works = () => spawnSync('kcat', ['-V'], { stdio: 'ignore' }).status === 0
  if (works()) return true
  if (process.getuid?.() !== 0 || spawnSync('apt-get', ['--version']).status !== 0) return false
  console.log('installing kcat with apt-get …')
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' }
  await run('apt-get', ['update', '-qq'], { env })
  await run('apt-get', ['install', '-y', '-qq', 'kcat'], { env })
  return works()
}

/** Runs a program to its end without standing in the way of anything else in this process. */
export async function run(
  command: string,
  args: readonly string[],
  options: { input?: Buffer; env?: NodeJS.ProcessEnv } = {},
): Promise<{ status: number | null; stdout: Buffer; output: string }> {
  const child = spawn(command, args, { stdio: 'pipe', env: options.env ?? process.env })
  const stdout: Buffer[] = []
  const all: Buffer[] = []
  child.stdout.on('data', (chunk: Buffer) => {
    stdout.push(chunk)
    all.push(chunk)
  })
  child.stderr.on('data', (chunk: Buffer) => all.push(chunk))
  child.stdin.on('error', () => {})
  child.stdin.end(options.input)
  const status = await new Promise<number | null>((resolve, reject) =>
    child.once('error', reject).once('close', resolve),
  )
  return { status, stdout: Buffer.concat(stdout), output: Buffer.concat(all).toString() }
}
