import { existsSync, mkdirSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import type { ClickHouseClient } from '@clickhouse/client'
import type { Pool } from 'pg'
import type { Registry } from '#schemas/registry.ts'
import { type Topics, topicsOf } from '#schemas/topics.ts'
import { LoyaltyError } from '#streams/core/error.ts'
import type { Log } from '#streams/log/log.ts'
import type { ProgrammeBasis } from '../ingest/programme.ts'
import { type Config, type Environment, readConfig, toEnvironment } from '../platform/config.ts'
import { isLocked, lockDirectory } from '../standalone/chdb/directory-lock.ts'
import { ChildProgram } from '../standalone/child-program.ts'
import { openClickHouseEngine, openPostgresEngine } from '../standalone/engines.ts'
import { beGuest, guestsGone } from '../standalone/guests.ts'
import { startPlatform } from '../standalone/platform.ts'
import { choosePort } from '../standalone/ports.ts'
import { findPlatform, type RunFile, removeRunFile } from '../standalone/run-file.ts'
import type { CliContext, CommonOptions } from './context.ts'

/** What a verb works with: parts of the data, or the whole platform with its programs. */
export type Need = 'postgres' | 'clickhouse' | 'log' | 'registry' | 'platform'

/** A way to the data of one data directory; connections are made on first use and end with it. */
export interface Session {
  readonly config: Config
  readonly topics: Topics
  /** True when the platform was running already and goes on after the session. */
  readonly joined: boolean
  /** The platform that was running already, or null. */
  readonly platform: RunFile | null
  log(): Log
  postgres(): Pool
  clickhouse(): ClickHouseClient
  registry(): Registry
  /** Base address of the API; with the need `platform` only. */
  readonly apiUrl: string
  close(): Promise<void>
}

/** The environment with the options of the command line laid over it. */
export function environmentOf(context: CliContext, options: CommonOptions): Environment {
  return options.dataDir === undefined ? context.env : { ...context.env, LOYALTY_DATA_DIR: options.dataDir }
}

/**
 * Runs `work` with what it needs: that of the running platform where there is one on the data directory, else engines
 * started for this command and stopped after it. A programme begins here only where there is a `basis`, which configures it.
 *
 * Errors: `config_invalid`, `data_directory_missing`, `database_outdated`, those of the engines.
 */
export async function withSession<Result>(
  context: CliContext,
  options: CommonOptions,
  needs: readonly Need[],
  work: (session: Session) => Promise<Result>,
  basis?: ProgrammeBasis,
): Promise<Result> {
  const env = environmentOf(context, options)
  const session = await openSession(context, env, needs, basis)
  try {
    return await work(session)
  } catch (error) {
    throw isOfOlderDatabase(error) ? outdated(error) : error
  } finally {
    await session.close()
  }
}

/** PostgreSQL knows no such table, or no such column. */
function isOfOlderDatabase(error: unknown): boolean {
  return error instanceof Error && 'code' in error && (error.code === '42P01' || error.code === '42703')
}

function outdated(cause: unknown): LoyaltyError {
  return new LoyaltyError(
    'database_outdated',
    'the database is of an older version; run `loyalty start`, or `loyalty migrate` where you run the programs yourself',
    { cause },
  )
}

/**
 * As `withSession`, for a data directory that may have nothing in it yet: the engines are begun in it.
 *
 * Errors: `platform_running`, those of `withSession`.
 */
export async function withNewSession<Result>(
  context: CliContext,
  options: CommonOptions,
  needs: readonly Need[],
  work: (session: Session) => Promise<Result>,
): Promise<Result> {
  const env = environmentOf(context, options)
  const config = readConfig(env)
  const dataDir = resolve(config.dataDir)
  refuseRunning(await findPlatform(dataDir), dataDir, '; stop it')
  mkdirSync(join(dataDir, 'logs'), { recursive: true })
  const session = await openAtRest(context, env, { ...config, dataDir }, needs, true)
  try {
    return await work(session)
  } finally {
    await session.close()
  }
}

/** For what is done at rest only. `why`: the end of the sentence that tells of the platform. Errors: `platform_running`. */
export function refuseRunning(platform: RunFile | null, dataDir: string, why: string, details: object = {}): void {
  if (platform === null) return
  const { pid } = platform
  throw new LoyaltyError('platform_running', `the platform runs on ${dataDir} (process ${pid})${why}`, {
    details: { pid, dataDir, ...details },
  })
}

async function openSession(
  context: CliContext,
  env: Environment,
  needs: readonly Need[],
  basis: ProgrammeBasis | undefined,
): Promise<Session> {
  const config = readConfig(env)
  const dataDir = resolve(config.dataDir)
  const leave = await beGuest(dataDir)
  const running = await settledPlatform(context, dataDir)
  if (running !== null) {
    const joined = readConfig({ ...env, ...running.environment })
    return connect(context, joined, { platform: running, apiUrl: running.urls.api ?? '', stop: leave })
  }
  await leave()
  if (needs.includes('platform')) {
    if (basis === undefined) refuseMissing(dataDir, config.postgresUrl === undefined)
    const platform = await startPlatform({
      config,
      env,
      setup: context.wiring.setup(basis),
      tell: context.output.note,
      signal: context.interrupted,
    })
    const stop = async () => {
      await afterGuests(context, dataDir)
      await platform.stop()
    }
    return connect(context, platform.config, { platform: null, apiUrl: platform.urls.api, stop })
  }
  return openAtRest(context, env, { ...config, dataDir }, needs)
}

/** How long a command waits for another one on the same data directory that starts or stops what it uses. */
const settlingMs = 60_000

/** The platform that runs on a data directory, or null; where something starts or stops there, after that. */
async function settledPlatform({ output, interrupted }: CliContext, dataDir: string): Promise<RunFile | null> {
  const deadline = performance.now() + settlingMs
  for (let told = false; ; told = true) {
    const running = await findPlatform(dataDir)
    if (running !== null || !(await isLocked(dataDir))) return running
    if (interrupted.aborted || performance.now() > deadline) return null
    if (!told) output.note('another command is starting or stopping there; waiting for it')
    await delay(lookEveryMs)
  }
}

const lookEveryMs = 100

/** Others may have joined the platform of this command: it serves them until they are done, or this one is interrupted. */
async function afterGuests({ output, interrupted }: CliContext, dataDir: string): Promise<void> {
  const gone = () =>
    guestsGone(dataDir, interrupted, (pids) =>
      output.note(`done; the platform goes on for another command (process ${pids.join(', ')}) that uses it`),
    )
  await gone()
  // Nobody finds it any more; whoever did in the last moment is waited for.
  removeRunFile(dataDir)
  await gone()
}

/** Where engines of our own are to find data, and there are none. Errors: `data_directory_missing`. */
function refuseMissing(dataDir: string, own: boolean): void {
  if (!own || existsSync(join(dataDir, 'postgres'))) return
  throw new LoyaltyError(
    'data_directory_missing',
    `there is no platform's data in ${dataDir}; begin with \`loyalty start\`, or choose another --data-dir`,
    { details: { dataDir } },
  )
}

/** Starts just the engines that are needed and not given from outside. */
async function openAtRest(
  context: CliContext,
  env: Environment,
  config: Config,
  needs: readonly Need[],
  mayBegin = false,
): Promise<Session> {
  const log = needs.includes('log') || needs.includes('registry')
  const postgres = needs.includes('postgres') || (log && config.log === 'postgres')
  const own =
    (postgres && config.postgresUrl === undefined) ||
    (needs.includes('clickhouse') && config.clickhouseUrl === undefined)
  if (!mayBegin) refuseMissing(config.dataDir, own)
  const parts: (() => Promise<void>)[] = []
  const stop = async () => {
    for (const part of parts.reverse()) await part()
  }
  const { note } = context.output
  try {
    if (own) parts.push((await lockDirectory(config.dataDir)).release)
    let known = config
    if (postgres) {
      const engine = await openPostgresEngine(known, note)
      parts.push(engine.stop)
      known = { ...known, postgresUrl: engine.url }
    }
    if (needs.includes('clickhouse')) {
      const engine = await openClickHouseEngine(known, note)
      parts.push(engine.stop)
      known = { ...known, clickhouseUrl: engine.url }
    }
    if (needs.includes('registry') && known.registryUrl === undefined) {
      const registry = await startRegistry(known, env)
      parts.push(() => registry.stop())
      known = { ...known, registryUrl: registry.url }
    }
    return connect(context, known, { platform: null, apiUrl: '', stop })
  } catch (error) {
    await stop()
    throw error
  }
}

async function startRegistry(config: Config, env: Environment): Promise<ChildProgram> {
  const registryPort = await choosePort(0, false, new Set())
  const program = new ChildProgram(
    {
      name: 'registry',
      entry: join(dirname(import.meta.dirname), 'registry', 'main.ts'),
      env: { ...env, ...toEnvironment({ ...config, registryPort }) },
      logFile: join(config.dataDir, 'logs', 'registry.log'),
    },
    () => {},
  )
  await program.start()
  return program
}

interface Host {
  readonly platform: RunFile | null
  readonly apiUrl: string
  stop(): Promise<void>
}

function connect({ wiring }: CliContext, config: Config, host: Host): Session {
  const closers: (() => Promise<unknown>)[] = []
  const kept = <Part>(open: () => Part, close: (part: Part) => Promise<unknown>) => {
    let part: Part | undefined
    return () => {
      if (part === undefined) {
        const opened = open()
        part = opened
        closers.push(() => close(opened))
      }
      return part
    }
  }
  return {
    config,
    topics: topicsOf(config.topicPrefix),
    joined: host.platform !== null,
    platform: host.platform,
    apiUrl: host.apiUrl,
    log: kept(
      () => wiring.openLog(config),
      (log) => log.close(),
    ),
    postgres: kept(
      () => wiring.openPostgres(config),
      (pool) => pool.end(),
    ),
    clickhouse: kept(
      () => wiring.openClickHouse(config),
      (client) => client.close(),
    ),
    registry: kept(
      () => wiring.openRegistry(config),
      async () => {},
    ),
    async close() {
      for (const close of closers.reverse()) await close()
      await host.stop()
    },
  }
}
