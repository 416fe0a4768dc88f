import { z } from 'zod'
import { bucketOf } from './bucket-place.ts'

/** One environment variable: its type, its default (in the schema) and what it is for. */
export interface Variable<Schema extends z.ZodType = z.ZodType> {
  readonly env: string
  readonly schema: Schema
  readonly doc: string
  /** Value shown in .env.example where there is no default. */
  readonly example?: string
}

function variable<Schema extends z.ZodType>(env: string, schema: Schema, doc: string, example?: string) {
  return { env, schema, doc, ...(example === undefined ? {} : { example }) } satisfies Variable<Schema>
}

const port = z.coerce.number({ error: 'must be a port number' }).int().min(0).max(65_535)
const url = z.url({ protocol: /^https?$/, error: 'must be an http:// or https:// URL' })
const wholeNumber = (min: number, max: number) =>
  z.coerce.number({ error: 'must be a whole number' }).int('must be a whole number').min(min).max(max)

const currency = z
  .string()
  .refine((code) => Intl.supportedValuesOf('currency').includes(code), 'must be an ISO 4217 code such as EUR')

const timeZone = z.string().refine(isTimeZone, 'must be an IANA time zone such as Europe/Moscow')

function isTimeZone(zone: string): boolean {
  try {
    return zone.includes('/') || zone === 'UTC' ? Boolean(new Intl.DateTimeFormat('en', { timeZone: zone })) : false
  } catch {
    return false
  }
}

/** Every variable there is, by the name the code uses; grouped by what they belong to. */
export const variables = {
  programme: {
    currency: variable(
      'LOYALTY_CURRENCY',
      currency.optional(),
      'Currency of the programme (ISO 4217), fixed by its first record. Not set: that of the file profile in use, else RUB.',
      'RUB',
    ),
    timeZone: variable(
      'LOYALTY_TIME_ZONE',
      timeZone.optional(),
      'Time zone in which the programme counts days (IANA). Not set: that of the file profile in use, else Europe/Moscow.',
      'Europe/Moscow',
    ),
    clock: variable(
      'LOYALTY_CLOCK',
      z.enum(['system', 'events']).optional(),
      "What moves the programme's date: system (the calendar) or events (the newest accepted transaction). Not set: that of the file profile in use, else system.",
      'system',
    ),
    monetaryBasis: variable(
      'LOYALTY_MONETARY_BASIS',
      z.enum(['net', 'gross']).default('net'),
      'Sum that the M score is taken from: net of refunds, or gross.',
    ),
    partitions: variable(
      'LOYALTY_PARTITIONS',
      wholeNumber(1, 512).default(8),
      'Partitions of every topic keyed by client; fixed for a programme.',
    ),
    topicPrefix: variable(
      'LOYALTY_TOPIC_PREFIX',
      z
        .string()
        .regex(/^[a-z0-9][a-z0-9_-]{0,60}$/, 'must be lower-case letters, digits, - and _')
        .default('loyalty'),
      'First part of every topic name, so that several programmes share a cluster.',
    ),
    ledgerCap: variable(
      'LOYALTY_LEDGER_CAP',
      wholeNumber(64, 1_000_000).default(4096),
      "Entries of a client's ledger that are kept one by one; older ones are folded into totals.",
    ),
    modelsDir: variable(
      'LOYALTY_MODELS_DIR',
      z.string().min(1).optional(),
      "Folder of the models and their cards. Not set: the product's own.",
      'models',
    ),
    sourcesFile: variable(
      'LOYALTY_SOURCES',
      z.string().min(1).optional(),
      'JSON file of sources that are looked through by a schedule: folders, S3 prefixes, PostgreSQL queries (docs/sources.md).',
      './sources.json',
    ),
    deadLetterDays: variable(
      'LOYALTY_DEAD_LETTER_DAYS',
      wholeNumber(1, 3650).default(30),
      'Days for which dead letters are kept.',
    ),
  },
  storage: {
    dataDir: variable(
      'LOYALTY_DATA_DIR',
      z.string().min(1).default('./.data'),
      'Folder of everything that is kept on this machine: engines, task state, uploads, the run file.',
    ),
    uploadStore: variable(
      'LOYALTY_UPLOAD_STORE',
      z
        .string()
        .regex(
          /^(directory|s3:\/\/[a-z0-9][a-z0-9.-]{1,62}(\/[\x21-\x7e]{0,120})?)$/,
          'must be directory, or s3://bucket/prefix',
        )
        .default('directory'),
      'Where uploaded files are kept: directory (uploads/ of the data directory), or s3://bucket/prefix (docs/files.md).',
    ),
    uploadS3Endpoint: variable(
      'LOYALTY_UPLOAD_S3_ENDPOINT',
      url.optional(),
      'Address of their S3-compatible storage, without the bucket; needed with s3://.',
      'https://s3.eu-central-1.amazonaws.com',
    ),
    uploadS3Region: variable('LOYALTY_UPLOAD_S3_REGION', z.string().min(1).default('auto'), 'Its region.'),
    uploadS3AccessKeyId: variable(
      'LOYALTY_UPLOAD_S3_ACCESS_KEY_ID',
      z.string().min(1).optional(),
      'Its access key; needed with s3://.',
    ),
    uploadS3SecretAccessKey: variable(
      'LOYALTY_UPLOAD_S3_SECRET_ACCESS_KEY',
      z.string().min(1).optional(),
      'Its secret key; needed with s3://.',
    ),
    log: variable(
      'LOYALTY_LOG',
      z.enum(['postgres', 'kafka']).default('postgres'),
      'Where the event log is: in PostgreSQL, or in Apache Kafka.',
    ),
    kafkaBrokers: variable(
      'LOYALTY_KAFKA_BROKERS',
      z
        .string()
        .regex(/^[^\s,:]+:\d+(,[^\s,:]+:\d+)*$/, 'must be host:port, several divided by commas')
        .transform((list) => list.split(','))
        .optional(),
      'Kafka brokers, host:port, divided by commas; needed with LOYALTY_LOG=kafka.',
      '127.0.0.1:9092',
    ),
    postgresUrl: variable(
      'LOYALTY_POSTGRES_URL',
      z.url({ protocol: /^postgres(ql)?$/, error: 'must be a postgres:// URL' }).optional(),
      'PostgreSQL database. Not set: `start` runs an embedded one in the data directory.',
      'postgres://loyalty:secret@127.0.0.1:5432/loyalty',
    ),
    clickhouseUrl: variable(
      'LOYALTY_CLICKHOUSE_URL',
      url.optional(),
      'ClickHouse over HTTP. Not set: `start` runs an embedded one in the data directory.',
      'http://127.0.0.1:8123',
    ),
    clickhousePort: variable(
      'LOYALTY_CLICKHOUSE_PORT',
      port.default(8123),
      'Port on which the embedded ClickHouse serves BI tools and programs over HTTP; 0 takes a free one.',
    ),
    clickhouseDatabase: variable(
      'LOYALTY_CLICKHOUSE_DATABASE',
      z.string().min(1).default('loyalty'),
      'ClickHouse database.',
    ),
    clickhouseUser: variable('LOYALTY_CLICKHOUSE_USER', z.string().default('default'), 'ClickHouse user.'),
    clickhousePassword: variable(
      'LOYALTY_CLICKHOUSE_PASSWORD',
      z.string().default(''),
      "The ClickHouse user's password.",
    ),
    registryUrl: variable(
      'LOYALTY_REGISTRY_URL',
      url.optional(),
      'Schema registry that speaks the Confluent REST interface. Not set: `start` runs its own.',
      'http://127.0.0.1:8082',
    ),
  },
  lake: {
    lake: variable(
      'LOYALTY_LAKE',
      z
        .string()
        .refine((text) => !text.includes('://') || bucketOf(text) !== null, {
          error: 'must be off, a directory, or s3://bucket/prefix',
        })
        .default('off'),
      'Where raw input is archived in Parquet (docs/lake.md): off, a directory, or s3://bucket/prefix.',
    ),
    lakeS3Endpoint: variable(
      'LOYALTY_LAKE_S3_ENDPOINT',
      url.optional(),
      'Address of the S3-compatible storage of the lake, without the bucket; needed with s3://.',
      'https://s3.eu-central-1.amazonaws.com',
    ),
    lakeS3Region: variable('LOYALTY_LAKE_S3_REGION', z.string().min(1).default('auto'), 'Its region.'),
    lakeS3AccessKeyId: variable(
      'LOYALTY_LAKE_S3_ACCESS_KEY_ID',
      z.string().min(1).optional(),
      'Its access key; needed with s3://.',
    ),
    lakeS3SecretAccessKey: variable(
      'LOYALTY_LAKE_S3_SECRET_ACCESS_KEY',
      z.string().min(1).optional(),
      'Its secret key; needed with s3://.',
    ),
    lakeFileMib: variable(
      'LOYALTY_LAKE_FILE_MIB',
      wholeNumber(1, 256).default(16),
      'A file of the lake is written once so many MiB of records of a partition wait, before they are compressed.',
    ),
    lakeSeconds: variable(
      'LOYALTY_LAKE_SECONDS',
      wholeNumber(1, 86_400).default(300),
      'Records wait at most so many seconds for others before they are written to the lake: what a lost cluster may cost.',
    ),
  },
  programs: {
    bind: variable(
      'LOYALTY_BIND',
      z.enum(['127.0.0.1', '0.0.0.0']).default('127.0.0.1'),
      'Address that servers bind to. There are no accounts yet: 0.0.0.0 is for a container whose ports are published on 127.0.0.1 only.',
    ),
    apiPort: variable('LOYALTY_API_PORT', port.default(8080), 'Port of the API; 0 takes a free one.'),
    ingestPort: variable('LOYALTY_INGEST_PORT', port.default(8081), 'Port of ingestion.'),
    registryPort: variable('LOYALTY_REGISTRY_PORT', port.default(8082), 'Port of the embedded schema registry.'),
    processorPort: variable(
      'LOYALTY_PROCESSOR_PORT',
      port.default(8083),
      "Port of the processor's health and metrics.",
    ),
    processorThreads: variable(
      'LOYALTY_PROCESSOR_THREADS',
      wholeNumber(1, 64).default(1),
      'Threads of the processor, which share its partitions: as many as it may use cores, no more than there are partitions.',
    ),
    cacheMib: variable(
      'LOYALTY_CACHE_MIB',
      wholeNumber(1, 65_536).default(128),
      'Memory of the processor for clients it has at hand, all threads together, in MiB; the others are read from its state on disk.',
    ),
    stepRecords: variable(
      'LOYALTY_STEP_RECORDS',
      wholeNumber(1, 100_000).default(40_000),
      'Most transactions that the processor takes in with one transaction of the log; it takes fewer where they touch many clients.',
    ),
    deadLetterShare: variable(
      'LOYALTY_DEAD_LETTER_SHARE',
      z.coerce.number({ error: 'must be a number from 0 to 1' }).min(0).max(1).default(0.2),
      'A task stops when more than this share of its last 10,000 transactions went to dead letters; 1 never stops it.',
    ),
    sessionTimeoutMs: variable(
      'LOYALTY_SESSION_TIMEOUT_MS',
      wholeNumber(1_000, 300_000).default(10_000),
      'Milliseconds after which the partitions of a processor that is gone are given to another one.',
    ),
    projectorPort: variable(
      'LOYALTY_PROJECTOR_PORT',
      port.default(8084),
      "Port of the projector's health and metrics.",
    ),
    lakePort: variable('LOYALTY_LAKE_PORT', port.default(8085), "Port of the lake's health and metrics."),
    ingestUrl: variable(
      'LOYALTY_INGEST_URL',
      url.optional(),
      'Where the API finds ingestion. Not set: on this machine.',
    ),
    processorUrl: variable(
      'LOYALTY_PROCESSOR_URL',
      url.optional(),
      'Where the API and ingestion find the processor; of a name with several addresses each is asked by ingestion. Not set: on this machine.',
    ),
    projectorUrl: variable(
      'LOYALTY_PROJECTOR_URL',
      url.optional(),
      'Where the API finds the projector. Not set: on this machine.',
    ),
    logLevel: variable(
      'LOYALTY_LOG_LEVEL',
      z.enum(['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent']).default('info'),
      'Least level of log lines.',
    ),
  },
}
