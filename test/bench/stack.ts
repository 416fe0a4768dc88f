import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { openRegistry, type Registry } from '#schemas/registry.ts'
import { type Topics, topicsOf } from '#schemas/topics.ts'
import { Control } from '#services/ingest/control.ts'
import { type Config, readConfig, toEnvironment } from '#services/platform/config.ts'
import { createLogger } from '#services/platform/logging.ts'
import { ChildProgram } from '#services/standalone/child-program.ts'
import { startEmbeddedPostgres } from '#services/standalone/embedded-postgres.ts'
import { programSpec } from '#services/standalone/program-spec.ts'
import { openLog } from '#services/wiring/log.ts'
import { defaultModel } from '#services/wiring/models.ts'
import { createTopics } from '#services/wiring/setup.ts'
import type { Log } from '#streams/log/log.ts'
import { startKafka } from '../support/kafka/start-kafka.ts'
import type { BenchTools } from './bench.ts'
import { treeUsageOf, type Usage, usageOf } from './process-meter.ts'

export type LogKind = 'kafka' | 'postgres'

export const partitions = 4
/** The day as of which everything is evaluated: the last of the generator's year. */
export const lastDay = 20_087

/** A log with its broker, topics, registry and a configured programme: everything but the processor. */
export interface Stack {
  readonly config: Config
  readonly log: Log
  readonly topics: Topics
  readonly registry: Registry
  /** Of the broker: Kafka's process, or all of PostgreSQL's. */
  brokerUsage(): Usage
  /** Starts a program's main as a child process; resolves when it serves. */
  start(name: string): Promise<ChildProgram>
}

/** `threads`: of the processor. */
export async function openStack(kind: LogKind, threads: number, tools: BenchTools): Promise<Stack> {
  const { dir, onEnd, say } = tools
  mkdirSync(join(dir.path, 'logs'), { recursive: true })
  const broker = kind === 'kafka' ? await openKafka(tools) : await openPostgres(tools)
  const logger = createLogger('bench', 'warn')
  const given = readConfig({
    LOYALTY_LOG: kind,
    ...broker.env,
    LOYALTY_PARTITIONS: String(partitions),
    LOYALTY_DATA_DIR: dir.path,
    LOYALTY_REGISTRY_PORT: '0',
    LOYALTY_PROCESSOR_PORT: '0',
    LOYALTY_PROCESSOR_THREADS: String(threads),
  })
  await createTopics(given, logger)
  const start = async (config: Config, name: string) => {
    const program = new ChildProgram(
      programSpec(name, { ...process.env, ...toEnvironment(config) }, join(dir.path, 'logs')),
      (event) => {
        if (event.kind === 'ended') say(`${name} ended by itself (${event.outcome})`)
      },
    )
    onEnd(() => program.stop())
    await program.start()
    return program
  }
  const { url } = await start(given, 'registry')
  const config: Config = { ...given, registryUrl: url }
  const log = openLog(config, { clientId: 'loyalty-bench', logger })
  onEnd(() => log.close())
  const topics = topicsOf(config.topicPrefix)
  const registry = openRegistry({ url })
  await configure(await Control.open(log, topics, registry), config)
  return { config, log, topics, registry, brokerUsage: broker.usage, start: (name) => start(config, name) }
}

interface Broker {
  readonly env: Readonly<Record<string, string>>
  usage(): Usage
}

async function openKafka({ onEnd }: BenchTools): Promise<Broker> {
  const kafka = await startKafka({ heap: '768m', measured: true })
  onEnd(() => kafka.stop())
  return { env: { LOYALTY_KAFKA_BROKERS: kafka.brokers.join(',') }, usage: () => usageOf(kafka.pid) }
}

async function openPostgres({ dir, onEnd }: BenchTools): Promise<Broker> {
  const postgres = await startEmbeddedPostgres({ dataDir: join(dir.path, 'postgres') })
  onEnd(() => postgres.stop())
  return { env: { LOYALTY_POSTGRES_URL: postgres.url }, usage: () => treeUsageOf(postgres.pid) }
}

/** Programme, default model, cut-points and date, so that every changed client is evaluated in full. */
async function configure(control: Control, config: Config): Promise<void> {
  const model = await defaultModel(config)
  if (model === null) throw new Error('there is no model to run')
  const now = Date.now()
  await control.publish(
    [
      'ProgrammeConfigured',
      {
        programme_id: '00000000-0000-4000-8000-000000000001',
        currency: 'RUB',
        time_zone: 'Europe/Moscow',
        offsets: [{ from: 0, offset_minutes: 180 }],
        clock: 'events',
        monetary_basis: 'net',
        partitions,
        ledger_cap: config.ledgerCap,
        configured_at: now,
      },
    ],
    ['ModelActivated', { model_id: model.id, model_version: model.version, sha256: model.sha256, activated_at: now }],
    [
      'CutPointsPublished',
      {
        recency_days: [12, 32, 71, 179],
        frequency: [1, 2, 3, 6],
        monetary_minor: [100_000, 200_000, 500_000, 2_000_000],
        basis: 'net',
        calibrated_as_of: null,
        published_at: now,
      },
    ],
    ['DayStarted', { date: lastDay, started_at: now }],
  )
}
