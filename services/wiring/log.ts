import { messageOf } from '#streams/core/error.ts'
import { openKafkaLog } from '#streams/log/kafka/kafka-log.ts'
import type { Log } from '#streams/log/log.ts'
import { openPostgresLog } from '#streams/log/postgres/postgres-log.ts'
import type { Config } from '../platform/config.ts'
import type { Logger } from '../platform/logging.ts'
import { missing } from './missing.ts'

export interface LogOptions {
  /** Name of the program in the log's own records. */
  readonly clientId: string
  readonly logger: Logger
  /** Milliseconds between compactions of the Postgres log, by the one program that does it; absent: never. */
  readonly compactEveryMs?: number
}

/** The event log that the configuration names. Connects on first use. Errors: `config_missing`. */
export function openLog(config: Config, options: LogOptions): Log {
  const { clientId, logger, compactEveryMs } = options
  if (config.log === 'kafka')
    return openKafkaLog({ brokers: config.kafkaBrokers ?? missing('LOYALTY_KAFKA_BROKERS'), clientId })
  return openPostgresLog({
    url: config.postgresUrl ?? missing('LOYALTY_POSTGRES_URL'),
    onBackgroundError: (error) => logger.warn({ error }, `log: ${messageOf(error)}`),
    ...(compactEveryMs === undefined ? {} : { compactEveryMs }),
  })
}
