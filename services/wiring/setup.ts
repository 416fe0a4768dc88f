import { join } from 'node:path'
import type { Pool } from 'pg'
import { topicSpecs, topicsOf } from '#schemas/topics.ts'
import { systemClock } from '#streams/core/clock.ts'
import { Control } from '../ingest/control.ts'
import { ProfileBook } from '../ingest/profile-book.ts'
import { ensureProgramme, type ProgrammeBasis, type ProgrammeSettings } from '../ingest/programme.ts'
import { ProfileStore } from '../ingest/store/profiles.ts'
import { type Config, type Environment, ignoredSettings } from '../platform/config.ts'
import type { Logger } from '../platform/logging.ts'
import { type MigrationReport, migrateClickHouse, migratePostgres, targetOf } from '../platform/migrate.ts'
import {
  lookBack,
  otherConnections,
  readStepsBack,
  type StepsBack,
  type Way,
  type WayBack,
} from '../platform/way-back.ts'
import { openLog } from './log.ts'
import { defaultModel } from './models.ts'
import { clickHouseAddress, openPostgres, openRegistry } from './stores.ts'

const root = join(import.meta.dirname, '../..')
const dayMs = 86_400_000

/** Postgres schemas that have migrations, each written by the program of its name alone. */
export const migratedSchemas = ['ingest', 'projector'] as const

/** Migrates every Postgres schema forward, or to `target`. Reports by schema. */
export async function migrateDatabase(
  config: Config,
  logger: Logger,
  target?: number,
): Promise<Record<string, MigrationReport>> {
  return withPool(config, logger, async (pool) => {
    const reports: Record<string, MigrationReport> = {}
    for (const schema of migratedSchemas)
      reports[schema] = await migratePostgres(pool, {
        schema,
        directory: migrationsOf(schema),
        ...(target === undefined ? {} : { target }),
      })
    return reports
  })
}

/** The number that `text` names for `migrateDatabase`. Errors: `migration_target_unknown`. */
export function migrationTarget(text: string): Promise<number> {
  return targetOf(text, migratedSchemas.map(migrationsOf))
}

/**
 * What `migrateDatabase` would take back on the way to `target`, and how many other connections programs have to the
 * database. Changes nothing, locks nothing.
 */
export async function wayBack(config: Config, logger: Logger, target: number) {
  return withPool(config, logger, async (pool) => ({
    back: await ofSchemas(target, (way) => readStepsBack(pool, way)),
    connections: await otherConnections(pool),
  }))
}

/** What would be lost on the way back to `target`. Changes nothing, but locks tables while it looks. */
export async function lossesOnWayBack(config: Config, logger: Logger, target: number): Promise<WayBack[]> {
  return withPool(config, logger, (pool) => ofSchemas(target, (way) => lookBack(pool, way)))
}

async function withPool<T>(config: Config, logger: Logger, work: (pool: Pool) => Promise<T>): Promise<T> {
  const pool = openPostgres(config, logger, 1)
  try {
    return await work(pool)
  } finally {
    await pool.end()
  }
}

/** What is said of each schema of which something would be taken back. */
async function ofSchemas<T extends StepsBack>(target: number, ask: (way: Way) => Promise<T>): Promise<T[]> {
  const answers: T[] = []
  for (const schema of migratedSchemas) answers.push(await ask({ schema, directory: migrationsOf(schema), target }))
  return answers.filter(({ steps }) => steps.length > 0)
}

function migrationsOf(schema: string): string {
  return join(root, 'migrations', schema)
}

export function migrateStatistics(config: Config): Promise<MigrationReport> {
  return migrateClickHouse(clickHouseAddress(config), join(root, 'clickhouse', 'migrations'))
}

/** Creates the topics that are missing. Errors: `log_topic_mismatch`. */
export async function createTopics(config: Config, logger: Logger): Promise<string[]> {
  const log = openLog(config, { clientId: 'loyalty-setup', logger })
  const specs = topicSpecs(topicsOf(config.topicPrefix), config.partitions, config.deadLetterDays * dayMs)
  try {
    await log.admin.ensureTopics(specs)
    return specs.map(({ topic }) => topic)
  } finally {
    await log.close()
  }
}

export function programmeSettings(config: Config): ProgrammeSettings {
  const { currency, timeZone, clock, monetaryBasis, partitions, ledgerCap } = config
  return { currency, timeZone, clock, monetaryBasis, partitions, ledgerCap }
}

/**
 * Publishes the first control records where the control topic is empty; see `ensureProgramme`. Where it is not, notes each
 * setting of `env` that is ignored because the programme was begun with another.
 */
export async function configureProgramme(
  config: Config,
  logger: Logger,
  options: {
    readonly basis?: ProgrammeBasis | undefined
    readonly notice: (text: string) => void
    readonly env: Environment
  },
): Promise<void> {
  const log = openLog(config, { clientId: 'loyalty-setup', logger })
  const pool = openPostgres(config, logger, 2)
  try {
    const control = await Control.open(log, topicsOf(config.topicPrefix), openRegistry(config))
    const { basis, notice, env } = options
    const model = await defaultModel(config)
    const settings = programmeSettings(config)
    const deps = { control, pool, clock: systemClock, settings, model, notice }
    const isNew = (await control.read()).programme === null
    const profile = isNew && basis !== undefined ? await basis(new ProfileBook(new ProfileStore(pool)), settings) : null
    const programme = await ensureProgramme(deps, profile)
    const { currency, clock, partitions, time_zone: timeZone, monetary_basis: monetaryBasis } = programme
    const inForce = { currency, timeZone, clock, monetaryBasis, partitions, ledgerCap: programme.ledger_cap }
    for (const text of ignoredSettings(env, config, inForce)) notice(text)
  } finally {
    await Promise.all([log.close(), pool.end()])
  }
}

/** What `start` does between the engines and the programs. */
export function platformSetup(logger: Logger, notice: (text: string) => void, basis?: ProgrammeBasis) {
  return {
    storage: async (config: Config) => {
      await Promise.all([migrateDatabase(config, logger), createTopics(config, logger)])
    },
    statistics: async (config: Config) => {
      await migrateStatistics(config)
    },
    programme: (config: Config, env: Environment) => configureProgramme(config, logger, { basis, notice, env }),
  }
}
