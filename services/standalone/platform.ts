import { mkdirSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { absoluteLake } from '../lake/location.ts'
import { type Config, type Environment, isExplicit, toEnvironment, unknownVariableNotices } from '../platform/config.ts'
import { lockDirectory } from './chdb/directory-lock.ts'
import { ChildProgram, type ProgramEvent } from './child-program.ts'
import { checkDirectoryFacts, rememberDirectoryFacts } from './directory-facts.ts'
import { type Engine, openClickHouseEngine, openPostgresEngine } from './engines.ts'
import { checkImportEnded } from './import-mark.ts'
import { interrupted, unlessInterrupted } from './interrupted.ts'
import { choosePort } from './ports.ts'
import { programSpec } from './program-spec.ts'
import { removeRunFile, writeRunFile } from './run-file.ts'

/**
 * The programs in the order in which they start; they stop in the reverse order. The lake ends after those that write to
 * the log, so that it has their last words.
 */
export const programNames = ['registry', 'lake', 'processor', 'projector', 'ingest', 'api'] as const

export type ProgramName = (typeof programNames)[number]

/** What the wiring does between the engines and the programs. Each step gets the configuration as far as it is known. */
export interface PlatformSetup {
  /** PostgreSQL answers: migrate it, create the topics of the log. */
  readonly storage: (config: Config) => Promise<void>
  /** ClickHouse answers: migrate it. */
  readonly statistics: (config: Config) => Promise<void>
  /** The registry answers: publish the first control records where there are none. `env` tells what was set by hand. */
  readonly programme: (config: Config, env: Environment) => Promise<void>
}

export interface PlatformOptions {
  readonly config: Config
  /** The environment of the supervisor, which the programs inherit. */
  readonly env: Environment
  readonly setup: PlatformSetup
  /** Notices for the person who started the platform. */
  readonly tell: (text: string) => void
  /** Calls the start off: what has started is stopped again. Once the platform serves it means nothing. */
  readonly signal?: AbortSignal
}

export interface Platform {
  /** The configuration with which another program joins this platform. */
  readonly config: Config
  /** Without the lake where there is none. */
  readonly urls: Readonly<Record<Exclude<ProgramName, 'lake'>, string> & { readonly lake?: string }>
  readonly startedInMs: number
  /** Process id of a program, for those who measure or disturb it. */
  pidOf(name: ProgramName): number | undefined
  /** Stops programs and engines in the reverse order of their start. Harmless when repeated. */
  stop(): Promise<void>
}

/**
 * Starts the whole platform on one machine: engines, registry, programs, each as a child process, what does not wait for
 * another at the same time. Resolves when all serve.
 *
 * Errors: `data_directory_in_use`, `data_directory_mismatch`, `import_unfinished`, `port_in_use`, `program_not_started`, `interrupted`, those of
 * the engines; what was started is stopped again.
 */
export async function startPlatform(options: PlatformOptions): Promise<Platform> {
  const startedMs = performance.now()
  const { signal, tell } = options
  const dataDir = resolve(options.config.dataDir)
  for (const notice of unknownVariableNotices(options.env)) tell(`warning: ${notice}`)
  mkdirSync(join(dataDir, 'logs'), { recursive: true })
  const lock = await lockDirectory(dataDir)
  const parts: Stoppable[] = [{ stop: () => lock.release() }]
  const stop = once(async () => {
    removeRunFile(dataDir)
    for (const part of parts.reverse()) await part.stop()
  })
  try {
    checkDirectoryFacts(dataDir, options.config)
    checkImportEnded(dataDir)
    const lake = absoluteLake(options.config.lake)
    const config = await withPorts({ ...options.config, dataDir, lake }, options)
    const joined = await startEngines(config, options, parts)
    rememberDirectoryFacts(dataDir, joined)
    const programs = programsOf(joined, options)
    const others = namesOf(joined).slice(1)
    const started = (names: readonly ProgramName[]) => {
      parts.push(...names.map((name) => programs[name]))
      return Promise.all(names.map((name) => programs[name].start()))
    }
    if (options.config.registryUrl === undefined) await unlessInterrupted(signal, 0, () => started(['registry']))
    await unlessInterrupted(signal, setupGraceMs, () => options.setup.programme(joined, options.env))
    await unlessInterrupted(signal, 0, () => started(others))
    await unlessInterrupted(signal, 0, () =>
      Promise.all(others.map((name) => untilReady(name, programs[name].url, tell))),
    )
    const addressOf = (name: ProgramName) => [name, programs[name].url] as const
    const urls = { ...Object.fromEntries(others.map(addressOf)), registry: joined.registryUrl } as Platform['urls']
    const environment = toEnvironment(joined)
    await writeRunFile(dataDir, { pid: process.pid, started_at: new Date().toISOString(), urls, environment })
    const startedInMs = performance.now() - startedMs
    return { config: joined, urls, startedInMs, pidOf: (name) => programs[name].pid, stop }
  } catch (error) {
    await stop()
    throw error
  }
}

/** Migrations and first records are short: one that is under way when the start is called off may end in peace. */
const setupGraceMs = 3_000

interface Stoppable {
  stop(): Promise<void>
}

/** Both engines at once, each followed by its migrations; a failure of one waits for the other, so that it can be stopped. */
async function startEngines(config: Config, options: PlatformOptions, parts: Stoppable[]): Promise<Config> {
  const { setup, tell, signal } = options
  const open = async (
    engine: Promise<Engine>,
    known: (url: string) => Config,
    prepare: (config: Config) => Promise<void>,
  ) => {
    const opened = await engine
    parts.push(opened)
    await unlessInterrupted(signal, setupGraceMs, () => prepare(known(opened.url)))
    return opened.url
  }
  const port = { wanted: config.clickhousePort, orAnother: !isExplicit(options.env, 'clickhousePort') }
  const [postgres, clickhouse] = await Promise.allSettled([
    open(openPostgresEngine(config, tell, signal), (postgresUrl) => ({ ...config, postgresUrl }), setup.storage),
    open(
      openClickHouseEngine(config, tell, port, signal),
      (clickhouseUrl) => ({ ...config, clickhouseUrl }),
      setup.statistics,
    ),
  ])
  for (const outcome of [postgres, clickhouse]) if (outcome.status === 'rejected') throw outcome.reason
  if (signal?.aborted) throw interrupted()
  const urlOf = (outcome: PromiseSettledResult<string>) => (outcome.status === 'fulfilled' ? outcome.value : '')
  const clickhouseUrl = urlOf(clickhouse)
  const clickhousePort = Number(new URL(clickhouseUrl).port)
  return { ...config, postgresUrl: urlOf(postgres), clickhouseUrl, clickhousePort }
}

/** Decides the ports before anything starts, so that the programs know of each other. */
async function withPorts(config: Config, { env, tell }: PlatformOptions): Promise<Config> {
  const taken = new Set<number>()
  const choose = async (name: string, key: keyof Config & `${string}Port`) => {
    const port = await choosePort(config[key], isExplicit(env, key), taken)
    if (port !== config[key] && config[key] !== 0)
      tell(`port ${config[key]} is in use; ${name} serves on ${port} this time`)
    return port
  }
  const clickhousePort = config.clickhouseUrl === undefined ? await choose('ClickHouse', 'clickhousePort') : 0
  const ports: Record<string, number> = {}
  for (const name of namesOf(config)) ports[name] = await choose(name, `${name}Port`)
  const urlOf = (name: ProgramName) => `http://127.0.0.1:${ports[name]}`
  return {
    ...config,
    clickhousePort,
    apiPort: ports.api!,
    ingestPort: ports.ingest!,
    registryPort: ports.registry!,
    processorPort: ports.processor!,
    projectorPort: ports.projector!,
    lakePort: ports.lake ?? config.lakePort,
    registryUrl: config.registryUrl ?? urlOf('registry'),
    ingestUrl: urlOf('ingest'),
    processorUrl: urlOf('processor'),
    projectorUrl: urlOf('projector'),
  }
}

function namesOf({ lake }: Config): ProgramName[] {
  return programNames.filter((name) => name !== 'lake' || lake !== 'off')
}

function programsOf(config: Config, options: PlatformOptions): Record<ProgramName, ChildProgram> {
  const env = { ...options.env, ...toEnvironment(config) }
  const entries = programNames.map((name) => {
    const spec = programSpec(name, env, join(config.dataDir, 'logs'))
    return [name, new ChildProgram(spec, (event) => tellOf(name, event, options.tell))]
  })
  return Object.fromEntries(entries)
}

function tellOf(name: ProgramName, event: ProgramEvent, tell: (text: string) => void): void {
  if (event.kind === 'ended') tell(`${name} ended (${event.outcome}); starting it again in ${event.restartInMs} ms`)
}

const readyWithinMs = 10_000
const askEveryMs = 100

/** Waits until a program says that it is ready; one that takes long (it restores its state) goes on in the background. */
async function untilReady(name: ProgramName, url: string, tell: (text: string) => void): Promise<void> {
  const deadline = performance.now() + readyWithinMs
  for (;;) {
    const answer = await fetch(`${url}/readiness`).catch(() => null)
    if (answer?.ok) return
    if (performance.now() > deadline)
      return tell(`${name} serves, but is not ready yet: ${(await answer?.text()) ?? ''}`)
    await answer?.body?.cancel()
    await delay(askEveryMs)
  }
}

function once(work: () => Promise<void>): () => Promise<void> {
  let running: Promise<void> | undefined
  return () => {
    running ??= work()
    return running
  }
}
