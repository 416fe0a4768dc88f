import { type ClickHouseClient, ClickHouseLogLevel, createClient } from '@clickhouse/client'
import { Pool } from 'pg'
import { openRegistry as openSchemaRegistry, type Registry, type SchemaTexts } from '#schemas/registry.ts'
import { messageOf } from '#streams/core/error.ts'
import type { Config } from '../platform/config.ts'
import type { Logger } from '../platform/logging.ts'
import type { ClickHouseAddress } from '../platform/migrate.ts'
import { missing } from './missing.ts'

/** Pool of connections to the database; made on demand. Errors: `config_missing`. */
export function openPostgres(config: Config, logger: Logger, connections = 4): Pool {
  const pool = new Pool({
    connectionString: config.postgresUrl ?? missing('LOYALTY_POSTGRES_URL'),
    max: connections,
    connectionTimeoutMillis: 5_000,
    application_name: 'loyalty',
  })
  // A connection that breaks while it rests is replaced at the next query.
  pool.on('error', (error) => logger.warn({ error }, `postgres: ${messageOf(error)}`))
  return pool
}

/** Errors: `config_missing`. */
export function clickHouseAddress(config: Config): ClickHouseAddress {
  return {
    url: config.clickhouseUrl ?? missing('LOYALTY_CLICKHOUSE_URL'),
    database: config.clickhouseDatabase,
    username: config.clickhouseUser,
    password: config.clickhousePassword,
  }
}

/** Client of the statistics database; connects on demand. Errors: `config_missing`. */
export function openClickHouse(config: Config): ClickHouseClient {
  return createClient({
    ...clickHouseAddress(config),
    request_timeout: 60_000,
    // What goes wrong is thrown; the client need not print it as well.
    log: { level: ClickHouseLogLevel.OFF },
  })
}

/** Client of the schema registry. Errors: `config_missing`. */
export function openRegistry(config: Config): Registry & SchemaTexts {
  return openSchemaRegistry({ url: config.registryUrl ?? missing('LOYALTY_REGISTRY_URL') })
}
